"""What is behind the names of the predecessors, ``cwl_airflow_parser`` and ``cwl_airflow``."""

from cwl_ui_plugin_legacy.version import __version__

__all__ = ["__version__"]
