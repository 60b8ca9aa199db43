"""Runs: list, trigger, show, outputs, stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, TypedDict

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict

from cwl_ui_plugin.api import starting
from cwl_ui_plugin.api.answering import OpenFileResponse, StoredFileResponse, answered
from cwl_ui_plugin.api.downloads import UNTRUSTED, saved_as, sendable
from cwl_ui_plugin.api.openapi import BINARY_ANSWER, json_body
from cwl_ui_plugin.api.request_json import JsonBody, check_object
from cwl_ui_plugin.api.schemas import Responses, RunList, SecondaryFiles, answers, failing_file
from cwl_ui_plugin.api.security import CallingUser, GetUserDep, OptionalUser, allow_dag, name_of, require
from cwl_ui_plugin.api.workflows import MAX_OFFSET
from cwl_ui_plugin.auth import jwt_backend, permissions
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services.answers import Run, as_json, run_json
from cwl_ui_plugin.services.crates import crates
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.monitoring import command_logs, end_waiting, naming, queries, waiting
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.outputs.zip_stream import zip_stream
from cwl_ui_plugin.services.previewing.kinds import MEDIA_TYPES
from cwl_ui_plugin.services.provenance import run_inputs, stories
from cwl_ui_plugin.services.run_documents import document
from cwl_ui_plugin.services.run_models import OutputFile, RunFilter, RunSummary, StopReport
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.triggering import refusals, secondary_files, triggers
from cwl_ui_plugin.storing.reading import StoredFile

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

router = APIRouter(tags=["runs"])
_READERS = [allow_dag(permissions.may_read)]
SHOWN = {
    **UNTRUSTED,
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'",
}
"""Headers for what a browser may show itself: no scripts, no requests, and an origin of its own."""
_FIELDS = ("run_id", "job", "conf", SIGNATURE)
_FILE: Responses = {
    200: {"description": "The file", **BINARY_ANSWER},
    206: {"description": "The range that was asked for", **BINARY_ANSWER},
    **failing_file(404),
    **failing_file(416),
}
_TRIGGER_SCHEMA = json_body(
    {
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
)


TOTAL = "X-Total-Count"
MAX_TEXT = 250
MAX_PLACE = 50
"""Keys that lead to a file of a job: it may lie in lists and records."""
_JOB_SCHEMA = json_body(
    {
        "type": "object",
        "required": ["job"],
        "properties": {"job": {"type": "object", "description": "A CWL input object"}},
    }
)


class Names(BaseModel):
    """What people call a run; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = None
    tags: list[str] | None = None
    note: str | None = None


class Stop(BaseModel):
    """How to stop a run."""

    remove: bool = False


@router.get("/runs", responses=answers(RunList, 404))
def list_runs(
    user: GetUserDep,
    dag_id: str | None = None,
    state: str | None = None,
    shown_state: str | None = None,
    text: Annotated[str, Query(max_length=MAX_TEXT)] = "",
    tag: Annotated[str, Query(max_length=MAX_TEXT)] = "",
    limit: Annotated[int, Query(ge=0, le=queries.MAX_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
    """List runs of the CWL Dags that the user may see, newest first.

    `state` is Airflow's (to which stopped runs have failed), or `stopped` or `waiting`; `shown_state` is what people
    are told. Each word of `text` is in the id, title, tags or note of the run or in the workflow's name.
    """
    if dag_id is not None:
        require(permissions.may_read(user, dag_id))
    dag_ids = [dag_id] if dag_id is not None else permissions.readable_dag_ids(user)
    wanted = RunFilter(state=state, shown_state=shown_state, text=text, tag=tag.strip())
    page = queries.list_runs(dag_ids, wanted=wanted, limit=limit, offset=offset)
    return as_json(RunList(list(page.items), page.total))


@router.post(
    "/workflows/{dag_id}/runs",
    status_code=201,
    responses=answers(RunSummary, 404, 409, 413, 503, status=201, description="The run"),
    openapi_extra=_TRIGGER_SCHEMA,
)
def trigger_run(dag_id: str, user: CallingUser, body: JsonBody) -> object:
    """Start a run. With a signature that holds no login is needed, where the server has keys to verify it."""
    with refusals.recorded(dag_id, body.get("run_id"), name_of(user)):
        return _triggered(dag_id, user, body).as_json()


@router.post(
    "/workflows/{dag_id}/secondary-files",
    responses=answers(SecondaryFiles, 404, 413, 503),
    dependencies=[allow_dag(permissions.may_trigger)],
    openapi_extra=_JOB_SCHEMA,
)
def list_secondary_files(dag_id: str, body: JsonBody) -> object:
    """Tell which secondary files the workflow's patterns name for the files of a job, which are not looked at."""
    return as_json(SecondaryFiles(secondary_files.secondary_files(dag_id, check_object(body.get("job"), "job"))))


@router.get("/workflows/{dag_id}/runs/{run_id}", responses=answers(Run, 404), dependencies=_READERS)
async def get_run(
    dag_id: str,
    run_id: str,
    user: GetUserDep,
    wait: Annotated[float, Query(ge=0, le=end_waiting.MAX_SECONDS)] = 0,
) -> object:
    """Show a run with its steps, and what it waits for; `wait` seconds at most until it has ended, before that."""
    await end_waiting.wait_for_end(dag_id, run_id, wait)
    return await run_in_threadpool(_shown, dag_id, run_id, user)


@router.patch(
    "/workflows/{dag_id}/runs/{run_id}",
    responses=answers(Run, 404, 503),
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_label)],
)
def name_run(dag_id: str, run_id: str, user: GetUserDep, names: Names) -> object:
    """Give a run another title, other tags, another note; what is left out stays, what is empty is taken away."""
    given = naming.Naming(names.title, names.tags, names.note)
    naming.name_run(dag_id, run_id, given, user=user.get_name())
    return _shown(dag_id, run_id, user)


def _shown(dag_id: str, run_id: str, user: BaseUser) -> object:
    run = queries.get_run(dag_id, run_id)
    waits = waiting.why(run, partial(permissions.may_read, user))
    told = {task_id: wait.sentence for task_id, wait in waits.tasks.items()}
    folder = output_files.output_folder(dag_id, run_id) if run.outputs else None
    return answered(run_json(run, waits.run.sentence if waits.run else None, told, folder))


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/outputs", responses=answers(dict[str, object], 404), dependencies=_READERS
)
def get_outputs(dag_id: str, run_id: str) -> object:
    """Return the CWL output object of a run that has succeeded."""
    found = output_files.output_object(dag_id, run_id)
    if found is None:
        raise NotFound(f"The run {run_id!r} has no outputs, or not yet.")
    return answered(found)


