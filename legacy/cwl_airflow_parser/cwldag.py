"""Where cwl-airflow-parser had its CWLDAG."""

from cwl_ui_plugin_legacy.cwldag import CWLDAG

__all__ = ["CWLDAG"]
