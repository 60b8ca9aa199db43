"""Runs: list, trigger, show, outputs, stop."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel

from cwl_ui_plugin.api.security import GetUserDep, allow_dag, require
from cwl_ui_plugin.api.strict_json import check_object, json_object, parse_object
from cwl_ui_plugin.api.workflows import UNTRUSTED
from cwl_ui_plugin.auth import jwt_backend, permissions
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.runs import inspection, outputs, stopping, triggering
from cwl_ui_plugin.runs.errors import BadRequest, NotFound, NotVerified
from cwl_ui_plugin.signing.errors import SigningError

router = APIRouter(tags=["runs"])
_READERS = [allow_dag(permissions.may_read)]
_FIELDS = ("run_id", "job", "conf", SIGNATURE)
_TRIGGER_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "run_id": {"type": "string", "description": "Default: one that Airflow makes"},
                        "job": {"type": "object", "description": "The CWL input object"},
                        "conf": {"description": 'Instead of job: {"job": {...}}, as an object or as JSON text'},
                        SIGNATURE: {"type": "string", "description": "A JWT over exactly run_id and conf"},
                    },
                }
            }
        },
    }
}


class Stop(BaseModel):
    """How to stop a run."""

    remove: bool = False


@router.get("/runs")
def list_runs(
    user: GetUserDep,
    dag_id: str | None = None,
    state: str | None = None,
    limit: Annotated[int, Query(ge=0, le=inspection.LONGEST_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """List runs of the CWL Dags that the user may see, newest first."""
    if dag_id is not None:
        require(permissions.may_read(user, dag_id))
    dag_ids = [dag_id] if dag_id is not None else permissions.readable_dag_ids(user)
    page = inspection.list_runs(dag_ids, state=state, limit=limit, offset=offset)
    return {"runs": [run.as_json() for run in page.items], "total": page.total}


@router.post(
    "/workflows/{dag_id}/runs",
    status_code=201,
    dependencies=[allow_dag(permissions.may_trigger)],
    openapi_extra=_TRIGGER_SCHEMA,
)
def trigger(dag_id: str, user: GetUserDep, body: Annotated[dict[str, Any], Depends(json_object)]) -> dict[str, Any]:
    """Start a run."""
    run_id = _run_id(body)
    conf = _conf(body, run_id)
    return triggering.trigger(dag_id, conf=conf, run_id=run_id, user=user.get_name(), via=triggering.REST).as_json()


@router.get("/workflows/{dag_id}/runs/{run_id}", dependencies=_READERS)
def get_run(dag_id: str, run_id: str) -> dict[str, Any]:
    """Show a run with its steps."""
    return inspection.get_run(dag_id, run_id).as_json()


@router.get("/workflows/{dag_id}/runs/{run_id}/outputs", dependencies=_READERS)
def get_outputs(dag_id: str, run_id: str) -> dict[str, Any]:
    """Return the CWL output object of a run that has succeeded."""
    found = outputs.output_object(dag_id, run_id)
    if found is None:
        raise NotFound(f"The run {run_id!r} has no outputs, or not yet.")
    return found


@router.get("/workflows/{dag_id}/runs/{run_id}/files", dependencies=_READERS)
def list_files(dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """List the output files of a run."""
    return [asdict(file) for file in outputs.output_tree(dag_id, run_id)]


@router.head("/workflows/{dag_id}/runs/{run_id}/files/{path:path}", include_in_schema=False, dependencies=_READERS)
@router.get("/workflows/{dag_id}/runs/{run_id}/files/{path:path}", response_class=FileResponse, dependencies=_READERS)
def get_file(dag_id: str, run_id: str, path: str) -> FileResponse:
    """Download an output file, or a range of it."""
    found = outputs.output_path(dag_id, run_id, path)
    name = found.name.encode("utf-8", "replace").decode()
    return FileResponse(found, filename=name, content_disposition_type="attachment", headers=UNTRUSTED)


@router.post("/workflows/{dag_id}/runs/{run_id}/stop", dependencies=[allow_dag(permissions.may_stop)])
def stop(dag_id: str, run_id: str, user: GetUserDep, how: Stop | None = None) -> dict[str, Any]:
    """Stop a run, and answer when none of its processes is left; with `remove`, delete the run, too."""
    remove = how is not None and how.remove
    require(not remove or permissions.may_remove(user, dag_id))
    return stopping.stop_run(dag_id, run_id, user=user.get_name(), remove=remove).as_json()


def _run_id(body: dict[str, Any]) -> str | None:
    unknown = sorted(set(body) - {*_FIELDS, *jwt_backend.SIGNATURES})
    if unknown:
        raise BadRequest(f"Unknown fields: {', '.join(unknown)}; use {', '.join(_FIELDS)}.")
    run_id = body.get("run_id")
    if run_id is not None and not isinstance(run_id, str):
        raise BadRequest("run_id must be a text.")
    return run_id


def _conf(body: dict[str, Any], run_id: str | None) -> dict[str, Any]:
    """Return the conf of the new run; a signature that is sent must hold, and is kept in it."""
    if body.get("job") is not None and body.get("conf") is not None:
        raise BadRequest("Send either job or conf, not both.")
    token = next((body[name] for name in jwt_backend.SIGNATURES if body.get(name)), None)
    sent = body.get("conf")
    if sent is None:
        sent = {"job": body["job"] if body.get("job") is not None else {}}
    conf = parse_object(sent, "conf") if isinstance(sent, str) else check_object(sent, "conf")
    if token is None:
        return conf
    try:
        jwt_backend.verify_body({"run_id": run_id, "conf": sent, SIGNATURE: token})
    except SigningError as error:
        raise NotVerified(f"{jwt_backend.REFUSED}: {error}") from error
    return {**conf, SIGNATURE: token}
