"""How batches and their rows stand: what our tables say, and for rows with a run what Airflow's say. Queries only."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.reports.batch_tables import BatchRecord, BatchRowRecord
from cwl_ui_plugin.reports.stops import stops_run
from cwl_ui_plugin.services.batches.models import Batch, BatchRow, BatchState, BatchStep, RowState, SheetProblem
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.monitoring.run_states import asks, told_task_state
from cwl_ui_plugin.services.monitoring.step_groups import state_of_all

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row, Select
    from sqlalchemy.orm import Session

PENDING, STARTED, INVALID, REFUSED, STOPPED = "pending", "started", "invalid", "refused", "stopped"
"""States of rows that the table keeps; of a row that was started, its run says more."""
ACTIVE = ("queued", "running", "waiting")
RETRIED = ("failed", "stopped", "refused")
"""What is started again where nobody names rows."""
_DONE = ("success", "skipped")
_NO_STATUS = "no_status"


def shown_state() -> ColumnElement[str]:
    """Return the state of a row (:data:`RowState`), for a query that has :func:`with_runs`."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import and_, case, exists

    is_asked = exists().where(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id, asks())
    return case(
        (BatchRowRecord.state != STARTED, BatchRowRecord.state),
        (DagRun.id.is_(None), "deleted"),
        (and_(DagRun.state == "failed", exists().where(stops_run())), "stopped"),
        (and_(DagRun.state.in_(("queued", "running")), is_asked), "waiting"),
        else_=DagRun.state,
    )


def with_runs(query: Any) -> Select[object]:
    """Return a query of rows of batches with the runs that they have."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import and_

    is_run = and_(DagRun.id == BatchRowRecord.run_key, DagRun.run_id == BatchRowRecord.run_id)  # ids may be given anew
    joined: Select[Any] = query.outerjoin(DagRun, is_run)
    return joined


def counts_of(session: Session, batch_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """Return how many rows of some batches are in which state, with one query."""
    from sqlalchemy import func, select

    states = (
        with_runs(select(BatchRowRecord.batch_id, shown_state().label("state")))
        .where(BatchRowRecord.batch_id.in_(list(batch_ids)))
        .subquery()
    )
    query = select(states.c.batch_id, states.c.state, func.count()).group_by(states.c.batch_id, states.c.state)
    found: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
    for batch_id, state, count in session.execute(query):
        found[batch_id][str(state)] = count
    return found


def batch_of(record: BatchRecord, counts: Mapping[str, int]) -> Batch:
    """Return a batch as it stands."""
    mapping = json.loads(record.mapping)
    state = state_of(record, counts)
    return Batch(
        id=record.batch_id,
        dag_id=record.dag_id,
        version=record.version,
        name=record.name,
        user=record.user,
        created_at=iso(record.created_at),
        state=state,
        total=record.total,
        counts=dict(counts),
        max_active=record.max_active,
        progress=_progress(record.total, counts),
        ended_at=iso(record.ended_at) if state in ("success", "failed", "stopped") else None,
        stopped_by=record.stopped_by,
        stopped_at=iso(record.stopped_at),
        problem=record.problem,
        mapping=mapping["paths"],
        name_column=mapping["name"],
    )


def state_of(record: BatchRecord, counts: Mapping[str, int]) -> BatchState:
    """Return the state of a batch: what goes on counts more than how it ended, and a stop more than failures."""
    if record.stop_asked > record.stop_done:
        return "stopping"
    started = [state for state in counts if state not in (PENDING, INVALID)]
    if counts.get(PENDING) and not started:
        return "creating"
    if counts.get(PENDING) or any(counts.get(state) for state in ACTIVE):
        return "running"
    if record.stopped_by and counts.get("stopped"):
        return "stopped"
    return "failed" if any(counts.get(state) for state in RETRIED) else "success"


def _progress(total: int, counts: Mapping[str, int]) -> int:
    """Return how many of the rows that were to start have come to an end, up to 100."""
    wanted = total - counts.get(INVALID, 0)
    left = sum(counts.get(state, 0) for state in (PENDING, *ACTIVE))
    return int(100 * (wanted - left) / wanted) if wanted > 0 else 100


def rows_query(batch_id: str) -> Select[object]:
    """Return the query for the rows of a batch, in their order; columns as :func:`rows_of` reads them."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    row = BatchRowRecord
    columns = (row.number, row.name, row.run_id, row.attempt, row.problems, DagRun.start_date, DagRun.end_date)
    query = select(*columns, shown_state().label("state"))
    return with_runs(query).where(row.batch_id == batch_id).order_by(row.number)


def rows_of(session: Session, dag_id: str, plan: Plan | None, found: Iterable[Row[object]]) -> tuple[BatchRow, ...]:
    """Return rows as :func:`rows_query` finds them, with how far their runs are."""
    found = list(found)
    tasks = _tasks(session, dag_id, [row.run_id for row in found if row.run_id])
    steps = [(step, frozenset(_task_ids(step))) for step in plan.steps] if plan else []
    return tuple(_row(row, tasks.get(row.run_id, {}), steps) for row in found)


def _row(row: Row[object], tasks: Mapping[str, Counter[str]], steps: list[tuple[Step, frozenset[str]]]) -> BatchRow:
    state = cast("RowState", row.state)
    has_run = state in (*ACTIVE, "success", "failed", "stopped") and bool(tasks)
    return BatchRow(
        number=row.number,
        name=row.name,
        state=state,
        run_id=row.run_id,
        attempt=row.attempt,
        progress=100 if state == "success" else min(99, _percent(tasks)),
        problems=tuple(SheetProblem(**problem) for problem in json.loads(row.problems or "[]")),
        steps=tuple(_step(step, ids, tasks) for step, ids in steps) if has_run else (),
        started_at=iso(row.start_date),
        ended_at=iso(row.end_date),
    )


def _step(step: Step, task_ids: frozenset[str], tasks: Mapping[str, Counter[str]]) -> BatchStep:
    state = state_of_all(state for task_id in task_ids for state in tasks.get(task_id, ()))
    return BatchStep(step.id, step.label or step.id, told_task_state(state))


def _task_ids(step: Step) -> Iterable[str]:
    yield from step.tasks
    for inner in step.steps:
        yield from _task_ids(inner)


def _percent(tasks: Mapping[str, Counter[str]]) -> int:
    total = sum(counts.total() for counts in tasks.values())
    done = sum(counts[state] for counts in tasks.values() for state in _DONE)
    return int(100 * done / total) if total else 0


def _tasks(session: Session, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, Counter[str]]]:
    """Return how many task instances of each task of some runs are in which state, with one query."""
    from airflow.models.taskinstance import TaskInstance as Task
    from sqlalchemy import func, select

    query = (
        select(Task.run_id, Task.task_id, Task.state, func.count())
        .where(Task.dag_id == dag_id, Task.run_id.in_(run_ids))
        .group_by(Task.run_id, Task.task_id, Task.state)
    )
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for run_id, task_id, state, count in session.execute(query) if run_ids else ():
        found[run_id][task_id][str(state or _NO_STATUS)] += count
    return found
