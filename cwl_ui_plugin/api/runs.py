"""Runs: list, trigger, show, outputs, stop."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

from cwl_ui_plugin.api.answering import OpenFileResponse
from cwl_ui_plugin.api.experimental import with_signature
from cwl_ui_plugin.api.request_json import check_object, json_object, parse_object
from cwl_ui_plugin.api.schemas import Responses, Run, RunList, SecondaryFiles, answers, failing, failing_file
from cwl_ui_plugin.api.security import GetUserDep, OptionalUser, allow_dag, known, logged_in, name_of, require
from cwl_ui_plugin.api.workflows import MAX_OFFSET, UNTRUSTED
from cwl_ui_plugin.auth import jwt_backend, permissions
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services.errors import BadRequest, NotFound, NotVerified
from cwl_ui_plugin.services.models import OutputFile, RunSummary, StopReport
from cwl_ui_plugin.services.monitoring import command_logs, queries
from cwl_ui_plugin.services.outputs import output_files, previews
from cwl_ui_plugin.services.outputs.zip_stream import zip_stream
from cwl_ui_plugin.services.signatures import reason
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.triggering import refusals, secondary_files, triggers
from cwl_ui_plugin.signing.errors import SigningError

router = APIRouter(tags=["runs"])
_READERS = [allow_dag(permissions.may_read)]
SHOWN = {
    **UNTRUSTED,
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'",
}
"""Headers for what a browser may show itself: no scripts, no requests, and an origin of its own."""
_FIELDS = ("run_id", "job", "conf", SIGNATURE)
_BINARY: dict[str, Any] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_FILE: Responses = {
    200: {"description": "The file", **_BINARY},
    206: {"description": "The range that was asked for", **_BINARY},
    **failing_file(404),
    416: {"description": "There is no such range"},
}
_TRIGGER_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "run_id": {
                            "type": ["string", "null"],
                            "maxLength": triggers.MAX_RUN_ID,
                            "description": "Default: one that Airflow makes",
                        },
                        "job": {"type": ["object", "null"], "description": "The CWL input object"},
                        "conf": {
                            "type": ["object", "string", "null"],
                            "description": 'Instead of job: {"job": {...}}, as an object or as JSON text',
                        },
                        SIGNATURE: {
                            "type": ["string", "null"],
                            "description": "A JWT over exactly run_id and conf; with job, conf is an object with it",
                        },
                        "token": {"type": ["string", "null"], "description": f"The older name of {SIGNATURE}"},
                    },
                }
            }
        },
    }
}


TOTAL = "X-Total-Count"
_JOB_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["job"],
                    "properties": {"job": {"type": "object", "description": "A CWL input object"}},
                }
            }
        },
    }
}


class Stop(BaseModel):
    """How to stop a run."""

    remove: bool = False


@router.get("/runs", responses=answers(RunList, 404))
def list_runs(
    user: GetUserDep,
    dag_id: str | None = None,
    state: str | None = None,
    limit: Annotated[int, Query(ge=0, le=queries.MAX_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> Any:
    """List runs of the CWL Dags that the user may see, newest first."""
    if dag_id is not None:
        require(permissions.may_read(user, dag_id))
    dag_ids = [dag_id] if dag_id is not None else permissions.readable_dag_ids(user)
    page = queries.list_runs(dag_ids, state=state, limit=limit, offset=offset)
    return {"runs": [run.as_json() for run in page.items], "total": page.total}


@router.post(
    "/workflows/{dag_id}/runs",
    status_code=201,
    responses=answers(RunSummary, 404, 409, 413, 503, status=201, description="The run"),
    openapi_extra=_TRIGGER_SCHEMA,
)
def trigger(dag_id: str, user: OptionalUser, body: Annotated[dict[str, Any], Depends(json_object)]) -> Any:
    """Start a run. With a signature that holds no login is needed, where the server has keys to verify it."""
    with refusals.recorded(dag_id, body.get("run_id"), name_of(user)):
        return _triggered(dag_id, user, body).as_json()


@router.post(
    "/workflows/{dag_id}/secondary-files",
    responses=answers(SecondaryFiles, 404, 413, 503),
    dependencies=[allow_dag(permissions.may_trigger)],
    openapi_extra=_JOB_SCHEMA,
)
def list_secondary_files(dag_id: str, body: Annotated[dict[str, Any], Depends(json_object)]) -> Any:
    """Tell which secondary files the workflow's patterns name for the files of a job, which are not looked at."""
    return {"locations": secondary_files.secondary_files(dag_id, check_object(body.get("job"), "job"))}


