"""Starting a run by WES: from a form to a run."""

from __future__ import annotations

from dataclasses import replace

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin.api.request_json import parse_object
from cwl_ui_plugin.api.security import require
from cwl_ui_plugin.api.uploading import ended
from cwl_ui_plugin.api.wes.multipart import read_form
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.errors import BadRequest, NotAllowed, NotFound
from cwl_ui_plugin.services.wes import documents, starting
from cwl_ui_plugin.services.wes.attachments import Attachments
from cwl_ui_plugin.services.wes.requests import RunRequest
from cwl_ui_plugin.services.workflows import uploads

NO_UPLOAD = (
    "You may not upload workflows here, and this request brings one. Name a workflow that is stored by its dag_id as "
    "the workflow_url, or ask an administrator of this Airflow."
)
_OBJECTS = ("workflow_params", "tags", "workflow_engine_parameters")
_NOTHING = ("", "null")


async def submit(request: Request, user: BaseUser) -> str:
    """Start the run that a request asks for, and return its id; where that fails, nothing of its attachments stays."""
    attachments = Attachments(str(user.get_name()))
    try:
        return await _submitted(request, user, attachments)
    except BaseException:
        await run_in_threadpool(attachments.discard)
        raise


async def _submitted(request: Request, user: BaseUser, attachments: Attachments) -> str:
    fields = await read_form(request, attachments)
    asked, params = _asked(fields)
    found = await run_in_threadpool(documents.find, asked.workflow_url, attachments)
    workflow = found if isinstance(found, documents.Stored) else await _stored(found, user)
    return await run_in_threadpool(_start, workflow, asked, params, attachments, user)


def _asked(fields: dict[str, str]) -> tuple[RunRequest, dict[str, object]]:
    """Return what a form asks for and the inputs; raise :class:`BadRequest`."""
    objects = {name: _object(fields, name) for name in _OBJECTS}
    params = objects.pop("workflow_params")
    for name, value in objects.items():
        if not all(isinstance(text, str) for text in value.values()):
            raise BadRequest(f"The values of {name} must be texts.")
    texts = {name: text.strip() for name, text in fields.items() if name not in _OBJECTS}
    request = replace(RunRequest(**texts), **objects)  # type: ignore[arg-type]
    request.check()
    return request, params


def _object(fields: dict[str, str], name: str) -> dict[str, object]:
    text = fields.get(name, "").strip()
    return {} if text in _NOTHING else parse_object(text, name)


async def _stored(found: documents.Document | documents.Remote, user: BaseUser) -> documents.Stored:
    """Store a workflow that is not there yet, and wait until it can be run, without holding a thread."""
    if not permissions.may_upload(user):
        raise NotAllowed(NO_UPLOAD)
    if isinstance(found, documents.Document) and await run_in_threadpool(lambda: found.is_stored):
        return documents.Stored(found.dag_id, found.digest)
    rights = permissions.upload_rights(user)
    upload = await run_in_threadpool(found.start_upload, str(user.get_name()), rights)
    upload = await ended(upload)
    uploads.raise_failure(upload)
    return documents.Stored(upload.dag_id, upload.digest)


def _start(
    workflow: documents.Stored, asked: RunRequest, params: dict[str, object], attachments: Attachments, user: BaseUser
) -> str:
    require(permissions.may_trigger(user, workflow.dag_id))
    try:
        access = permissions.input_access(user)
        return starting.start(workflow, asked, params, attachments, user=str(user.get_name()), files=access)
    except NotFound as error:
        raise BadRequest(f"{error.message} The workflow_url names neither an attachment nor a workflow.") from error
