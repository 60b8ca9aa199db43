"""Errors as TRS has them: ``{"code": status, "message": text}``."""

from __future__ import annotations

import json

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwl_ui_plugin.api.errors import UNEXPECTED


class TrsErrors:
    """Puts the errors of the app within it into TRS's words; they are small, and JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def keeping_send(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and message["status"] >= 400:
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")

        await self.app(scope, receive, keeping_send)
        if start is not None:
            answer = JSONResponse({"code": start["status"], "message": _message(body)}, status_code=start["status"])
            kept = [item for item in start["headers"] if item[0].lower() in (b"www-authenticate", b"allow")]
            answer.raw_headers += kept
            await answer(scope, receive, send)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return UNEXPECTED