@router.get("/workflows/{dag_id}/runs/{run_id}", responses=answers(Run, 404), dependencies=_READERS)
def get_run(dag_id: str, run_id: str) -> Any:
    """Show a run with its steps."""
    return queries.get_run(dag_id, run_id).as_json()


@router.get("/workflows/{dag_id}/runs/{run_id}/outputs", responses=failing(404), dependencies=_READERS)
def get_outputs(dag_id: str, run_id: str) -> dict[str, Any]:
    """Return the CWL output object of a run that has succeeded."""
    found = output_files.output_object(dag_id, run_id)
    if found is None:
        raise NotFound(f"The run {run_id!r} has no outputs, or not yet.")
    return found


@router.get("/workflows/{dag_id}/runs/{run_id}/files", responses=answers(list[OutputFile], 404), dependencies=_READERS)
def list_files(
    dag_id: str,
    run_id: str,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=output_files.MAX_FILES)] = output_files.MAX_FILES,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> Any:
    """List the output files of a run, a part at a time; the header `X-Total-Count` says how many there are."""
    page = output_files.output_tree(dag_id, run_id, offset=offset, limit=limit)
    response.headers[TOTAL] = str(page.total)
    return [asdict(file) for file in page.items]


@router.head("/workflows/{dag_id}/runs/{run_id}/files/{path:path}", include_in_schema=False, dependencies=_READERS)
@router.get(
    "/workflows/{dag_id}/runs/{run_id}/files/{path:path}",
    response_class=FileResponse,
    responses=_FILE,
    dependencies=_READERS,
)
def get_file(dag_id: str, run_id: str, path: str, inline: bool = False) -> OpenFileResponse:
    """Download an output file, or a range of it; `inline`: a browser may show it, without scripts."""
    name, suffix = PurePosixPath(path).name, PurePosixPath(path).suffix.lower()
    media_type = previews.MEDIA_TYPES.get(suffix, "application/octet-stream")
    is_shown = inline and suffix in previews.MEDIA_TYPES
    return OpenFileResponse(
        output_files.open_output(dag_id, run_id, path),
        filename=_sendable(name),
        media_type=media_type,
        content_disposition_type="inline" if is_shown else "attachment",
        headers=SHOWN if is_shown else UNTRUSTED,
    )


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/zip",
    response_class=StreamingResponse,
    responses={200: {"description": "The zip", **_BINARY}, **failing_file(404)},
    dependencies=_READERS,
)
def get_zip(dag_id: str, run_id: str, path: str | None = None) -> StreamingResponse:
    """Download all outputs of a run, or a folder among them, as a zip that is made while it is sent."""
    entries = output_files.archive_entries(dag_id, run_id, path)
    name = f"{PurePosixPath(path).name}.zip" if path else f"{run_id}.zip"
    headers = {**UNTRUSTED, "Content-Disposition": _attachment(name)}
    return StreamingResponse(zip_stream(entries), media_type="application/zip", headers=headers)


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/logs/{task_id}/{map_index}/{try_number}/{stream}",
    response_class=StreamingResponse,
    responses={200: {"description": "What the command has printed until now", **_BINARY}, **failing_file(404)},
    dependencies=_READERS,
)
def get_log(
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: Annotated[int, Path(ge=-1, le=MAX_OFFSET)],
    try_number: Annotated[int, Path(ge=0, le=MAX_OFFSET)],
    stream: Literal["stdout", "stderr"],
) -> StreamingResponse:
    """Download what the command of a task has printed; `map_index` is -1 for a step that is not scattered."""
    size, content = command_logs.stream_log(
        command_logs.find_try(dag_id, run_id, task_id, map_index, try_number), stream
    )
    name = f"{task_id}.{stream}.txt" if map_index < 0 else f"{task_id}.{map_index}.{stream}.txt"
    headers = {**UNTRUSTED, "Content-Disposition": _attachment(name), "Content-Length": str(size)}
    return StreamingResponse(content, media_type="text/plain; charset=utf-8", headers=headers)


