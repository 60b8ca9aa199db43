"""For Dag files: ``from cwl_ui_plugin.decorators import cwl_task``, which is ``@task.cwl``, too."""

from cwl_ui_plugin.dags.decorator import cwl_task

__all__ = ["cwl_task"]
