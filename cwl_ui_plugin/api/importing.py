"""Importing a workflow from a registry, a repository or an address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin.addresses import IMPORT_BELOW
from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import GetUserDep, allow, require
from cwl_ui_plugin.api.workflows import answer_upload
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.answers import Workflow
from cwl_ui_plugin.services.importing import imports
from cwl_ui_plugin.services.workflow_models import Upload

router = APIRouter(tags=["workflows"])


@dataclass(frozen=True)
class Import:
    """Where a workflow is: ``ref`` is a version, tag, branch or commit, ``path`` the main document."""

    url: str
    ref: str | None = None
    path: str | None = None
    dag_id: str | None = None
    replace: bool = False


@router.post(
    IMPORT_BELOW,
    status_code=201,
    dependencies=[allow(permissions.may_upload)],
    responses=answers(Workflow, 404, 409, 413, 503, 507, status=201, description="The workflow")
    | {202: {"model": Upload, "description": "The upload, which goes on (`wait=false`)"}},
)
async def import_workflow(
    request: Request,
    user: GetUserDep,
    wanted: Annotated[Import, Body()],
    wait: Annotated[bool, Query(description="Answer when it can be run, not before")] = True,
) -> Response:
    """Fetch a workflow and upload it: `url` is a TRS id or address, a git repository, a zip, or a document.

    Only hosts are fetched from that the site allows (`[cwl] fetch_hosts`). Where it came from is kept with the version.
    """
    require(not wanted.replace or permissions.may_replace(user))

    def start() -> Upload:
        return imports.import_workflow(
            wanted.url,
            user=user.get_name(),
            rights=permissions.upload_rights(user),
            ref=wanted.ref,
            path=wanted.path,
            dag_id=wanted.dag_id,
            replace=wanted.replace,
        )

    return await answer_upload(await run_in_threadpool(start), request, user, wait=wait)
