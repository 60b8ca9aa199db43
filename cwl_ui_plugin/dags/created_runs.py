"""Word that there is something to schedule: for those who would else ask the database all the time.

A file in the control folder is touched when a run that was created, or is to run again, is committed, and when a task
has ended. Who waits looks at its time, and comes round by
itself where it does not see that file.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin import config

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
_MARK = "cwl_run_created"


def tell_when_committed(session: Session | None) -> None:
    """Give word once a session has committed the run that it is writing."""
    if session is not None:
        session.info[_MARK] = True


def after_commit(session: Session) -> None:
    """Give word, if a session that has committed was to; for SQLAlchemy's event of that name."""
    if not session.in_nested_transaction() and session.info.pop(_MARK, False):
        tell()


def tell() -> None:
    """Give word now; never raises."""
    try:
        _file().touch()
    except (OSError, config.ConfigError):
        log.debug("That a run was created can't be told; it will be found", exc_info=True)


def told_at() -> int:
    """Return when word was given last, as a number that only grows; 0 for never."""
    try:
        return _file().stat().st_mtime_ns
    except (OSError, config.ConfigError):
        return 0


def is_any_unfinished(session: Session) -> bool:
    """Whether there is a run, of any Dag, that waits or goes on. Airflow has an index of each of the two."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    return any(
        session.scalar(select(DagRun.id).where(DagRun.state == state).limit(1)) is not None
        for state in (DagRunState.RUNNING, DagRunState.QUEUED)
    )


def _file() -> Path:
    return config.control_folder() / "created"
