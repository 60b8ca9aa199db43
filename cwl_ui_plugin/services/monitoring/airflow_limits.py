"""What may keep Airflow from going on with a run, as its tables have it: schedulers, pools, limits, who is busy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.reports.tables import RunKey

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_BUSY = 1000
"""Runs and pools that are looked at."""


@dataclass(frozen=True)
class WaitingTask:
    """A task of the run that Airflow could start, the first of its task instances; ``state`` is Airflow's."""

    state: str
    pool: str
    pool_slots: int
    queue: str
    queued_at: datetime | None


@dataclass(frozen=True)
class Busy:
    """Task instances of a run that run, or are with the executor: how many, and how many slots of a pool they hold."""

    key: RunKey
    pool: str
    queue: str
    state: str
    count: int
    slots: int


@dataclass(frozen=True)
class Limits:
    """All that is known; ``slots`` is how many tasks the schedulers let run at a time, -1 in a pool is without end."""

    schedulers: int
    heartbeat: datetime | None
    slots: int
    is_paused: bool
    is_stale: bool
    max_active_runs: int
    max_active_tasks: int
    is_backfill: bool
    active_runs: tuple[str, ...]
    waiting: Mapping[str, WaitingTask] = field(default_factory=dict)
    busy: tuple[Busy, ...] = ()
    pools: Mapping[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What changes if any of it does; that a scheduler gives signs of life is no change."""
        return repr(replace(self, heartbeat=None if self.schedulers else self.heartbeat))


def look(session: Session, dag_id: str, run_id: str, now: datetime) -> Limits:
    """Look at what may be in the way of a run."""
    from airflow.configuration import conf

    count, heartbeat = _schedulers(session, now)
    dag = _dag(session, dag_id, run_id)
    waiting = _waiting(session, dag_id, run_id) if dag.state == "running" else {}
    return Limits(
        schedulers=count,
        heartbeat=heartbeat,
        slots=conf.getint("core", "parallelism") * max(1, count),
        is_paused=bool(dag.is_paused),
        is_stale=bool(dag.is_stale),
        max_active_runs=(dag.of_backfill if dag.backfill_id else dag.max_active_runs) or 0,
        max_active_tasks=dag.max_active_tasks or 0,
        is_backfill=dag.backfill_id is not None,
        active_runs=_active_runs(session, dag_id, dag.backfill_id) if dag.state == "queued" else (),
        waiting=waiting,
        busy=_busy(session) if waiting else (),
        pools=_pools(session) if waiting else {},
    )


def _schedulers(session: Session, now: datetime) -> tuple[int, datetime | None]:
    """Return how many schedulers are alive, and the last sign of life of any."""
    from airflow.configuration import conf
    from airflow.jobs.job import Job
    from sqlalchemy import and_, case, func, select

    since = now - timedelta(seconds=conf.getint("scheduler", "scheduler_health_check_threshold"))
    is_alive = and_(Job.state == "running", Job.latest_heartbeat >= since)
    alive = func.sum(case((is_alive, 1), else_=0))
    last = func.max(Job.latest_heartbeat)
    count, seen = session.execute(select(alive, last).where(Job.job_type == "SchedulerJob")).one()
    return int(count or 0), seen


def _dag(session: Session, dag_id: str, run_id: str) -> Any:
    """Return the limits of a run's Dag."""
    from airflow.models.backfill import Backfill
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    query = (
        select(DagRun.state, DagRun.backfill_id, DagModel.is_paused, DagModel.is_stale)
        .add_columns(DagModel.max_active_runs, DagModel.max_active_tasks)
        .add_columns(Backfill.max_active_runs.label("of_backfill"))
        .outerjoin(DagModel, DagModel.dag_id == DagRun.dag_id)
        .outerjoin(Backfill, Backfill.id == DagRun.backfill_id)
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    )
    return session.execute(query).one()


def _active_runs(session: Session, dag_id: str, backfill_id: int | None) -> tuple[str, ...]:
    """Return the runs that count against the limit of a Dag, or of a backfill."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    same = DagRun.backfill_id.is_(None) if backfill_id is None else DagRun.backfill_id == backfill_id
    query = select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.state == "running", same)
    return tuple(session.scalars(query.order_by(DagRun.id).limit(MAX_BUSY)))


def _waiting(session: Session, dag_id: str, run_id: str) -> dict[str, WaitingTask]:
    """Return the tasks of a run that the scheduler or an executor has, by their ids."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import func, select

    task = TaskInstance
    columns = (task.task_id, task.state, task.pool, task.pool_slots, task.queue)
    query = (
        select(*columns, func.min(task.queued_dttm).label("queued"))
        .where(task.dag_id == dag_id, task.run_id == run_id, func.lower(task.state).in_(["scheduled", "queued"]))
        .group_by(*columns)
        .order_by(task.state)
    )
    return {
        row.task_id: WaitingTask(str(row.state), row.pool, row.pool_slots, row.queue or "", row.queued)
        for row in session.execute(query)
    }


def _busy(session: Session) -> tuple[Busy, ...]:
    """Return what runs, or is with the executor, in all Dags."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import func, select

    task = TaskInstance
    columns = (task.dag_id, task.run_id, task.pool, task.queue, task.state)
    query = (
        select(*columns, func.count().label("number"), func.sum(task.pool_slots).label("slots"))
        .where(task.state.in_(["running", "queued"]))
        .group_by(*columns)
        .order_by(func.count().desc())
        .limit(MAX_BUSY)
    )
    return tuple(
        Busy((row.dag_id, row.run_id), row.pool, row.queue or "", str(row.state), row.number, int(row.slots))
        for row in session.execute(query)
    )


def _pools(session: Session) -> dict[str, int]:
    from airflow.models.pool import Pool
    from sqlalchemy import select

    return {str(row.pool): row.slots for row in session.execute(select(Pool.pool, Pool.slots))}
