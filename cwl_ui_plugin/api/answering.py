"""Answers that other frameworks have no class for."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import BinaryIO

from fastapi.responses import FileResponse, JSONResponse
from starlette.types import Receive, Scope, Send


class AnyTextResponse(JSONResponse):
    """JSON with another character for half of a surrogate pair, which outputs and names of files may have."""

    def render(self, content: object) -> bytes:
        """Return the body of an answer."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


class OpenFileResponse(FileResponse):
    """Sends a file that is open already, or ranges of it; its path may have become another file's since."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        filename: str,
        media_type: str,
        content_disposition_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            _again(file),
            headers=headers,
            media_type=media_type,
            filename=filename,
            stat_result=os.fstat(file.fileno()),
            content_disposition_type=content_disposition_type,
        )
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._file:
            await super().__call__(scope, receive, send)


def _again(file: BinaryIO) -> str:
    """Return a name under which the kernel opens the very file of a descriptor once more (proc_pid_fd(5))."""
    return f"/proc/self/fd/{file.fileno()}"
