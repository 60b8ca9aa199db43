"""Who was asked whether a step may run, and who has answered what: from Airflow's human-in-the-loop tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.cwl.task_names import is_approval
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.monitoring import run_states
from cwl_ui_plugin.services.run_models import ApprovalAnswer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

WAITING = run_states.ASKING
_APPROVE = "Approve"
"""As the task offers it (``dags.operators.approvals``), which costs too much to import here."""
_REASON = "reason"


def known_state(task_id: str, state: str) -> str:
    """Return Airflow's state of a task, the same in each version of Airflow."""
    return WAITING if state == run_states.DEFERRED and is_approval(task_id) else state


def answers(session: Session, dag_id: str, run_id: str, task_ids: Iterable[str]) -> dict[str, ApprovalAnswer]:
    """Return what was asked and answered in a run, by task; one query, and none for a run that asks nobody."""
    asking = [task_id for task_id in task_ids if is_approval(task_id)]
    if not asking:
        return {}
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    details = HITLDetail
    query = (
        select(TaskInstance.task_id, details.created_at, details.responded_at, details.responded_by)
        .add_columns(details.chosen_options, details.params_input, details.assignees)
        .join(details, details.ti_id == TaskInstance.id)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id.in_(asking))
    )
    return {row.task_id: _answer(row) for row in session.execute(query)}


def _answer(row: Any) -> ApprovalAnswer:
    reason = row.params_input.get(_REASON) if isinstance(row.params_input, dict) else None
    word = None
    if row.responded_at is not None:
        word = "approved" if row.chosen_options == [_APPROVE] else "rejected"
    return ApprovalAnswer(
        asked_at=iso(row.created_at),
        assignees=tuple(str(user["name"]) for user in row.assignees or ()),
        answer=word,
        by=row.responded_by["name"] if row.responded_by else None,
        at=iso(row.responded_at),
        reason=str(reason) if reason else None,
    )
