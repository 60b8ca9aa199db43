"""Files of the control folder by which a process wakes others: it touches one, and they look at its time.

Who waits looks many times a second. Where the control folder is, and whether it may be trusted, is asked for seldom: it
costs a hundred times as much as the look.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from cwl_ui_plugin import config

log = logging.getLogger(__name__)
FOLDER_SECONDS = 5.0
"""After which the control folder is looked up again; it may have been made, or moved, meanwhile."""
_folder: dict[str, tuple[Path, float]] = {}
"""The control folder, and until when (monotonic seconds) it is taken for that, under one key."""


def touch(name: str) -> None:
    """Wake who looks at a file; never raises: they come round by themselves."""
    try:
        (config.control_folder() / name).touch()
    except (OSError, config.ConfigError):
        log.debug("The file %s, which wakes others, can't be touched; they will come round", name, exc_info=True)


def touched_at(name: str) -> int:
    """Return when a file was touched last, in nanoseconds: a number that only grows; 0: never, or unknown."""
    try:
        return (_looked_up() / name).stat().st_mtime_ns
    except (OSError, config.ConfigError):
        return 0


def _looked_up() -> Path:
    found, until = _folder.get("control", (None, 0.0))
    if found is None or time.monotonic() >= until:
        found = config.control_folder()
        _folder["control"] = (found, time.monotonic() + FOLDER_SECONDS)
    return found
