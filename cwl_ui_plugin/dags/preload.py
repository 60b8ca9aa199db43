"""Importing cwltool in the processes that fork task processes: a step then starts in milliseconds instead of seconds.

With the LocalExecutor that is the scheduler, which tells its listeners that it starts (see ``starting``). A Celery
worker loads the cluster policies (see ``policy``) but no plugins, and has a signal of its own. ``[cwl] preload``
switches it off.

Nothing of Airflow is imported here: Airflow imports this module while it is being imported itself.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module

log = logging.getLogger(__name__)
_DAG_FILES_MODULE = "cwl_ui_plugin.dags.stored"
_OWN_MODULES = (
    "cwl_ui_plugin.dags.bundle",
    "cwl_ui_plugin.dags.access.permits",
    "cwl_ui_plugin.dags.folders.intermediate",
    "cwl_ui_plugin.dags.folders.placement",
    "cwl_ui_plugin.dags.folders.run_folder",
    "cwl_ui_plugin.dags.known_engine",
    "cwl_ui_plugin.dags.remote_inputs",
    "cwl_ui_plugin.dags.scheduling",
    "cwl_ui_plugin.dags.site",
    "cwl_ui_plugin.dags.stopping.tombstones",
    _DAG_FILES_MODULE,
    "cwl_ui_plugin.cwl.jobs.checks",
    "cwl_ui_plugin.cwl.engine.execution",
    "cwl_ui_plugin.cwl.engine.nesting",
    "cwl_ui_plugin.cwl.engine.scattering",
)
# What each task imports that only asks for its context.
_FOR_ANY_TASK = ("airflow.sdk.definitions.asset.metadata", "jinja2.ext", "encodings.ascii")
# What each task process of a Celery worker would import by itself; the LocalExecutor's processes have it already.
_AIRFLOWS_MODULES = (
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk.execution_time.supervisor",
    "airflow.dag_processing.dagbag",
    "airflow.dag_processing.bundles.manager",
)


def is_dag_processor() -> bool:
    """Whether this is Airflow's Dag processor, or a process that it has forked."""
    return "dag-processor" in sys.argv


def preload_in_component() -> None:
    """Preload in a scheduler or a Dag processor, which fork a process for each task or Dag file."""
    if "scheduler" in sys.argv:
        _preload()
    elif is_dag_processor():
        import_module(_DAG_FILES_MODULE)
        _ask_for_engine()


def preload_in_celery_worker() -> None:
    """Have a Celery worker preload before it forks; do nothing in any other process."""
    if not {"celery", "worker"} <= set(sys.argv):
        return
    from celery.signals import worker_init

    worker_init.connect(_on_worker_init, weak=False)


def _on_worker_init(**_kwargs: object) -> None:
    from cwl_ui_plugin.dags import task_ends

    task_ends.install()
    _preload(*_AIRFLOWS_MODULES)


def _ask_for_engine() -> None:
    """Look once which cwltool is installed, which each Dag of a workflow that was compiled again asks for."""
    from cwl_ui_plugin.library.compilations import own_compiler

    own_compiler()


def _find_listeners() -> None:
    """Look for plugins with listeners as each task process would: it finds them, as those were forked that have it."""
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()


def _preload(*modules: str) -> None:
    """Import what tasks need; a failure only costs the time that was to be saved."""
    from cwl_ui_plugin import config

    if not config.flag("preload"):
        return
    try:
        for module in (*modules, *_FOR_ANY_TASK, *_OWN_MODULES):
            import_module(module)
        from cwl_ui_plugin.cwl.engine.run_settings import preload

        preload()
        _ask_for_engine()
        _find_listeners()
        log.info("cwltool is preloaded")
    except Exception:
        log.exception("cwltool could not be preloaded; each step will import it by itself")