@router.get("/workflows/{dag_id}/runs/{run_id}/files", responses=answers(list[OutputFile], 404), dependencies=_READERS)
def list_files(
    dag_id: str,
    run_id: str,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=output_files.MAX_FILES)] = output_files.MAX_FILES,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
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
def get_file(dag_id: str, run_id: str, path: str, inline: bool = False) -> Response:
    """Download an output file, or a range of it; `inline`: a browser may show it, without scripts."""
    return send_file(PurePosixPath(path).name, output_files.open_output(dag_id, run_id, path), inline)


@router.head("/workflows/{dag_id}/runs/{run_id}/input-file", include_in_schema=False, dependencies=_READERS)
@router.get(
    "/workflows/{dag_id}/runs/{run_id}/input-file",
    response_class=FileResponse,
    responses=_FILE,
    dependencies=_READERS,
)
def get_input_file(
    dag_id: str,
    run_id: str,
    user: GetUserDep,
    place: Annotated[list[str], Query(max_length=MAX_PLACE)],
    path: str = "",
    inline: bool = False,
) -> Response:
    """Download a file of a run's job that you may use yourself, or a range of it.

    `place` is given once for each key that leads to it in the job, such as `reads` and `0`; `path` is where it is in a
    Directory.
    """
    return send_file(*run_inputs.open_input(dag_id, run_id, permissions.input_access(user), place, path), inline)


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/lineage", responses=answers(stories.RunStories, 404), dependencies=_READERS
)
def get_lineage(
    dag_id: str,
    run_id: str,
    user: GetUserDep,
    direction: Literal["in", "out"] | None = None,
    limit: Annotated[int, Query(ge=1, le=stories.MAX_PAGE)] = stories.MAX_PAGE,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
    """List the files of a run with the runs that made and used each, as far as you may see their workflows."""
    access, readable = permissions.input_access(user), permissions.readable_dag_ids(user)
    found = stories.stories_of_run(
        dag_id, run_id, access, readable | {dag_id}, direction=direction, limit=limit, offset=offset
    )
    return asdict(found)


def send_file(name: str, file: BinaryIO, inline: bool) -> OpenFileResponse | StoredFileResponse:
    """Return the answer that has a file, or a range of it; ``inline``: a browser may show it."""
    suffix = PurePosixPath(name).suffix.lower()
    is_shown = inline and suffix in MEDIA_TYPES
    settings: _Settings = {
        "filename": sendable(name),
        "media_type": MEDIA_TYPES.get(suffix, "application/octet-stream"),
        "content_disposition_type": "inline" if is_shown else "attachment",
        "headers": SHOWN if is_shown else UNTRUSTED,
    }
    return StoredFileResponse(file, **settings) if isinstance(file, StoredFile) else OpenFileResponse(file, **settings)


class _Settings(TypedDict):
    filename: str
    media_type: str
    content_disposition_type: str
    headers: Mapping[str, str]


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/zip",
    response_class=StreamingResponse,
    responses={200: {"description": "The zip", **BINARY_ANSWER}, **failing_file(404)},
    dependencies=_READERS,
)
def get_zip(dag_id: str, run_id: str, path: str | None = None) -> StreamingResponse:
    """Download all outputs of a run, or a folder among them, as a zip that is made while it is sent."""
    entries = output_files.archive_entries(dag_id, run_id, path)
    name = f"{PurePosixPath(path).name}.zip" if path else f"{run_id}.zip"
    headers = saved_as(name)
    return StreamingResponse(zip_stream(entries), media_type="application/zip", headers=headers)


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/crate",
    response_class=StreamingResponse,
    responses={200: {"description": "The crate, a zip", **BINARY_ANSWER}, **failing_file(404, 503)},
    dependencies=_READERS,
)
def get_crate(dag_id: str, run_id: str, user: GetUserDep, data: bool = True, logs: bool = False) -> StreamingResponse:
    """Download a run as a Workflow Run RO-Crate; without `data` files are named and not brought along.

    With `logs` it has what the commands have printed: of each the last 16 MiB, together up to 256 MiB.
    """
    access = permissions.input_access(user)
    crate = crates.crate_of(dag_id, run_id, access=access, with_data=data, with_logs=logs)
    headers = saved_as(f"{run_id}.crate.zip")
    return StreamingResponse(zip_stream(crate.entries), media_type="application/zip", headers=headers)


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/report",
    response_class=HTMLResponse,
    responses={200: {"description": "The report", "content": {"text/html": {}}}, **failing_file(404, 503)},
    dependencies=_READERS,
)
def get_report(dag_id: str, run_id: str, user: GetUserDep) -> HTMLResponse:
    """Show what was done in a run as one page to read, print and keep, without scripts."""
    access, name = permissions.input_access(user), str(user.get_name())
    text = document.document_of(dag_id, run_id, access=access, user=name)
    return HTMLResponse(text, headers=SHOWN)


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/logs/{task_id}/{map_index}/{try_number}/{stream}",
    response_class=StreamingResponse,
    responses={200: {"description": "What the command has printed until now", **BINARY_ANSWER}, **failing_file(404)},
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
    headers = {**saved_as(name), "Content-Length": str(size)}
    return StreamingResponse(content, media_type="text/plain; charset=utf-8", headers=headers)


