"""The states of WES, as conditions on Airflow's runs, so that lists, filters, counts and single runs say the same.

A run that has failed is EXECUTOR_ERROR where a command failed, or the workflow does not fit its inputs; SYSTEM_ERROR
where it was the worker, its disk, an image: another try of the very same might succeed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args

from cwl_ui_plugin.dags.names import DISPATCHER, ERROR_KEY
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.monitoring.run_states import in_shown_state
from cwl_ui_plugin.services.stopping import stops

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

State = Literal[
    "UNKNOWN",
    "QUEUED",
    "INITIALIZING",
    "RUNNING",
    "PAUSED",
    "COMPLETE",
    "EXECUTOR_ERROR",
    "SYSTEM_ERROR",
    "CANCELED",
    "CANCELING",
    "PREEMPTED",
]
STATES: tuple[State, ...] = get_args(State)
_PERMANENT, _TEMPORARY = "permanentFail", "temporaryFail"
_OF_DISKS = ("disk", "No space left", "Stale file handle", "Input/output error", "Too many open files")
"""What messages of commands say that ended badly, but not of themselves."""


def state_column() -> ColumnElement[str]:
    """Return the expression for the state of a run, except that who is being stopped is CANCELED already."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import and_, case

    return case(
        (and_(*in_shown_state("waiting")), "PAUSED"),
        (DagRun.state == "queued", "QUEUED"),
        (and_(DagRun.state == "running", ~_has_begun()), "INITIALIZING"),
        (DagRun.state == "running", "RUNNING"),
        (DagRun.state == "success", "COMPLETE"),
        (and_(*in_shown_state("stopped")), "CANCELED"),
        (and_(DagRun.state == "failed", _has_own_failure()), "EXECUTOR_ERROR"),
        (DagRun.state == "failed", "SYSTEM_ERROR"),
        else_="UNKNOWN",
    )


def in_state(state: str) -> ColumnElement[bool]:
    """Return the condition for runs in a state; raise :class:`BadRequest`."""
    if state not in STATES:
        raise BadRequest(f"{state[:80]!r} is no state; use one of {', '.join(STATES)}.")
    return state_column() == ("CANCELED" if state == "CANCELING" else state)


def shown(state: str, dag_id: str, run_id: str) -> State:
    """Return the state that clients are told, of what :func:`state_column` gave: whether a stop still goes on."""
    if state == "CANCELED" and stops.progress(dag_id, run_id) is not None:
        return "CANCELING"
    return cast("State", state)


def _has_begun() -> ColumnElement[bool]:
    """Return the condition that anything of a run but its first task has begun, which checks the inputs."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import exists

    task = TaskInstance
    of_run = (task.dag_id == DagRun.dag_id, task.run_id == DagRun.run_id)
    return exists().where(*of_run, task.task_id != DISPATCHER, task.start_date.is_not(None)).correlate(DagRun)


def _has_own_failure() -> ColumnElement[bool]:
    """Return the condition that a task of a run has failed of what it was to do."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import and_, exists, or_

    task, told = TaskInstance, XComModel
    kind, message = told.value["kind"].as_string(), told.value["message"].as_string()
    is_of_disk = or_(*(message.icontains(words, autoescape=True) for words in _OF_DISKS))
    is_own = or_(
        kind == _PERMANENT, and_(kind == _TEMPORARY, told.value["exit_code"].as_string().is_not(None), ~is_of_disk)
    )
    same = (told.dag_id == task.dag_id, told.run_id == task.run_id, told.task_id == task.task_id)
    return (
        exists()
        .where(task.dag_id == DagRun.dag_id, task.run_id == DagRun.run_id, task.state == "failed")
        .where(*same, told.map_index == task.map_index, told.key == ERROR_KEY, is_own)
        .correlate(DagRun)
    )
