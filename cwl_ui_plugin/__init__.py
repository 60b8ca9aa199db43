"""Run CWL workflows on Apache Airflow: upload, trigger signed, watch, report, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwl_ui_plugin.version import __version__

if TYPE_CHECKING:
    from cwl_ui_plugin.dags.dag import CWLDAG
    from cwl_ui_plugin.dags.task_group import CWLTaskGroup

__all__ = ["CWLDAG", "CWLTaskGroup", "__version__"]


def __getattr__(name: str) -> object:
    """Import what Dag files need when they ask for it: the command line must not pay for Airflow."""
    if name == "CWLDAG":
        from cwl_ui_plugin.dags.dag import CWLDAG

        return CWLDAG
    if name == "CWLTaskGroup":
        from cwl_ui_plugin.dags.task_group import CWLTaskGroup

        return CWLTaskGroup
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