@router.post(
    "/workflows/{dag_id}/runs/{run_id}/stop",
    responses=answers(StopReport, 503, 504),
    dependencies=[allow_dag(permissions.may_stop)],
)
def stop_run(dag_id: str, run_id: str, user: GetUserDep, how: Stop | None = None) -> object:
    """Stop a run, and answer when none of its processes is left; with `remove`, delete the run, too."""
    remove = how is not None and how.remove
    require(not remove or permissions.may_remove(user, dag_id))
    return stops.stop_run(dag_id, run_id, user=user.get_name(), remove=remove).as_json()


def _triggered(dag_id: str, user: OptionalUser, body: Mapping[str, object]) -> RunSummary:
    signed = _verified(body, dag_id)
    actor = starting.actor_of(dag_id, user, signed)
    return starting.start(dag_id, actor, signed, conf=_conf(body), run_id=_run_id(body), via=triggers.REST)


def _verified(body: Mapping[str, object], dag_id: str) -> jwt_backend.VerifiedTrigger | None:
    """Return what was signed; None where nothing was, or no key is set. A signature that is sent must hold."""
    token = jwt_backend.sent_signature(body)
    if token is None:
        return None
    return starting.verified({"run_id": body.get("run_id"), "conf": _sent_conf(body), SIGNATURE: token}, dag_id)


def _run_id(body: Mapping[str, object]) -> str | None:
    unknown = sorted(set(body) - {*_FIELDS, *jwt_backend.SIGNATURES})
    if unknown:
        raise BadRequest(f"Unknown fields: {', '.join(unknown)}; use {', '.join(_FIELDS)}.")
    return starting.run_id_of(body)


def _conf(body: Mapping[str, object]) -> dict[str, object]:
    """Return the conf of the new run, with the signature that was sent."""
    conf, token = starting.conf_of(_sent_conf(body)), jwt_backend.sent_signature(body)
    return conf if token is None else starting.with_signature(conf, token)


def _sent_conf(body: Mapping[str, object]) -> object:
    if body.get("job") is not None and body.get("conf") is not None:
        raise BadRequest("Send either job or conf, not both.")
    if body.get("conf") is not None:
        return body["conf"]
    return {"job": body["job"] if body.get("job") is not None else {}}
