"""The signatures of calls of CWL-Airflow's API: those that start a run are signed as for the endpoint of both."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import HTTPException, Request

from cwl_ui_plugin.api import starting
from cwl_ui_plugin.api.cwl_airflow.callers import Caller, caller_of
from cwl_ui_plugin.api.cwl_airflow.calls import OldCall
from cwl_ui_plugin.auth import jwt_backend
from cwl_ui_plugin.services.errors import NotVerified
from cwl_ui_plugin.services.signatures import reason
from cwl_ui_plugin.signing.errors import SigningError


def caller_of_trigger(request: Request, user: BaseUser | HTTPException, call: OldCall, dag_id: str) -> Caller:
    """Return whom a call acts as that starts a run and sends no workflow: ``run_id`` and ``conf`` are signed."""
    signed = starting.verified(call.sent, dag_id)
    return caller_of(request, user, (signed.token, signed.signature) if signed else None)


def caller_of_fields(request: Request, user: BaseUser | HTTPException, call: OldCall, *names: str) -> Caller:
    """Return whom any other call acts as: exactly these fields are signed, with the digest of the workflow if sent.

    Raises:
        NotVerified: the server has a key, and the signature does not hold.

    """
    try:
        signed = jwt_backend.verify_fields(call.sent, call.signed_fields(*names))
    except SigningError as error:
        raise NotVerified(reason(error)) from error
    return caller_of(request, user, signed)
