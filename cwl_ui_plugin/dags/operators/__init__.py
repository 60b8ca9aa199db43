"""The kinds of tasks of a CWL Dag. They are thin: what CWL means is in ``cwl.engine.execution``."""

from __future__ import annotations

from cwl_ui_plugin.dags.operators.base import Document
from cwl_ui_plugin.dags.operators.ends import (
    CwlDispatchOperator,
    CwlGatherOperator,
    CwlGroupDispatchOperator,
    CwlGroupGatherOperator,
)
from cwl_ui_plugin.dags.operators.nested import CwlEnterOperator, CwlLeaveOperator
from cwl_ui_plugin.dags.operators.scattered import CwlCollectOperator, CwlElementsOperator, CwlScatterOperator
from cwl_ui_plugin.dags.operators.steps import CwlStepOperator

__all__ = [
    "CwlCollectOperator",
    "CwlDispatchOperator",
    "CwlElementsOperator",
    "CwlEnterOperator",
    "CwlGatherOperator",
    "CwlGroupDispatchOperator",
    "CwlGroupGatherOperator",
    "CwlLeaveOperator",
    "CwlScatterOperator",
    "CwlStepOperator",
    "Document",
]
