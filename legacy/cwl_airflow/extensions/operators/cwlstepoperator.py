"""Where CWL-Airflow 1.2 had its CWLStepOperator."""

from cwl_ui_plugin_legacy.ends import CWLStepOperator

__all__ = ["CWLStepOperator"]
