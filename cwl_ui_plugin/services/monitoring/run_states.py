"""The states of a run and of its tasks as people are told them.

Airflow has no state for a run that was stopped or that waits for somebody's word: to it the one has failed, the other
is running. Of the tasks of a stopped run it says that they failed, also of those that never began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast, get_args

from cwl_ui_plugin.cwl.task_names import APPROVAL_SUFFIX
from cwl_ui_plugin.reports.stops import stops_run
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.run_models import ShownState

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

SHOWN_STATES: tuple[ShownState, ...] = get_args(ShownState)
AIRFLOW_STATES = ("queued", "running", "success", "failed")
ASKING = "awaiting_input"
"""Airflow's state of a task that waits for somebody's word; before 3.3 such a task is deferred."""
DEFERRED = "deferred"


def shown_state(state: str, *, is_stopped: bool = False, is_waiting: bool = False) -> ShownState:
    """Return what people are told of a run: ``state`` is Airflow's, ``is_waiting`` that somebody is asked in it."""
    if state == "failed" and is_stopped:
        return "stopped"
    if state in ("queued", "running") and is_waiting:
        return "waiting"
    return cast("ShownState", state)


_TOLD = {
    "upstream_failed": "not_run",
    "scheduled": "waits",
    "queued": "waits",
    "up_for_reschedule": "waits",
    DEFERRED: "waits",
}
"""What people are told of a task, where that is not Airflow's state."""
_WORDS = {ASKING: "waits for approval", "no_status": "not started", "up_for_retry": "waits for another try"}


def state_text(state: str) -> str:
    """Return a state of a run or of a task, as people are told it, in words."""
    return _WORDS.get(state, state.replace("_", " "))


def told_task_state(state: str) -> str:
    """Return what people are told of a task that nobody has stopped; ``state`` is Airflow's."""
    return _TOLD.get(state, state)


@dataclass(frozen=True)
class TaskEnd:
    """How a task instance ended; ``may_go_on``: it would have been tried again."""

    began: datetime | None
    ended: datetime | None
    may_go_on: bool = False


def shown_task_state(state: str, end: TaskEnd, stopped_at: datetime | None) -> str:
    """Return what people are told of a task: ``stopped_at`` is when its run was, None where nobody has stopped it."""
    if state != "failed" or stopped_at is None or end.ended is None:
        return told_task_state(state)
    if end.ended < stopped_at:
        return "stopped" if end.may_go_on else "failed"
    # The stop gives a task that never began the same moment for its beginning and its end.
    return "stopped" if end.began is not None and end.began < end.ended else "not_run"


def in_airflow_state(state: str) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for runs in one of Airflow's states, or stopped or waiting; raise :class:`BadRequest`."""
    from airflow.models.dagrun import DagRun

    if state in ("stopped", "waiting"):
        yield from in_shown_state(state)
    elif state in AIRFLOW_STATES:
        yield DagRun.state == state
    else:
        raise _no_state(state, (*AIRFLOW_STATES, "stopped", "waiting"))


def in_shown_state(state: str) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for runs of which people are told this state; raise :class:`BadRequest`."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import exists

    if state not in SHOWN_STATES:
        raise _no_state(state, SHOWN_STATES)
    is_stopped = exists().where(stops_run())
    if state in ("failed", "stopped"):
        yield DagRun.state == "failed"
        yield is_stopped if state == "stopped" else ~is_stopped
    elif state == "success":
        yield DagRun.state == state
    else:
        yield DagRun.state.in_(["queued", "running"] if state == "waiting" else [state])
        yield _is_asked() if state == "waiting" else ~_is_asked()


def _is_asked() -> ColumnElement[bool]:
    """Return the condition that a task of a run waits for somebody's word."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import exists

    return exists().where(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id, asks())


def _no_state(state: str, known: Iterable[str]) -> BadRequest:
    return BadRequest(f"{state!r} is no state of a run; use one of {', '.join(known)}.")


def asks() -> ColumnElement[bool]:
    """Return the condition that a task instance waits for somebody's word."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import and_, or_

    task = TaskInstance
    is_approval = task.task_id.endswith(APPROVAL_SUFFIX, autoescape=True)
    return or_(task.state == ASKING, and_(task.state == DEFERRED, is_approval))
