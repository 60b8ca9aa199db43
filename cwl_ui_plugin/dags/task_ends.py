"""A supervisor that notices at once when the process of its task has ended.

Airflow's supervisor waits for what its task's process says, and looks whether it has ended each time that it wakes up.
The last time is when the process closes what it speaks through, which is a moment before it has ended: so it slept for
another ``[workers] min_heartbeat_interval``, a second, in which its place in the LocalExecutor or in a Celery worker
was taken. Here it waits for the end of the process, too.

An Airflow that waits in another way is left as it is; so are systems without ``pidfd_open`` (Linux has it).
"""

from __future__ import annotations

import functools
import logging
import os
import selectors
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)
_MARK = "cwl_waits_for_ends"


class _End:
    """The end of a process as a file that can be read from then on."""

    _descriptor = -1  # where there can be none

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def install() -> None:
    """Let supervisors that this process and its children start wait so; never raises."""
    if not hasattr(os, "pidfd_open"):
        return
    try:
        _install()
    except Exception:
        log.exception("Supervisors notice the end of a task up to a second late")


def _install() -> None:
    from airflow.sdk.execution_time.supervisor import ActivitySubprocess

    start = ActivitySubprocess.__dict__["start"].__func__
    if not getattr(start, _MARK, False):
        ActivitySubprocess.start = classmethod(_waiting(start))  # type: ignore[assignment]


def _waiting(start: Callable[..., Any]) -> Callable[..., Any]:
    """Return what starts the process of a task, and watches for its end."""

    @functools.wraps(start)
    def started(kind: type, **options: Any) -> Any:
        process = start(kind, **options)
        try:
            _watch(process.selector, _End(process.pid))
        except Exception:
            log.debug("The end of the process %s is noticed late", process.pid, exc_info=True)
        return process

    setattr(started, _MARK, True)
    return started


def _watch(selector: selectors.BaseSelector, end: _End) -> None:
    """Have a selector wake up at an end: what is registered is called as Airflow calls its own, and then closed."""

    def on_end(_end: object) -> bool:
        return False  # there is no more to come

    selector.register(end, selectors.EVENT_READ, (on_end, selector.unregister))
