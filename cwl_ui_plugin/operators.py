"""For Dag files: ``from cwl_ui_plugin.operators import CwlRunOperator, CwlToolOperator``."""

from cwl_ui_plugin.dags.operators.runs import CwlRunOperator
from cwl_ui_plugin.dags.operators.whole import CwlToolOperator

__all__ = ["CwlRunOperator", "CwlToolOperator"]
