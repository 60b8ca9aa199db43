"""What earlier runs of a workflow tell about this one: how long they worked. That people took to answer is no work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timezone
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

RUNS_LOOKED_AT = 20
MAX_TASKS = 5000
"""Task instances that are looked at where people were asked."""
Interval = tuple[datetime, datetime]


def expected_seconds(dag_id: str, run_id: str) -> float | None:
    """Return how long the latest other runs of a workflow that succeeded worked (their median); None without any."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = (
        select(DagRun.run_id, DagRun.start_date, DagRun.end_date)
        .where(DagRun.dag_id == dag_id, DagRun.state == "success", DagRun.run_id != run_id)
        .order_by(DagRun.id.desc())
        .limit(RUNS_LOOKED_AT)
    )
    with create_session(scoped=False) as session:
        runs = {name: (end - start).total_seconds() for name, start, end in session.execute(query) if start and end}
        waited = _waited(session, dag_id, runs)
    return median(max(0.0, seconds - waited.get(name, 0.0)) for name, seconds in runs.items()) if runs else None


def seconds_waited(dag_id: str, run_id: str) -> float:
    """Return how long a run has waited for people, while none of its tasks ran."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        return _waited(session, dag_id, [run_id]).get(run_id, 0.0)


def _waited(session: Session, dag_id: str, run_ids: Collection[str]) -> dict[str, float]:
    """Return how long those of some runs in which people were asked have waited for them; two queries at most."""
    asked = _asked(session, dag_id, run_ids) if run_ids else {}
    worked = _worked(session, dag_id, asked) if asked else {}
    return {
        run_id: sum((end - start).total_seconds() for start, end in _without(intervals, worked.get(run_id, [])))
        for run_id, intervals in asked.items()
    }


def _asked(session: Session, dag_id: str, run_ids: Collection[str]) -> dict[str, list[Interval]]:
    """Return from when to when people were asked, by run; of those who have not answered, until now."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    task, now = TaskInstance, datetime.now(timezone.utc)
    query = (
        select(task.run_id, HITLDetail.created_at, HITLDetail.responded_at, task.end_date)
        .join(HITLDetail, HITLDetail.ti_id == task.id)
        .where(task.dag_id == dag_id, task.run_id.in_(list(run_ids)))
    )
    found: dict[str, list[Interval]] = {}
    for run_id, asked_at, answered_at, ended_at in session.execute(query):
        found.setdefault(run_id, []).append((asked_at, answered_at or ended_at or now))
    return found


def _worked(session: Session, dag_id: str, run_ids: Iterable[str]) -> dict[str, list[Interval]]:
    """Return from when to when tasks ran that ask nobody, by run."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import exists, select

    task, now = TaskInstance, datetime.now(timezone.utc)
    query = (
        select(task.run_id, task.start_date, task.end_date)
        .where(task.dag_id == dag_id, task.run_id.in_(list(run_ids)), task.start_date.is_not(None))
        .where(~exists().where(HITLDetail.ti_id == task.id))
        .limit(MAX_TASKS)
    )
    found: dict[str, list[Interval]] = {}
    for run_id, start, end in session.execute(query):
        if start is not None:
            found.setdefault(run_id, []).append((start, end or now))
    return found


def _without(intervals: Iterable[Interval], others: Iterable[Interval]) -> Iterator[Interval]:
    """Yield what is in some intervals and in none of the others; each moment once."""
    taken = _merged(others)
    for start, end in _merged(intervals):
        for other_start, other_end in taken:
            if other_end > start and other_start < end:
                if other_start > start:
                    yield start, other_start
                start = other_end
        if start < end:
            yield start, end


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
