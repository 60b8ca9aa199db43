"""Crates that somebody sends, to run again what was run: `POST /crates`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin.addresses import CRATES_BELOW
from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import GetUserDep, allow, require
from cwl_ui_plugin.api.uploading import ended
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.library.intake import UploadedFile
from cwl_ui_plugin.services.crates import importing

router = APIRouter(tags=["workflows"])


@router.post(
    CRATES_BELOW,
    status_code=201,
    dependencies=[allow(permissions.may_upload), allow(permissions.may_add_inputs)],
    responses=answers(
        importing.Imported, 409, 413, 503, 507, status=201, description="The workflow, and the job of its run"
    ),
)
async def import_crate(
    user: GetUserDep,
    file: Annotated[UploadFile, File(description="A Workflow Run RO-Crate, as a zip")],
    dag_id: Annotated[str | None, Form(description="Default: from the name of the workflow's file")] = None,
    replace: Annotated[bool, Form(description="Make it a new version of the workflow of that name")] = False,
) -> object:
    """Upload the workflow of a crate and the files of its job; `form` leads to the form that is filled in with that."""
    require(not replace or permissions.may_replace(user))
    begin = partial(
        importing.begin,
        UploadedFile(name=file.filename or "", stream=file.file),
        user=user.get_name(),
        rights=permissions.upload_rights(user),
        access=permissions.input_access(user),
        dag_id=dag_id or None,
        replace=replace,
    )
    begun = await run_in_threadpool(begin)
    await ended(begun.upload)
    return asdict(await run_in_threadpool(importing.finish, begun, user.get_name()))
