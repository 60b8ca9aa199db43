"""The listener that hears that a component of Airflow starts."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

from cwl_ui_plugin.dags.preload import preload_in_component


@hookimpl
def on_starting(component: Any) -> None:
    """Preload; a component does not know yet what kind of job it is when it says that it starts."""
    preload_in_component()
