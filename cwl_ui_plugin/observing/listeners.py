"""Listeners that come before Airflow's OpenLineage provider: what users gave to a run is not for its events.

The provider puts the conf of a run into every event of it. The conf of a CWL run is its job, which may hold secrets
(cwltool:Secrets), and may be as large as ``[cwl] max_job_size`` allows. Where the provider is not in use, these do
nothing; in the scheduler they use no database.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.sdk import DAG
    from airflow.sdk.types import DagRunProtocol


PROVIDER = "airflow.providers.openlineage.utils.utils"
TAG = "cwl"
LEFT_OUT = {"cwl": "The job of a CWL run is no part of its events; the datasets of its first task are its files."}
_others: set[str] = set()
"""Dags that are known to be none of CWL; of those that are not known nothing is shown."""


@hookimpl(tryfirst=True)
def on_task_instance_running(previous_state: object, task_instance: object) -> None:
    """A task has started."""
    _guard(getattr(getattr(task_instance, "task", None), "dag", None))


@hookimpl(tryfirst=True)
def on_task_instance_success(previous_state: object, task_instance: object) -> None:
    """A task has succeeded."""
    _guard(getattr(getattr(task_instance, "task", None), "dag", None))


@hookimpl(tryfirst=True)
def on_task_instance_failed(previous_state: object, task_instance: object, error: object) -> None:
    """A task has failed."""
    _guard(getattr(getattr(task_instance, "task", None), "dag", None))


@hookimpl(tryfirst=True)
def on_task_instance_skipped(previous_state: object, task_instance: object) -> None:
    """A task was skipped."""
    _guard(getattr(getattr(task_instance, "task", None), "dag", None))


@hookimpl(tryfirst=True)
def on_dag_run_running(dag_run: object, msg: str) -> None:
    """A run has started."""
    _guard(getattr(dag_run, "dag", None))


@hookimpl(tryfirst=True)
def on_dag_run_success(dag_run: object, msg: str) -> None:
    """A run has succeeded."""
    _guard(getattr(dag_run, "dag", None))


@hookimpl(tryfirst=True)
def on_dag_run_failed(dag_run: object, msg: str) -> None:
    """A run has failed."""
    _guard(getattr(dag_run, "dag", None))


def _guard(dag: DAG | None) -> None:
    """See that the provider in this process, if it is in use, shows the conf of runs of other Dags only."""
    provider = sys.modules.get(PROVIDER)
    if provider is None:
        return
    if dag is not None and TAG not in (dag.tags or ()):
        _others.add(dag.dag_id)
    provider.DagRunInfo.casts.setdefault("conf", _shown_conf)


def _shown_conf(run: DagRunProtocol) -> object:
    """Return what an event may have of a run's conf."""
    return run.conf if not run.conf or run.dag_id in _others else LEFT_OUT
