"""Where CWL-Airflow before 1.2 had its CWLDAG."""

from cwl_ui_plugin_legacy.cwldag import CWLDAG

__all__ = ["CWLDAG"]
