"""The listener that hears that a component of Airflow starts."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

from cwl_ui_plugin.dags.janitor import start_in_scheduler
from cwl_ui_plugin.dags.preload import preload_in_component


@hookimpl
def on_starting(component: Any) -> None:
    """Get ready for tasks; a component does not know yet what kind of job it is when it says that it starts."""
    start_in_scheduler()
    preload_in_component()
