"""Run CWL workflows on Apache Airflow: upload, trigger signed, watch, report, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.version import __version__

if TYPE_CHECKING:
    from cwl_ui_plugin.dags.dag import CWLDAG

__all__ = ["CWLDAG", "__version__"]


def __getattr__(name: str) -> Any:
    """Import ``CWLDAG`` when it is first asked for: the command line must not pay for Airflow."""
    if name == "CWLDAG":
        from cwl_ui_plugin.dags.dag import CWLDAG

        return CWLDAG
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
