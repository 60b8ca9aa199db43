"""Whether anything can have happened that the loops look for: where no run goes on, they may look less often.

Whoever does something to a run wakes the loops; this is for what they were not told of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cwl_ui_plugin.dags import created_runs

LAST_SECONDS = 10.0
"""How long after the last run there may still be something to do."""
ASK_SECONDS = 0.5
"""How long an answer is good for: several loops ask."""


class Quiet:
    """Asks the database, which costs a fraction of a round. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: int | None = None
        self._busy_at = self._asked_at = float("-inf")

    def __call__(self) -> bool:
        """Whether for a while no run has waited, gone on, or been created."""
        with self._lock:
            now = self._clock()
            if now - self._asked_at >= ASK_SECONDS:
                self._asked_at = now
                newest, has_runs = _runs()
                if has_runs or newest != self._newest:
                    self._busy_at = now
                self._newest = newest
            return now - self._busy_at > LAST_SECONDS


def _runs() -> tuple[int | None, bool]:
    """Return the newest run, and whether there is one that waits or goes on."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session(scoped=False) as session:
        return session.scalar(select(func.max(DagRun.id))), created_runs.is_any_unfinished(session)
