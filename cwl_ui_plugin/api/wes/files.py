"""What runs have printed and made: streams, outputs, crates. More than WES has; its answers lead here."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from cwl_ui_plugin.api.downloads import UNTRUSTED, saved_as
from cwl_ui_plugin.api.runs import send_file
from cwl_ui_plugin.api.wes.security import ReadableRun, User
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.cwl.value_files import has_long, texts_of
from cwl_ui_plugin.services.crates import crates
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.monitoring import command_logs
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.outputs.zip_stream import zip_stream
from cwl_ui_plugin.services.wes import logs

router = APIRouter()
_TEXT = "text/plain; charset=utf-8"
_FILE: dict[int | str, dict[str, object]] = {
    200: {"description": "The file", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The range that was asked for"},
    416: {"description": "There is no such range"},
}


@router.get("/stdout", response_class=PlainTextResponse, operation_id="GetRunStdout")
def get_stdout(run: ReadableRun) -> Response:
    """Return what a CWL runner prints: the output object as JSON, as it is on the server; empty before the end."""
    outputs = output_files.output_object(*run)
    if has_long(outputs):
        texts = (text.encode("utf-8", "replace") for text in texts_of(outputs))
        return StreamingResponse(texts, media_type=_TEXT, headers=UNTRUSTED)
    text = "" if outputs is None else json.dumps(outputs, indent=2) + "\n"
    return PlainTextResponse(text, headers=UNTRUSTED)


@router.get("/stderr", response_class=StreamingResponse, responses=_FILE, operation_id="GetRunStderr")
def get_stderr(run: ReadableRun) -> StreamingResponse:
    """Return what the commands of a run have written to standard error, one after the other."""
    return StreamingResponse(logs.printed(*run), media_type=_TEXT, headers=UNTRUSTED)


@router.get(
    "/tasks/{task_id}/{stream}", response_class=StreamingResponse, responses=_FILE, operation_id="GetTaskStream"
)
def get_task_stream(run: ReadableRun, task_id: str, stream: Literal["stdout", "stderr"]) -> StreamingResponse:
    """Return what the command of a task has printed until now; nothing where it has not begun."""
    task = logs.try_of(*run, task_id)
    try:
        size, content = command_logs.stream_log(task, stream)
    except NotFound:
        size, content = 0, iter(())
    headers = {**UNTRUSTED, "Content-Length": str(size)}
    return StreamingResponse(content, media_type=_TEXT, headers=headers)


@router.head("/outputs/{path:path}", include_in_schema=False)
@router.get("/outputs/{path:path}", response_class=Response, responses=_FILE, operation_id="GetOutput")
def get_output(run: ReadableRun, path: str) -> Response:
    """Return a file among the outputs of a run, or a folder as a zip."""
    try:
        return send_file(PurePosixPath(path).name, output_files.open_output(*run, path), False)
    except NotFound:
        entries = output_files.archive_entries(*run, path.rstrip("/"))
    headers = saved_as(f"{PurePosixPath(path).name}.zip")
    return StreamingResponse(zip_stream(entries), media_type="application/zip", headers=headers)


@router.get("/ro-crate", response_class=StreamingResponse, responses=_FILE, operation_id="GetRoCrate")
def get_ro_crate(run: ReadableRun, user: User, data: bool = True, logs: bool = False) -> StreamingResponse:
    """Return a run as a Workflow Run RO-Crate, a zip; without ``data`` files are named and not brought along.

    With ``logs`` it has what the commands have printed.
    """
    crate = crates.crate_of(*run, access=permissions.input_access(user), with_data=data, with_logs=logs)
    headers = saved_as(f"{run[1]}.crate.zip")
    return StreamingResponse(zip_stream(crate.entries), media_type="application/zip", headers=headers)
