"""A cluster policy of Airflow: a step whose needs depend on the inputs of a run gets them when the run is created.

Airflow finds it by the entry point ``airflow.policy`` and calls it for every task instance, of all Dags. It is also the
one module of the plugin that every process of Airflow imports, and that a Celery worker imports before it forks.
"""

from __future__ import annotations

import inspect
import logging
import sys
from typing import TYPE_CHECKING

from airflow import policies, settings

from cwl_ui_plugin.dags import whole_runs
from cwl_ui_plugin.dags.preload import preload_in_celery_worker
from cwl_ui_plugin.dags.relaying import supervising
from cwl_ui_plugin.dags.resources import EXECUTOR_KEY, ExecutorRules
from cwl_ui_plugin.dags.run_job import given
from cwl_ui_plugin.dags.stopping.janitor import start_in_celery_worker

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance


log = logging.getLogger(__name__)


def apply(task_instance: TaskInstance, dag_run: DagRun) -> None:
    """Give a task instance of a step what its run's job, or whoever has started it, makes it need."""
    executor_config = task_instance.executor_config
    if dag_run is None or not isinstance(executor_config, dict) or EXECUTOR_KEY not in executor_config:
        return  # Airflow asks a first time before the task instance has its run
    job = given(getattr(dag_run, "conf", None))
    try:
        rules = ExecutorRules.configured()
        arguments = rules.arguments_for_job(executor_config, job, getattr(dag_run, "triggering_user_name", None) or "")
    except Exception:
        log.exception("The resources of %s can't be told from the job; it gets the default.", task_instance.task_id)
        return
    for name, value in arguments.items():
        setattr(task_instance, name, value)


def complete(task_instance: TaskInstance, dag_run: DagRun) -> None:
    """Give a task instance of any Dag what Airflow leaves out of those that it makes for a policy to look at.

    Without policies it writes rows that have the task's display name and the context of traces, too.
    """
    task = getattr(task_instance, "task", None)
    if dag_run is None or task is None:
        return
    if not getattr(task_instance, "_task_display_property_value", ""):
        task_instance._task_display_property_value = task.task_display_name
    make_carrier = getattr(sys.modules[type(task_instance).__module__], "new_task_run_carrier", None)
    if make_carrier and not getattr(task_instance, "context_carrier", None):
        task_instance.context_carrier = make_carrier(dag_run.context_carrier)


whole_runs.watch()
supervising.watch()
start_in_celery_worker()
preload_in_celery_worker()

# Airflow 3.2 does not hand the run to a policy, and refuses one that asks for it.
if "dag_run" in inspect.signature(policies.task_instance_mutation_hook).parameters:

    @policies.hookimpl
    def task_instance_mutation_hook(task_instance: TaskInstance, dag_run: DagRun) -> None:
        """See :func:`complete` and :func:`apply`."""
        complete(task_instance, dag_run)
        apply(task_instance, dag_run)

    # Airflow calls no policy for the task instances of a new run unless there is an airflow_local_settings.py, too.
    settings.task_instance_mutation_hook.is_noop = False  # type: ignore[attr-defined]
