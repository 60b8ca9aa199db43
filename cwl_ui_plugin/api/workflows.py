"""Workflows: list, upload, show, source, delete."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from cwl_ui_plugin.api.downloads import UNTRUSTED
from cwl_ui_plugin.api.schemas import WorkflowList, answers, failing, failing_file
from cwl_ui_plugin.api.security import GetUserDep, allow, allow_dag, require
from cwl_ui_plugin.api.uploading import ended
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services import workflow_models
from cwl_ui_plugin.services.answers import Workflow, as_json, workflow_json
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.workflow_models import Upload
from cwl_ui_plugin.services.workflows import details, listing, recompiling, uploads, versions

router = APIRouter(tags=["workflows"])
MAX_PAGE = 500
MAX_OFFSET = 2**31 - 1
"""What any database takes."""


class CurrentVersion(BaseModel):
    """Which version new runs are to use: its digest."""

    version: str


@router.get("/workflows", responses=answers(WorkflowList))
def list_workflows(
    user: GetUserDep,
    search: str = "",
    sort: str = listing.DEFAULT_SORT,
    limit: Annotated[int, Query(ge=0, le=MAX_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
    """List the workflows that the user may see; `search` looks into names, labels and who uploaded them.

    `sort` is one of name, kind, steps, uploaded and by, with a `-` before it for the other way round.
    """
    may_see = permissions.readable_dag_ids(user)
    page = listing.list_workflows(may_see, search, sort=sort, limit=limit, offset=offset)
    return as_json(WorkflowList(list(page.items), page.total))


@router.post(
    "/workflows",
    status_code=201,
    dependencies=[allow(permissions.may_upload)],
    responses=answers(Workflow, 409, 413, 503, 507, status=201, description="The workflow")
    | {202: {"model": Upload, "description": "The upload, which goes on (`wait=false`)"}},
)
async def upload_workflow(
    request: Request,
    user: GetUserDep,
    files: Annotated[list[UploadFile], File(description="A CWL document, several files, or a zip")],
    dag_id: Annotated[str | None, Form(description="Default: from the name of the file")] = None,
    main: Annotated[str | None, Form(description="The main document, with #process where it has several")] = None,
    replace: Annotated[bool, Form(description="Make it a new version of the workflow of that name")] = False,
    wait: Annotated[bool, Query(description="Answer when it can be run, not before")] = True,
) -> Response:
    """Upload a workflow: it is validated and compiled, and can be run as soon as the upload is done."""
    sent = [uploads.UploadedFile(name=file.filename or "", stream=file.file) for file in files]
    staged = await run_in_threadpool(_start, sent, user, dag_id, main, replace)
    return await answer_upload(staged, request, user, wait=wait)


@router.get("/uploads/{upload_id}", responses=answers(Upload, 404))
def get_upload(upload_id: str, user: GetUserDep) -> object:
    """Show an upload on its way."""
    found = uploads.get_upload(upload_id)
    if found.user != user.get_name() and not permissions.may_read(user, found.dag_id):
        raise NotFound(f"There is no upload {upload_id!r}.")
    return found.as_json()


@router.get("/workflows/{dag_id}", responses=answers(Workflow, 404), dependencies=[allow_dag(permissions.may_read)])
def get_workflow(dag_id: str, version: str | None = None) -> object:
    """Show a workflow: inputs, outputs, steps, versions. `version` is a digest; default: the current one."""
    return workflow_json(details.get_workflow(dag_id, version))


@router.get(
    "/workflows/{dag_id}/source",
    response_class=PlainTextResponse,
    responses=failing_file(404),
    dependencies=[allow_dag(permissions.may_read)],
)
def get_source(dag_id: str, path: str | None = None, version: str | None = None) -> PlainTextResponse:
    """Return a file of the upload as text; default: the main document."""
    if path is None:
        path = details.get_workflow(dag_id, version).version.main.partition("#")[0]
    return PlainTextResponse(details.source_text(dag_id, path, version), headers=UNTRUSTED)


@router.post(
    "/workflows/{dag_id}/recompile",
    status_code=202,
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_replace)],
    responses=answers(workflow_models.Compilation, 404, status=202, description="What it is compiled to now"),
)
def recompile_workflow(dag_id: str) -> object:
    """Have a workflow compiled again that another version of the plugin or of cwltool has compiled, or could not.

    After an upgrade this happens by itself. The field `compilation` of the workflow says how far it is.
    """
    return recompiling.compile_again(dag_id).as_json()


@router.post(
    "/workflows/{dag_id}/current",
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_replace)],
    responses=answers(Workflow, 404, 409, 503),
)
def make_version_current(dag_id: str, wanted: CurrentVersion) -> object:
    """Let new runs use another version of a workflow; runs on their way keep theirs."""
    versions.make_current(dag_id, wanted.version)
    return workflow_json(details.get_workflow(dag_id))


@router.post(
    "/workflows/{dag_id}/restore",
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_restore)],
    responses=answers(Workflow, 404, 409, 503),
)
def restore_workflow(dag_id: str) -> object:
    """Bring a deleted workflow back, in its newest version."""
    versions.restore(dag_id)
    return workflow_json(details.get_workflow(dag_id))


@router.delete(
    "/workflows/{dag_id}",
    status_code=204,
    responses=failing(404, 409, 503),
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_delete)],
)
def delete_workflow(dag_id: str) -> None:
    """Delete a workflow none of whose runs is on its way; they stay."""
    details.delete_workflow(dag_id)


async def answer_upload(staged: Upload, request: Request, user: BaseUser, *, wait: bool) -> Response:
    """Return the workflow of an upload once it is done, or the upload at once; raise its failure."""
    if not wait:
        headers = {"Location": f"{request.scope.get('root_path', '')}/api/v1/uploads/{staged.id}"}
        return JSONResponse(staged.as_json(), status_code=202, headers=headers)
    done = await ended(staged)
    uploads.raise_failure(done)
    return JSONResponse(await run_in_threadpool(_uploaded, done, user), status_code=201)


def _start(
    files: list[uploads.UploadedFile], user: BaseUser, dag_id: str | None, main: str | None, replace: bool
) -> Upload:
    require(not replace or permissions.may_replace(user))
    return uploads.start_upload(
        files,
        user=user.get_name(),
        rights=permissions.upload_rights(user),
        dag_id=dag_id,
        main=main,
        replace=replace,
    )


def _uploaded(upload: Upload, user: BaseUser) -> dict[str, object]:
    """Return what was uploaded; to somebody who may not read the Dag, nothing that others have done with it."""
    detail = details.get_workflow(upload.dag_id, upload.digest)
    return workflow_json(detail if permissions.may_read(user, upload.dag_id) else detail.alone())
