"""``/dags`` of CWL-Airflow's API: which workflows there are, and uploading one."""

from __future__ import annotations

import secrets
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin import addresses
from cwl_ui_plugin.api.cwl_airflow import schemas
from cwl_ui_plugin.api.cwl_airflow.callers import Caller, CallingUser, ReadingUser, allow_reading
from cwl_ui_plugin.api.cwl_airflow.calls import DAG_ID, Document, OldCall, call_with, check_document, query_of
from cwl_ui_plugin.api.cwl_airflow.schemas import OldDag, OldDags, PostedDag
from cwl_ui_plugin.api.cwl_airflow.verifying import caller_of_fields
from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.uploading import ended
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.library.errors import BadDagId
from cwl_ui_plugin.library.versions import check_dag_id
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.workflow_models import Upload
from cwl_ui_plugin.services.workflows import details, uploads
from cwl_ui_plugin.services.workflows.dag_tasks import live_dag_ids, task_ids

router = APIRouter(tags=["CWL-Airflow"])
DAG_IDS = "dag_ids"


@router.get(
    "/dags",
    responses=answers(OldDags),
    openapi_extra={"parameters": [schemas.query(DAG_IDS, "Names of workflows, with commas between them")]},
)
def list_dags(request: Request, user: ReadingUser) -> object:
    """List CWL Dags that the user may see, with their tasks; of `dag_ids`, those that are there."""
    wanted = query_of(request, DAG_IDS).get(DAG_IDS)
    seen = permissions.readable_dag_ids(user)
    names = seen if wanted is None else seen.intersection(wanted.split(","))
    found = task_ids(live_dag_ids(details.cwl_dag_ids(names)))
    return {"dags": [{"dag_id": dag_id, "tasks": tasks} for dag_id, tasks in found.items()]}


@router.get(addresses.OLD_DAG_BELOW, responses=answers(OldDag, 404), dependencies=[allow_reading()])
def get_dag(dag_id: str) -> object:
    """Show the tasks of a Dag."""
    found = task_ids(live_dag_ids([dag_id]))
    if dag_id not in found:
        raise NotFound(f"There is no Dag {dag_id!r}.")
    return {"dag_id": dag_id, "tasks": found[dag_id]}


@router.post(
    "/dags",
    responses=answers(PostedDag, 404, 409, 413, 503, 507),
    openapi_extra={"parameters": [schemas.DAG_ID], "requestBody": schemas.body("dag_id", document=True)},
)
async def post_dag(
    request: Request, user: CallingUser, call: Annotated[OldCall, Depends(call_with(DAG_ID, document=True))]
) -> object:
    """Upload a workflow: a file `workflow`, or `workflow_content`. Signed are `dag_id` and `workflow_sha256`."""
    dag_id, staged = await run_in_threadpool(_posted, request, user, call)
    await stored_digest(staged)
    return {
        "dag_id": dag_id,
        "dag_path": addresses.workflow(dag_id),
        "cwl_path": f"{addresses.workflow(dag_id)}/source",
    }


async def stored_digest(staged: Upload | str) -> str | None:
    """Return the version that an upload has become once it has ended; raise what it has failed with."""
    if isinstance(staged, str):
        return staged
    upload = await ended(staged)
    uploads.raise_failure(upload)
    return upload.digest


def _posted(request: Request, user: BaseUser | HTTPException, call: OldCall) -> tuple[str, Upload | str]:
    caller = caller_of_fields(request, user, call, DAG_ID)
    if call.document is None:
        caller.check_upload()
    document = check_document(call)
    dag_id = call.text(DAG_ID) or secrets.token_hex(16)
    return dag_id, start_upload(caller, dag_id, document)


def start_upload(caller: Caller, dag_id: str, document: Document) -> Upload | str:
    """Begin to upload a workflow; where that very document is there already, nobody needs a right: return its digest.

    Raises:
        NotAllowed: the caller may not upload; and what ``uploads.start_upload`` raises.

    """
    checked_name(dag_id)
    if caller.may_trigger(dag_id) and (digest := details.digest_with(dag_id, document.content)):
        return digest
    user = caller.check_upload()
    return uploads.start_upload(
        [document.as_upload()], user=caller.name, rights=permissions.upload_rights(user), dag_id=dag_id
    )


def checked_name(dag_id: str) -> str:
    """Return what can be a dag_id; raise :class:`BadRequest` for any other."""
    try:
        return check_dag_id(dag_id)
    except BadDagId as error:
        raise BadRequest(str(error), field=DAG_ID) from error
