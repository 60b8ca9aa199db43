"""Answers that other frameworks have no class for."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from urllib.parse import quote

from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from cwl_ui_plugin.cwl.value_files import has_long, texts_of
from cwl_ui_plugin.storing.reading import StoredFile

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_PART_BYTES = 4 * 1024 * 1024


class AnyTextResponse(JSONResponse):
    """JSON with another character for half of a surrogate pair, which outputs and names of files may have."""

    def render(self, content: object) -> bytes:
        """Return the body of an answer."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def answered(value: object) -> object:
    """Return an answer (JSON) as it is; bit by bit where a list of it is too long to be in memory."""
    if not has_long(value):
        return value
    parts = (text.encode("utf-8", "replace") for text in texts_of(value))
    return StreamingResponse(parts, media_type="application/json")


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


class StoredFileResponse(Response):
    """Sends an object of a store, or one range of it, in parts that are asked for in threads of their own.

    Where a request names several ranges, it gets all, as RFC 9110 allows.
    """

    def __init__(
        self,
        file: StoredFile,
        *,
        filename: str,
        media_type: str,
        content_disposition_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(headers=dict(headers), media_type=media_type)
        self._file, self._size = file, file.found.size
        name = f"{content_disposition_type}; filename*=UTF-8''{quote(filename, safe='')}"
        etag = hashlib.sha256(file.found.identity.encode()).hexdigest()[:32]
        self.headers.update({"content-disposition": name, "accept-ranges": "bytes", "etag": f'"{etag}"'})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._file:
            asked = Headers(scope=scope)
            is_same = asked.get("if-range", self.headers["etag"]) == self.headers["etag"]
            span = _asked_range(asked.get("range", ""), self._size) if is_same else None
            start, end = span or (0, self._size)
            if start >= end and span is not None:
                self.headers["content-range"] = f"bytes */{self._size}"
                await Response(status_code=416, headers=dict(self.headers))(scope, receive, send)
                return
            self.headers["content-length"] = str(end - start)
            if span is not None:
                self.headers["content-range"] = f"bytes {start}-{end - 1}/{self._size}"
            parts = iter(()) if scope["method"] == "HEAD" else self._parts(start, end)
            status = 200 if span is None else 206
            answer = StreamingResponse(parts, status, dict(self.headers), self.media_type)
            await answer(scope, receive, send)

    def _parts(self, start: int, end: int) -> Iterator[bytes]:
        self._file.seek(start)
        while start < end and (part := self._file.read(min(_PART_BYTES, end - start))):
            yield part
            start += len(part)


def _asked_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the bytes that a header asks for, from one up to another; None for all. None are there: (0, 0)."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start, end = int(match[1]), int(match[2]) + 1 if match[2] else max(size, int(match[1]) + 1)
    if end <= start:
        return None
    return (start, min(end, size)) if start < size else (0, 0)


def _again(file: BinaryIO) -> str:
    """Return a name under which the kernel opens the very file of a descriptor once more (proc_pid_fd(5))."""
    return f"/proc/self/fd/{file.fileno()}"
