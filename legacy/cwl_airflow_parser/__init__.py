"""The names that Dag files of cwl-airflow-parser import, for cwl-ui-plugin; each is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "CWLDAG": "cwl_ui_plugin_legacy.cwldag",
    "CWLJobDispatcher": "cwl_ui_plugin_legacy.ends",
    "CWLJobGatherer": "cwl_ui_plugin_legacy.ends",
    "CWLStepOperator": "cwl_ui_plugin_legacy.ends",
}


def __getattr__(name: str) -> object:
    """Import what a Dag file asks for: an auth backend below this package must not pay for it."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
