"""Where CWL-Airflow 1.2 had its CWLJobDispatcher."""

from cwl_ui_plugin_legacy.ends import CWLJobDispatcher

__all__ = ["CWLJobDispatcher"]
