"""Input files: sending them, and asking which paths a job may name as they are."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import anyio.from_thread
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from cwl_ui_plugin.api.security import GetUserDep, allow
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.runs import inputs

router = APIRouter(tags=["inputs"], dependencies=[allow(permissions.may_add_inputs)])


class Paths(BaseModel):
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
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}, "required": True}},
)
async def send_input(request: Request, user: GetUserDep, name: str, folder: str | None = None) -> dict[str, Any]:
    """Send a file that a job will name; the body is the file. Files with one `folder`, a UUID, lie together."""
    body = _Body(request.stream())
    path = await run_in_threadpool(inputs.save_input, name, body, user=user.get_name(), folder=folder)  # type: ignore[arg-type]
    return {"class": "File", "location": path.as_uri(), "basename": path.name, "size": path.stat().st_size}


@router.post("/inputs/visible")
def visible_inputs(asked: Paths) -> dict[str, dict[str, bool]]:
    """Tell for each path whether a job may name it: it exists inside a folder that inputs may come from."""
    return {"visible": inputs.visible_inputs(asked.paths)}
