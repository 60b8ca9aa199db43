"""Where cwl-airflow-parser had its CWLStepOperator."""

from cwl_ui_plugin_legacy.ends import CWLStepOperator

__all__ = ["CWLStepOperator"]
