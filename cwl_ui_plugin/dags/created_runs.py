"""Word that there is something to schedule: for those who would else ask the database all the time.

A file in the control folder is touched when a run that was created, or is to run again, is committed, and when a task
has ended; another one when the end of a run is committed. Who waits looks at its time, and comes round by itself where
it does not see that file.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.dags import wake_files

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_MARK = "cwl_run_created"
_END_MARK = "cwl_run_ended"
_CREATED, _ENDED = "created", "ended"
LOOPS = "loops"
"""The folder that API servers tell in how their loops go, see ``reports.pulse``."""
ALIVE_SECONDS = 30.0


def tell_when_committed(session: Session | None) -> None:
    """Give word once a session has committed the run that it is writing."""
    if session is not None:
        session.info[_MARK] = True


def tell_end_when_committed(session: Session | None) -> None:
    """Give word once a session has committed the end of a run that it is writing."""
    if session is not None:
        session.info[_END_MARK] = True


def after_commit(session: Session) -> None:
    """Give word, if a session that has committed was to; for SQLAlchemy's event of that name."""
    if session.in_nested_transaction():
        return
    if session.info.pop(_MARK, False):
        tell()
    if session.info.pop(_END_MARK, False):
        wake_files.touch(_ENDED)


def tell() -> None:
    """Give word now that there is something to schedule; never raises."""
    wake_files.touch(_CREATED)


def told_at() -> int:
    """Return when word was given last that there is something to schedule, as a number that only grows; 0: never."""
    return wake_files.touched_at(_CREATED)


def end_told_at() -> int:
    """Return the same of word that a run has ended."""
    return wake_files.touched_at(_ENDED)


def is_word_given_here() -> bool:
    """Whether an API server leaves word in the control folder of this process: its loops do so all the time."""
    try:
        with os.scandir(config.control_folder() / LOOPS) as found:
            newest = max((entry.stat(follow_symlinks=False).st_mtime for entry in found), default=0.0)
    except (OSError, config.ConfigError):
        return False
    return abs(time.time() - newest) < ALIVE_SECONDS


def seconds_until_due(session: Session) -> float | None:
    """Return in how many seconds a Dag is due to get its next run by time; None where none is."""
    from airflow.models.dag import DagModel
    from sqlalchemy import func, select

    query = select(func.min(DagModel.next_dagrun_create_after)).where(
        DagModel.is_paused.is_(False), DagModel.is_stale.is_(False)
    )
    due: datetime | None = session.scalar(query)
    return None if due is None else (due - datetime.now(timezone.utc)).total_seconds()


def is_any_unfinished(session: Session) -> bool:
    """Whether there is a run, of any Dag, that waits or goes on. Airflow has an index of each of the two."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    return any(
        session.scalar(select(DagRun.id).where(DagRun.state == state).limit(1)) is not None
        for state in (DagRunState.RUNNING, DagRunState.QUEUED)
    )
