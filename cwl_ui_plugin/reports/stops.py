"""Which runs were stopped, by whom and when. Airflow has no state for it: its database says that they failed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.stopped import Stopped
from cwl_ui_plugin.reports.tables import RunKey, Stop

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

NOTE = "Stopped by"
"""How the note of a stopped run begins; people may have written more, on the lines below."""
_MARKING = "patch_dag_run"
_MARKED_WITHIN = timedelta(minutes=5)


def keep_stop(session: Session, run: DagRun, user: str, moment: datetime | None = None) -> None:
    """Keep who stops a run, in the transaction that sets it to failed; of several stops of it the first counts."""
    now = moment or datetime.now(timezone.utc)
    row = session.get(Stop, (run.dag_id, run.run_id))
    if row is None:
        row = Stop(dag_id=run.dag_id, run_id=run.run_id)
        session.add(row)
    elif _is_of(row, run):
        return
    row.run_key, row.clear_number, row.user, row.stopped_at = run.id, run.clear_number or 0, user, now


def keep_marked(run: DagRun) -> None:
    """Keep who set a run to failed by Airflow's own means, as its audit log has it; the run had not ended before."""
    from airflow.models.log import Log
    from sqlalchemy import inspect, select

    session: Session | None = inspect(run).session
    if session is None or run.end_date is None:
        return
    marking = (Log.dag_id == run.dag_id, Log.task_id.is_(None), Log.run_id == run.run_id, Log.event == _MARKING)
    with session.no_autoflush:
        last = select(Log.owner, Log.dttm).where(*marking).order_by(Log.dttm.desc()).limit(1)
        row = session.execute(last).one_or_none()
        if row is not None and row.owner and row.dttm <= run.end_date <= row.dttm + _MARKED_WITHIN:
            keep_stop(session, run, row.owner, row.dttm)


def stops_of(session: Session, keys: Collection[RunKey]) -> dict[RunKey, Stopped]:
    """Return which of some runs were stopped since they were last cleared, with one query."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select, tuple_

    columns = (Stop.dag_id, Stop.run_id, Stop.user, Stop.stopped_at)
    query = select(*columns).join(DagRun, stops_run()).where(tuple_(Stop.dag_id, Stop.run_id).in_(list(keys)))
    return {(row.dag_id, row.run_id): Stopped(row.user, row.stopped_at) for row in session.execute(query)}


def stops_run() -> ColumnElement[bool]:
    """Return the condition that a stop is of a run as it is: not of one before it, nor from before it was cleared."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import and_, or_

    return and_(
        Stop.dag_id == DagRun.dag_id,
        Stop.run_id == DagRun.run_id,
        Stop.run_key == DagRun.id,
        Stop.clear_number == DagRun.clear_number,
        or_(DagRun.created_at.is_(None), Stop.stopped_at >= DagRun.created_at),
    )


def stop_line(note: str | None) -> str:
    """Return the line of a run's note that says who stopped it, without its end; empty where nobody has."""
    first = (note or "").partition("\n")[0]
    return first if first.startswith(NOTE) else ""


def without_stop(note: str | None) -> str:
    """Return a run's note without the line that says who stopped it."""
    return (note or "").removeprefix(stop_line(note)).removeprefix("\n") if stop_line(note) else note or ""


def _is_of(row: Stop, run: DagRun) -> bool:
    is_later = run.created_at is None or row.stopped_at >= run.created_at
    return (row.run_key, row.clear_number) == (run.id, run.clear_number or 0) and is_later
