"""The endpoint of the predecessors, mounted at ``/api/experimental``: their clients work unchanged.

With the Variable ``jwt_backend_public_key`` a trigger must be signed, and needs no login; without it the caller must be
a user of Airflow who may trigger that Dag, or is taken for the one of ``[cwl] unsigned_trigger_user``. What the later
one of them has besides is in ``cwl_airflow``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from cwl_ui_plugin.addresses import TRIGGER_BELOW
from cwl_ui_plugin.api import errors, starting
from cwl_ui_plugin.api.answering import AnyTextResponse
from cwl_ui_plugin.api.cwl_airflow import dags, runs, wes
from cwl_ui_plugin.api.cwl_airflow.callers import CallingUser, allow_reading
from cwl_ui_plugin.api.openapi import json_body
from cwl_ui_plugin.api.request_json import JsonBody
from cwl_ui_plugin.api.schemas import ANY, OldRun, StartedRun, answers, failing
from cwl_ui_plugin.api.security import OptionalUser, check_same_origin, clean_address, logged_in, name_of, own
from cwl_ui_plugin.auth import jwt_backend
from cwl_ui_plugin.services.answers import as_json
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.run_models import RunSummary
from cwl_ui_plugin.services.triggering import refusals, triggers
from cwl_ui_plugin.version import __version__

router = APIRouter(tags=["experimental"])
_TRIGGER_SCHEMA = json_body(
    {
        "type": "object",
        "properties": {
            "run_id": {"type": ["string", "null"], "maxLength": triggers.MAX_RUN_ID},
            "conf": {"description": '`{"job": {...}}`, as JSON text or as an object'},
            **{name: {"description": "A JWT over exactly run_id and conf"} for name in jwt_backend.SIGNATURES},
        },
    }
)


@cache
def app() -> FastAPI:
    """Return the app."""
    made = FastAPI(
        title="CWL triggers",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        dependencies=[clean_address],
        default_response_class=AnyTextResponse,
    )
    errors.install(made)
    made.include_router(router)
    for part in (dags, runs, wes):
        made.include_router(part.router, responses=ANY)
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
    user: CallingUser,
    body: JsonBody,
) -> Response:
    """Start a run: `{"run_id", "conf", "check_payload"?}`, `conf` as JSON text or as an object."""
    with refusals.recorded(dag_id, body.get("run_id"), name_of(user)):
        run = _triggered(dag_id, request, user, body)
    return JSONResponse(as_json(_answer(run)))


@router.get(
    TRIGGER_BELOW,
    responses=answers(list[OldRun]) | ANY,
    dependencies=[allow_reading()],
)
def list_runs(dag_id: str, state: str | None = None) -> object:
    """List the newest runs of a Dag, as the predecessors did."""
    page = queries.list_runs([dag_id], state=state, limit=queries.MAX_PAGE)
    return [
        as_json(OldRun(run.dag_id, run.run_id, run.state, run.logical_date or run.queued_at, run.started_at))
        for run in page.items
    ]


def _triggered(dag_id: str, request: Request, user: OptionalUser, body: Mapping[str, object]) -> RunSummary:
    signed = starting.verified(body, dag_id)
    if signed is None:
        logged_in(user)
        check_same_origin(request)
    actor = starting.actor_of(dag_id, own(request, user), signed)
    sent = body.get("conf")
    conf = {} if sent is None or sent == "" else starting.conf_of(sent)
    return starting.start(
        dag_id,
        actor,
        signed,
        conf=conf if signed is None else starting.with_signature(conf, signed.token),
        run_id=starting.run_id_of(body),
        via=triggers.EXPERIMENTAL,
    )


def _answer(run: RunSummary) -> StartedRun:
    """Return what the predecessors' clients read; Airflow 3 has no logical date for such runs, they want some date."""
    date = run.logical_date or run.queued_at
    return StartedRun(
        message=f"Created <DagRun {run.dag_id} @ {date}: {run.run_id}, externally triggered: True>",
        dag_id=run.dag_id,
        run_id=run.run_id,
        dag_run_id=run.run_id,
        state=run.state,
        logical_date=run.logical_date,
        execution_date=date,
    )
