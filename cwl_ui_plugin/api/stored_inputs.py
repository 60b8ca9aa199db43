"""Input files that browsers upload to an object store: the server signs what they send there, or passes it on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin.api.openapi import BINARY_BODY
from cwl_ui_plugin.api.schemas import SignedPart, StoredInput, answers, failing
from cwl_ui_plugin.api.security import GetUserDep, allow
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.answers import as_json
from cwl_ui_plugin.services.inputs import stored_uploads

router = APIRouter(tags=["inputs"], dependencies=[allow(permissions.may_add_inputs)])
Number = Annotated[int, Path(ge=1, le=10_000)]


@router.post(
    "/inputs/stored",
    status_code=201,
    responses=answers(StoredInput, 404, 409, 413, 503, status=201, description="The upload"),
)
def start_stored_input(
    user: GetUserDep, name: str, size: Annotated[int, Query(ge=0)], folder: str | None = None
) -> object:
    """Begin to upload a file to the object store that the site keeps uploads in; its parts have `part_size` bytes."""
    return _json(stored_uploads.start(name, size, user=user.get_name(), folder=folder))


@router.get("/inputs/stored/{upload_id}", responses=answers(StoredInput, 404, 503))
def get_stored_input(user: GetUserDep, upload_id: str) -> object:
    """Tell which parts have arrived: which ones to send after a break."""
    return _json(stored_uploads.get(upload_id, user=user.get_name()))


@router.post("/inputs/stored/{upload_id}/parts/{number}", responses=answers(SignedPart, 404, 503))
def sign_stored_part(user: GetUserDep, upload_id: str, number: Number) -> object:
    """Get an address that takes this one part, by PUT, for 15 minutes; it is empty where parts go to this server."""
    return as_json(SignedPart(stored_uploads.signed_part(upload_id, number, user=user.get_name())))


@router.put(
    "/inputs/stored/{upload_id}/parts/{number}",
    status_code=204,
    responses=failing(404, 413, 503),
    openapi_extra=BINARY_BODY,
)
async def send_stored_part(request: Request, user: GetUserDep, upload_id: str, number: Number) -> None:
    """Send a part, of up to 16 MiB, to this server, which passes it on: for who does not reach the store."""
    content = await request.body()
    await run_in_threadpool(stored_uploads.add_part, upload_id, number, content, user=user.get_name())


@router.post("/inputs/stored/{upload_id}/complete", responses=answers(StoredInput, 404, 409, 503))
def complete_stored_input(user: GetUserDep, upload_id: str) -> object:
    """Make the parts a file, named in the answer as in a job; 409 where some are missing, or its name is taken."""
    return _json(stored_uploads.complete(upload_id, user=user.get_name()))


@router.delete("/inputs/stored/{upload_id}", status_code=204, responses=failing(404, 503))
def cancel_stored_input(user: GetUserDep, upload_id: str) -> None:
    """Give an upload up, with what has arrived of it."""
    stored_uploads.cancel(upload_id, user=user.get_name())


def _json(upload: stored_uploads.StoredUpload) -> dict[str, object]:
    found = as_json(StoredInput(upload.id, upload.size, upload.part_size, upload.parts, upload.arrived))
    if upload.location:
        named = {"class": "File", "location": upload.location, "basename": upload.name, "size": upload.size}
        return {**found, "file": named}
    return {name: value for name, value in found.items() if name != "file"}
