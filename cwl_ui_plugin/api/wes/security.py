"""Who calls WES: by a bearer token of Airflow, by its session, or by the token as a password (HTTP Basic)."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials

from cwl_ui_plugin.api.security import require
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.wes.run_ids import run_of

_BASIC = "basic "


async def optional_user(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)]
) -> BaseUser | HTTPException:
    """Return the user, or the HTTPException that says why there is none."""
    try:
        return await get_user(request, None, bearer or _password_as_bearer(request))
    except HTTPException as error:
        return error


def user(found: Annotated[BaseUser | HTTPException, Depends(optional_user)]) -> BaseUser:
    """Return the user; raise what says why there is none."""
    if isinstance(found, HTTPException):
        raise found
    return found


OptionalUser = Annotated[BaseUser | HTTPException, Depends(optional_user)]
User = Annotated[BaseUser, Depends(user)]
RunKey = tuple[str, str]


def readable_run(run_id: str, caller: User) -> RunKey:
    """Return dag_id and run_id of a run whose Dag the caller may read."""
    dag_id, name = run_of(run_id)
    require(permissions.may_read(caller, dag_id))
    return dag_id, name


def stoppable_run(run_id: str, caller: User) -> RunKey:
    """Return dag_id and run_id of a run that the caller may stop."""
    dag_id, name = run_of(run_id)
    require(permissions.may_stop(caller, dag_id))
    return dag_id, name


ReadableRun = Annotated[RunKey, Depends(readable_run)]
StoppableRun = Annotated[RunKey, Depends(stoppable_run)]


def _password_as_bearer(request: Request) -> HTTPAuthorizationCredentials | None:
    """Return the password of HTTP Basic, which is to be a token of Airflow; the user's name says nothing."""
    sent = request.headers.get("authorization", "")
    if not sent.lower().startswith(_BASIC):
        return None
    try:
        _name, _, token = base64.b64decode(sent[len(_BASIC) :].strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return HTTPAuthorizationCredentials(scheme="Bearer", credentials=token) if token else None
