"""The listener that hears that a component of Airflow starts."""

from __future__ import annotations

import sys
from functools import cache

from airflow.listeners import hookimpl

from cwl_ui_plugin.dags import task_ends
from cwl_ui_plugin.dags.idle_scheduler import install_in_scheduler
from cwl_ui_plugin.dags.preload import preload_in_component
from cwl_ui_plugin.dags.stopping.janitor import start_in_scheduler


@hookimpl
def on_starting(component: object) -> None:
    """Get ready for tasks; a component does not know yet what kind of job it is when it says that it starts."""
    _get_ready()


@cache
def _get_ready() -> None:
    """Do it once: a task says that it starts, too, and is a copy of a scheduler which has done it."""
    start_in_scheduler()
    install_in_scheduler()
    preload_in_component()
    if "scheduler" in sys.argv:  # the LocalExecutor's workers are its children
        task_ends.install()
