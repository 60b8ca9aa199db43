"""Retention: what grows and how long it is kept, what would be removed now, and removing it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from fastapi import APIRouter
from pydantic import BaseModel

from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import GetUserDep, allow
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services import retention

router = APIRouter(prefix="/retention", tags=["retention"])
_EDITORS = [allow(permissions.may_edit_connection)]


class RemovableKinds(BaseModel):
    """What would go, or has gone, of each kind."""

    kinds: list[retention.Removable]


@router.get("", responses=answers(retention.Retention), dependencies=[allow(permissions.may_read_connection)])
def get_retention() -> object:
    """Show what grows, what it took when it was measured, and how long it is kept."""
    return asdict(retention.retention())


@router.get("/removable", responses=answers(RemovableKinds), dependencies=_EDITORS)
def get_removable(user: GetUserDep) -> object:
    """Tell what would be removed now. Workflows and runs are named that the user may see."""
    found = retention.removable(partial(permissions.may_read, user))
    return {"kinds": [asdict(kind) for kind in found]}


@router.post("/clean", responses=answers(RemovableKinds), dependencies=_EDITORS)
def clean_up(user: GetUserDep) -> object:
    """Remove what may go now, as the server does by itself each hour; tell what has gone."""
    return {"kinds": [asdict(kind) for kind in retention.clean(partial(permissions.may_read, user))]}


@router.post("/measure", responses=answers(retention.Retention), dependencies=_EDITORS)
def measure_retention() -> object:
    """Begin to measure what everything takes, in the background; `GET /retention` has it when it is done."""
    retention.measure_in_background()
    return asdict(retention.retention())
