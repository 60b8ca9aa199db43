"""A cluster policy of Airflow: a step whose needs depend on the inputs of a run gets them when the run is created.

Airflow finds it by the entry point ``airflow.policy`` and calls it for every task instance, of all Dags. It is also the
one module of the plugin that a Celery worker imports before it forks.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

from airflow import policies

from cwl_ui_plugin.dags.preload import preload_in_celery_worker
from cwl_ui_plugin.dags.resources import EXECUTOR_KEY, ExecutorRules
from cwl_ui_plugin.dags.stopping.janitor import start_in_celery_worker

log = logging.getLogger(__name__)


def apply(task_instance: Any, dag_run: Any) -> None:
    """Give a task instance of a step what its run's job makes it need."""
    executor_config = task_instance.executor_config
    if not isinstance(executor_config, dict) or EXECUTOR_KEY not in executor_config:
        return
    conf = getattr(dag_run, "conf", None)
    job = conf.get("job") if isinstance(conf, dict) else None
    try:
        rules = ExecutorRules.configured()
        arguments = rules.arguments_for_job(executor_config, job if isinstance(job, dict) else {})
    except Exception:
        log.exception("The resources of %s can't be told from the job; it gets the default.", task_instance.task_id)
        return
    for name, value in arguments.items():
        setattr(task_instance, name, value)


start_in_celery_worker()
preload_in_celery_worker()

# Airflow 3.2 does not hand the run to a policy, and refuses one that asks for it.
if "dag_run" in inspect.signature(policies.task_instance_mutation_hook).parameters:

    @policies.hookimpl
    def task_instance_mutation_hook(task_instance: Any, dag_run: Any) -> None:
        """See :func:`apply`."""
        apply(task_instance, dag_run)
