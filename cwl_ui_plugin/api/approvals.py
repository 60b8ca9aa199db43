"""Before which steps of a workflow somebody is asked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import GetUserDep, allow_dag
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.workflows import approvals

router = APIRouter(tags=["workflows"])
MAX_STEPS = 1000


@router.get(
    "/workflows/{dag_id}/approvals",
    dependencies=[allow_dag(permissions.may_read)],
    responses=answers(approvals.Approvals, 404),
)
def get_approvals(dag_id: str) -> object:
    """Show before which steps somebody is asked: those that were chosen, and those that the document names."""
    return approvals.approvals_of(dag_id)


@router.put(
    "/workflows/{dag_id}/approvals",
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_replace)],
    responses=answers(approvals.Approvals, 400, 404, 503),
)
def set_approvals(
    dag_id: str, steps: Annotated[list[str], Body(embed=True, max_length=MAX_STEPS)], user: GetUserDep
) -> object:
    """Ask before these steps (task ids) from now on, besides those that the document names; runs go on as they are."""
    return approvals.choose(dag_id, steps, user=user.get_name())
