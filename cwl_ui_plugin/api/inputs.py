"""Input files: sending them, and asking which paths a job may name as they are."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import anyio.from_thread
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from cwl_ui_plugin.api.openapi import BINARY_BODY
from cwl_ui_plugin.api.schemas import InputFile, PartialInput, VisibleInputs, answers, failing
from cwl_ui_plugin.api.security import GetUserDep, allow
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.answers import as_json
from cwl_ui_plugin.services.inputs import browsing, resumable, single
from cwl_ui_plugin.services.inputs.entries import Folder

router = APIRouter(tags=["inputs"], dependencies=[allow(permissions.may_add_inputs)])


class WantedPaths(BaseModel):
    """Paths that a job would name."""

    paths: list[str]


class _Body(io.RawIOBase):
    """The body of a request as a file, for a thread; nothing of it is kept in memory."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int = -1) -> bytes:
        """Return the next chunk, whatever its size; nothing at the end."""
        return anyio.from_thread.run(self._next)

    async def _next(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""


@router.post(
    "/inputs",
    status_code=201,
    responses=answers(InputFile, 413, status=201, description="The file"),
    openapi_extra=BINARY_BODY,
)
async def send_input(request: Request, user: GetUserDep, name: str, folder: str | None = None) -> object:
    """Send a file that a job will name; the body is the file. Files with one `folder`, a UUID, lie together."""
    body = _Body(request.stream())
    path = await run_in_threadpool(single.save_input, name, body, user=user.get_name(), folder=folder)  # type: ignore[arg-type]
    return _file_json(path)


@router.post("/inputs/visible", responses=answers(VisibleInputs))
def list_visible_inputs(user: GetUserDep, asked: WantedPaths) -> object:
    """Tell for each path whether a job of this user may name it: it exists where their inputs may come from."""
    return as_json(VisibleInputs(single.visible_inputs(asked.paths, permissions.input_access(user))))


@router.get("/inputs/browse", responses=answers(Folder, 404, 503))
def browse_inputs(user: GetUserDep, path: str = "", match: str = "", after: str = "") -> object:
    """List a folder that this user's inputs may come from; without a path, the shared folders and stores themselves.

    `match` leaves out files whose names fit none of its patterns (`*_R1.fastq.gz *.fq`, separated by spaces). Of a
    folder in an object store (`s3://bucket/prefix/`) there is one page; with the `after` of it comes the next one.
    """
    return browsing.browse(permissions.input_access(user), path, match, after).as_json()


@router.post(
    "/inputs/parts",
    status_code=201,
    responses=answers(PartialInput, 413, status=201, description="The upload"),
)
def start_partial_input(
    user: GetUserDep, name: str, size: Annotated[int, Query(ge=0)], folder: str | None = None
) -> object:
    """Begin to send a large file in parts of up to 16 MiB; the answer has the `id` of this upload."""
    return _upload_json(resumable.start(name, size, user=user.get_name(), folder=folder))


@router.get("/inputs/parts/{upload_id}", responses=answers(PartialInput, 404))
def get_partial_input(user: GetUserDep, upload_id: str) -> object:
    """Tell how much has arrived: where to go on after a break."""
    return _upload_json(resumable.get(upload_id, user=user.get_name()))


@router.put(
    "/inputs/parts/{upload_id}",
    responses=answers(PartialInput, 404, 409, 413),
    openapi_extra=BINARY_BODY,
)
async def send_part(request: Request, user: GetUserDep, upload_id: str, offset: Annotated[int, Query(ge=0)]) -> object:
    """Send the part that begins at `offset`, which must be what has arrived; with the last one comes the `file`."""
    content = await request.body()
    return _upload_json(await run_in_threadpool(resumable.add, upload_id, offset, content, user=user.get_name()))


@router.delete("/inputs/parts/{upload_id}", status_code=204, responses=failing(404, 409))
def cancel_partial_input(user: GetUserDep, upload_id: str) -> None:
    """Forget an upload that is on its way, and what has arrived of it."""
    resumable.cancel(upload_id, user=user.get_name())


def _upload_json(upload: resumable.PartialUpload) -> dict[str, object]:
    file = _file_json(upload.path) if upload.path else None
    found = as_json(PartialInput(upload.id, upload.size, upload.received, file))
    return {name: value for name, value in found.items() if name != "file" or value}


def _file_json(path: Path) -> InputFile:
    return {"class": "File", "location": path.as_uri(), "basename": path.name, "size": path.stat().st_size}