def _attachment(name: str) -> str:
    return f"attachment; filename*=UTF-8''{quote(_sendable(name), safe='')}"


def _sendable(name: str) -> str:
    """Return a name as headers can have it: names on the disk need not be Unicode."""
    return name.encode("utf-8", "replace").decode()


@router.post(
    "/workflows/{dag_id}/runs/{run_id}/stop",
    responses=answers(StopReport, 503, 504),
    dependencies=[allow_dag(permissions.may_stop)],
)
def stop(dag_id: str, run_id: str, user: GetUserDep, how: Stop | None = None) -> Any:
    """Stop a run, and answer when none of its processes is left; with `remove`, delete the run, too."""
    remove = how is not None and how.remove
    require(not remove or permissions.may_remove(user, dag_id))
    return stops.stop_run(dag_id, run_id, user=user.get_name(), remove=remove).as_json()


def _triggered(dag_id: str, user: OptionalUser, body: dict[str, Any]) -> RunSummary:
    verified = _verified(body, dag_id)
    if verified is None:
        caller = logged_in(user)
        require(permissions.may_trigger(caller, dag_id))
        actor = jwt_backend.Actor(caller.get_name(), permissions.input_access(caller))
    else:
        actor = jwt_backend.acting_user(dag_id, known(user))
    return triggers.trigger(
        dag_id,
        conf=_conf(body),
        run_id=_run_id(body),
        user=actor.name,
        files=actor.files,
        via=triggers.REST,
        signature=verified.signature if verified else None,
    )


def _verified(body: dict[str, Any], dag_id: str) -> jwt_backend.VerifiedTrigger | None:
    """Return what was signed; None where nothing was, or no key is set. A signature that is sent must hold."""
    token = jwt_backend.sent_signature(body)
    if token is None:
        return None
    try:
        sent = {"run_id": body.get("run_id"), "conf": _sent_conf(body), SIGNATURE: token}
        return jwt_backend.verify_body(sent, dag_id)
    except SigningError as error:
        raise NotVerified(reason(error)) from error


def _run_id(body: dict[str, Any]) -> str | None:
    unknown = sorted(set(body) - {*_FIELDS, *jwt_backend.SIGNATURES})
    if unknown:
        raise BadRequest(f"Unknown fields: {', '.join(unknown)}; use {', '.join(_FIELDS)}.")
    run_id = body.get("run_id")
    if run_id is not None and not isinstance(run_id, str):
        raise BadRequest("run_id must be a text.")
    return run_id


def _conf(body: dict[str, Any]) -> dict[str, Any]:
    """Return the conf of the new run, with the signature that was sent."""
    sent = _sent_conf(body)
    conf = parse_object(sent, "conf") if isinstance(sent, str) else check_object(sent, "conf")
    token = jwt_backend.sent_signature(body)
    return conf if token is None else with_signature(conf, token)


def _sent_conf(body: dict[str, Any]) -> Any:
    if body.get("job") is not None and body.get("conf") is not None:
        raise BadRequest("Send either job or conf, not both.")
    if body.get("conf") is not None:
        return body["conf"]
    return {"job": body["job"] if body.get("job") is not None else {}}
