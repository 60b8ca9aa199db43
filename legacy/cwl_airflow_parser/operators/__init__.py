"""Where cwl-airflow-parser had its first and last task."""

from cwl_ui_plugin_legacy.ends import CWLJobDispatcher, CWLJobGatherer

__all__ = ["CWLJobDispatcher", "CWLJobGatherer"]
