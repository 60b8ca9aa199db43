"""For Dag files: ``from cwl_ui_plugin.task_group import CWLTaskGroup``."""

from cwl_ui_plugin.dags.task_group import CWLTaskGroup

__all__ = ["CWLTaskGroup"]
