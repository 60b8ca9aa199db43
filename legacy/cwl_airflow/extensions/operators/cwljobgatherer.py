"""Where CWL-Airflow 1.2 had its CWLJobGatherer."""

from cwl_ui_plugin_legacy.ends import CWLJobGatherer

__all__ = ["CWLJobGatherer"]
