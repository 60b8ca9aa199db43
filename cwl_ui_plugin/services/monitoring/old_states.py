"""Runs, tasks and their states as CWL-Airflow 1.2 knew them: it ran on Airflow 2, which had fewer states."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from cwl_ui_plugin.services.run_models import RunSummary

RunState = Literal["running", "success", "failed"]
TaskState = Literal[
    "failed",
    "upstream_failed",
    "up_for_retry",
    "running",
    "queued",
    "scheduled",
    "up_for_reschedule",
    "none",
    "skipped",
    "success",
]
RUN_STATES: dict[RunState, tuple[str, ...]] = {
    "running": ("queued", "running"),
    "success": ("success",),
    "failed": ("failed",),
}
"""For each of its states of a run those of Airflow 3."""
TASK_STATES: tuple[TaskState, ...] = get_args(TaskState)
"""Its states of a task; of several task instances of one task the first of these is the state of the task."""
_NEWER: dict[str, TaskState] = {
    "restarting": "running",
    "deferred": "running",
    "awaiting_input": "running",
    "removed": "none",
}


def run_state(state: str) -> RunState:
    """Return the state of a run."""
    return next((old for old, news in RUN_STATES.items() if state in news), "running")


def task_state(state: str | None) -> TaskState:
    """Return the state of a task instance."""
    known = _NEWER.get(state or "none", state or "none")
    return next((old for old in TASK_STATES if old == known), "none")


def task_states(runs: Iterable[RunSummary]) -> dict[tuple[str, str], dict[str, TaskState]]:
    """Return for each run, by dag_id and run_id, its tasks with their states; with one query for all of them."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select, tuple_

    task = TaskInstance.__table__
    keys = [(run.dag_id, run.run_id) for run in runs]
    query = (
        select(task.c.dag_id, task.c.run_id, task.c.task_id, task.c.state)
        .where(tuple_(task.c.dag_id, task.c.run_id).in_(keys))
        .distinct()
    )
    found: dict[tuple[str, str], dict[str, TaskState]] = {key: {} for key in keys}
    with create_session(scoped=False) as session:
        for dag_id, run_id, task_id, state in session.execute(query):
            states = found[dag_id, run_id]
            others = [states[task_id]] if task_id in states else []
            states[task_id] = min((*others, task_state(state)), key=TASK_STATES.index)
    return found
