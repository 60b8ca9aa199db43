"""The listener that hears that a component of Airflow starts."""

from __future__ import annotations

from airflow.listeners import hookimpl

from cwl_ui_plugin.dags.idle_scheduler import install_in_scheduler
from cwl_ui_plugin.dags.preload import preload_in_component
from cwl_ui_plugin.dags.stopping.janitor import start_in_scheduler


@hookimpl
def on_starting(component: object) -> None:
    """Get ready for tasks; a component does not know yet what kind of job it is when it says that it starts."""
    start_in_scheduler()
    install_in_scheduler()
    preload_in_component()
