"""Which processes are there."""

from __future__ import annotations

import psutil


def is_living(process: psutil.Process | int) -> bool:
    """Whether a process, or the one of an id, is there; where nobody reaps orphans, a dead one stays as a zombie."""
    try:
        found = psutil.Process(process) if isinstance(process, int) else process
        return found.is_running() and found.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
