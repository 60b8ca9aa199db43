"""Listeners that wake the reporter, and the scheduler when a task has ended.

They tell nothing: both read Airflow's database, and come round without them.

In the scheduler they run inside of its transaction: no database, nothing slow, no exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from cwl_ui_plugin.dags import created_runs
from cwl_ui_plugin.reports.loop import wake

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun


MARKED = "manually set to"
"""What Airflow says of a run that a user has set to a state."""


@hookimpl
def on_task_instance_running(previous_state: object, task_instance: object) -> None:
    """A task has started."""
    wake()


@hookimpl
def on_task_instance_success(previous_state: object, task_instance: object) -> None:
    """A task has succeeded."""
    created_runs.tell()
    wake()


@hookimpl
def on_task_instance_failed(previous_state: object, task_instance: object, error: object) -> None:
    """A task has failed, or is to be tried again."""
    created_runs.tell()
    wake()


@hookimpl
def on_task_instance_skipped(previous_state: object, task_instance: object) -> None:
    """A task was skipped."""
    created_runs.tell()
    wake()


@hookimpl
def on_dag_run_running(dag_run: object, msg: str) -> None:
    """A run has started."""
    wake()


@hookimpl
def on_dag_run_success(dag_run: object, msg: str) -> None:
    """A run has succeeded."""
    wake()


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """A run has failed; where a user has set it so, it was stopped, and Airflow calls this in the API server."""
    if MARKED in msg:
        from cwl_ui_plugin.reports.stops import keep_marked

        keep_marked(dag_run)
    wake()
