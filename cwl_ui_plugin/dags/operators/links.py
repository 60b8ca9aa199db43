"""Buttons on Airflow's page of a task that lead to pages of ours.

Airflow asks plugins for them where it shows a Dag. So they are in no serialized Dag, and no task has to send them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.sdk import BaseOperator, BaseOperatorLink

from cwl_ui_plugin import addresses
from cwl_ui_plugin.dags import operators
from cwl_ui_plugin.dags.decorator import DecoratedCwlOperator
from cwl_ui_plugin.dags.operators.base import CwlOperator
from cwl_ui_plugin.dags.operators.whole import CwlToolOperator

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


_OURS: list[type[BaseOperator]] = [
    *(kind for kind in vars(operators).values() if isinstance(kind, type) and issubclass(kind, CwlOperator)),
    CwlToolOperator,
    DecoratedCwlOperator,
]


class StepLink(BaseOperatorLink):
    """Leads to what the step has done: its command, and what that has printed."""

    name = "CWL step"
    operators: ClassVar[list[type[BaseOperator]]] = _OURS

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return an address on Airflow's pages, relative to where these are."""
        address = addresses.airflow_task_tab(ti_key.dag_id, ti_key.run_id, ti_key.task_id, ti_key.map_index)
        return address.lstrip("/")


class OutputsLink(BaseOperatorLink):
    """Leads to the run, whose page begins with its outputs once it has ended."""

    name = "Outputs"
    operators: ClassVar[list[type[BaseOperator]]] = _OURS

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return an address on Airflow's pages, relative to where these are."""
        return addresses.airflow_run_tab(ti_key.dag_id, ti_key.run_id).lstrip("/")
