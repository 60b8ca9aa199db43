"""The endpoint of the predecessors, mounted at ``/api/experimental``: their clients work unchanged.

With the Variable ``jwt_backend_public_key`` a trigger must be signed, and needs no login; without it the caller must be
a user of Airflow who may trigger that Dag.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from cwl_ui_plugin.addresses import TRIGGER_BELOW
from cwl_ui_plugin.api import errors
from cwl_ui_plugin.api.request_json import check_object, json_object, parse_object
from cwl_ui_plugin.api.schemas import ANY, OldRun, StartedRun, answers, failing
from cwl_ui_plugin.api.security import (
    OptionalUser,
    allow_dag,
    check_same_origin,
    clean_address,
    known,
    logged_in,
    name_of,
    require,
)
from cwl_ui_plugin.auth import jwt_backend, permissions
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services.errors import BadRequest, NotVerified
from cwl_ui_plugin.services.models import RunSummary
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.signatures import reason
from cwl_ui_plugin.services.triggering import refusals, triggers
from cwl_ui_plugin.signing.errors import SigningError
from cwl_ui_plugin.version import __version__

router = APIRouter(tags=["experimental"])
_TRIGGER_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "run_id": {"type": ["string", "null"], "maxLength": triggers.MAX_RUN_ID},
                        "conf": {"description": '`{"job": {...}}`, as JSON text or as an object'},
                        **{
                            name: {"description": "A JWT over exactly run_id and conf"}
                            for name in jwt_backend.SIGNATURES
                        },
                    },
                }
            }
        },
    }
}


@cache
def app() -> FastAPI:
    """Return the app."""
    made = FastAPI(
        title="CWL triggers", version=__version__, docs_url=None, redoc_url=None, dependencies=[clean_address]
    )
    errors.install(made)
    made.include_router(router)
    return made


@router.get("/test", responses=failing(400, 500))
def test() -> dict[str, str]:
    """Tell that the endpoint is there."""
    return {"status": "OK"}


@router.post(
    TRIGGER_BELOW,
    responses=answers(StartedRun, 404, 409, 413, 503) | ANY,
    openapi_extra=_TRIGGER_SCHEMA,
)
def trigger(
    dag_id: str,
    request: Request,
    user: OptionalUser,
    body: Annotated[dict[str, Any], Depends(json_object)],
) -> Response:
    """Start a run: `{"run_id", "conf", "check_payload"?}`, `conf` as JSON text or as an object."""
    with refusals.recorded(dag_id, body.get("run_id"), name_of(user)):
        run = _triggered(dag_id, request, user, body)
    return JSONResponse(_answer(run))


@router.get(
    TRIGGER_BELOW,
    responses=answers(list[OldRun]) | ANY,
    dependencies=[allow_dag(permissions.may_read)],
)
def list_runs(dag_id: str, state: str | None = None) -> Any:
    """List the newest runs of a Dag, as the predecessors did."""
    page = queries.list_runs([dag_id], state=state, limit=queries.MAX_PAGE)
    return [
        {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "state": run.state,
            "execution_date": run.logical_date or run.queued_at,
            "start_date": run.started_at,
        }
        for run in page.items
    ]


def _triggered(dag_id: str, request: Request, user: OptionalUser, body: dict[str, Any]) -> RunSummary:
    try:
        verified = jwt_backend.verify_body(body, dag_id)
    except SigningError as error:
        raise NotVerified(reason(error)) from error
    if verified is None:
        caller = _allowed_user(request, user, dag_id)
        actor = jwt_backend.Actor(caller.get_name(), permissions.input_access(caller))
    else:
        actor = jwt_backend.acting_user(dag_id, known(user))
    conf = _conf(body.get("conf"))
    return triggers.trigger(
        dag_id,
        conf=conf if verified is None else with_signature(conf, verified.token),
        run_id=_run_id(body),
        user=actor.name,
        files=actor.files,
        via=triggers.EXPERIMENTAL,
        signature=verified.signature if verified else None,
    )


def _allowed_user(request: Request, user: OptionalUser, dag_id: str) -> BaseUser:
    """Return the user; raise 401 or 403 if there is none who may trigger, or if it is not the user who does it."""
    known = logged_in(user)
    check_same_origin(request)
    require(permissions.may_trigger(known, dag_id))
    return known


def with_signature(conf: dict[str, Any], token: str) -> dict[str, Any]:
    """Return the conf of a signed run: what was signed, and the signature."""
    if SIGNATURE in conf:
        raise BadRequest(f"The conf that is signed must not have a field {SIGNATURE}: the signature is kept there.")
    return {**conf, SIGNATURE: token}


def _conf(conf: Any) -> dict[str, Any]:
    if conf is None or conf == "":
        return {}
    return parse_object(conf, "conf") if isinstance(conf, str) else check_object(conf, "conf")


def _run_id(body: dict[str, Any]) -> str | None:
    run_id = body.get("run_id")
    if run_id is not None and not isinstance(run_id, str):
        raise BadRequest("run_id must be a text.")
    return run_id


def _answer(run: RunSummary) -> dict[str, Any]:
    """Return what the predecessors' clients read; Airflow 3 has no logical date for such runs, they want some date."""
    date = run.logical_date or run.queued_at
    return {
        "message": f"Created <DagRun {run.dag_id} @ {date}: {run.run_id}, externally triggered: True>",
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "dag_run_id": run.run_id,
        "state": run.state,
        "logical_date": run.logical_date,
        "execution_date": date,
    }
