"""From errors to answers: always ``{"detail": message, "problems": [...]}``, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow.api_fastapi.common.exceptions import ERROR_HANDLERS
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwl_ui_plugin.api.answering import AnyTextResponse
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.services.errors import InvalidWorkflow, ServiceError

log = logging.getLogger(__name__)
UNEXPECTED = "An error in the server; its log says more."
_BAD_JSON = "json_invalid"


def install(app: FastAPI) -> None:
    """Let an app of ours answer every error as JSON."""
    app.add_exception_handler(ServiceError, _runs_error)
    app.add_exception_handler(ConfigError, _config_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    for handler in ERROR_HANDLERS:
        app.add_exception_handler(handler.exception_cls, handler.exception_handler)
    app.add_middleware(CatchAll)


def answer(
    status: int, detail: str, problems: Sequence[dict[str, Any]] = (), headers: Any = None, **more: Any
) -> JSONResponse:
    """Return an error's answer."""
    return AnyTextResponse({"detail": detail, "problems": list(problems), **more}, status_code=status, headers=headers)


class CatchAll:
    """Answers 500 for what nobody else caught. Starlette would answer and raise, which cuts the connection."""

    def __init__(self, app: ASGIApp, answer: Callable[[int, str], JSONResponse] = answer) -> None:
        self.app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started = False

        async def noting_send(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        except Exception:
            if has_started:
                raise
            log.exception("%s %s failed", scope["method"], scope["path"])
            await self._answer(500, UNEXPECTED)(scope, receive, send)


async def _runs_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)  # noqa: S101 - registered for it
    more: dict[str, object] = {}
    if isinstance(error, InvalidWorkflow):
        more = {"unsupported": True} if error.unsupported else {}
        more |= {"choices": list(error.choices)} if error.choices else {}
    return answer(error.status, error.message, [problem.as_json() for problem in error.problems], **more)


async def _config_error(_request: Request, error: Exception) -> JSONResponse:
    log.error("%s", error)
    return answer(500, str(error))


async def _http_exception(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    detail: object = error.detail
    if isinstance(detail, dict):  # from Airflow's own handlers
        detail = detail.get("message") or detail.get("reason") or UNEXPECTED
    return answer(error.status_code, str(detail), headers=error.headers)


async def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    found = error.errors()
    if any(item.get("type") == _BAD_JSON for item in found):
        return answer(400, "The body is no valid JSON.")
    problems = [
        {"message": str(item.get("msg", "")), "input": ".".join(str(part) for part in item.get("loc", ())[1:])}
        for item in found
    ]
    return answer(422, "The request does not fit: " + "; ".join(_line(problem) for problem in problems), problems)


def _line(problem: Mapping[str, object]) -> str:
    return f"{problem['input']}: {problem['message']}" if problem["input"] else str(problem["message"])
