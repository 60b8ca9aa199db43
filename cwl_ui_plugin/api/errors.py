"""From errors to answers: always ``{"detail": message, "problems": [...]}``, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

from airflow.api_fastapi.common.exceptions import ERROR_HANDLERS
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwl_ui_plugin.api.answering import AnyTextResponse
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.library.errors import DamagedArchive, StoreAway
from cwl_ui_plugin.services.errors import InvalidWorkflow, ServiceError, Unavailable
from cwl_ui_plugin.services.full_disk import as_no_room

log = logging.getLogger(__name__)
UNEXPECTED = "An error in the server; its log says more."
_BAD_JSON = "json_invalid"


class Detail(Protocol):
    """One of the things that are wrong; ``str()`` is a line for users."""

    def as_json(self) -> dict[str, object]:
        """Return the fields that are set."""
        ...


class Answerer(Protocol):
    """Makes the answer of an error, in the words of an API: its status, what is wrong, and what in detail."""

    def __call__(
        self,
        status: int,
        detail: str,
        problems: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> JSONResponse:
        """Return the answer."""
        ...


def answer(
    status: int,
    detail: str,
    problems: Sequence[Detail] = (),
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> JSONResponse:
    """Return an error's answer, as our APIs have them."""
    listed = [problem.as_json() for problem in problems]
    return AnyTextResponse({"detail": detail, "problems": listed, **more}, status_code=status, headers=headers)


def install(app: FastAPI, answer: Answerer = answer) -> None:
    """Let an app answer every error as JSON, in the words of its API."""

    def adding(kind: type[Exception], handler: Callable[[Any], JSONResponse]) -> None:
        async def handle(_request: Request, error: Exception) -> JSONResponse:
            return handler(error)

        app.add_exception_handler(kind, handle)

    adding(ServiceError, lambda error: _service_error(error, answer))
    for away in (StoreAway, DamagedArchive):
        adding(away, lambda error: answer(Unavailable.status, str(error)))
    adding(ConfigError, lambda error: _config_error(error, answer))
    adding(OSError, lambda error: _os_error(error, answer))
    adding(HTTPException, lambda error: answer(error.status_code, _detail_of(error), headers=error.headers))
    adding(RequestValidationError, lambda error: _invalid_request(error, answer))
    for known in ERROR_HANDLERS:
        app.add_exception_handler(known.exception_cls, known.exception_handler)
    app.add_middleware(CatchAll, answer=answer)


class CatchAll:
    """Answers 500 for what nobody else caught. Starlette would answer and raise, which cuts the connection."""

    def __init__(self, app: ASGIApp, answer: Answerer) -> None:
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


class _OfWorkflow(TypedDict, total=False):
    """What an answer tells besides of a workflow that can't be used."""

    unsupported: bool
    choices: list[str]


def _service_error(error: ServiceError, answer: Answerer) -> JSONResponse:
    more: _OfWorkflow = {}
    if isinstance(error, InvalidWorkflow):
        if error.unsupported:
            more["unsupported"] = True
        if error.choices:
            more["choices"] = list(error.choices)
    return answer(error.status, error.message, error.problems, **more)


def _config_error(error: ConfigError, answer: Answerer) -> JSONResponse:
    log.error("%s", error)
    return answer(500, str(error))


def _os_error(error: OSError, answer: Answerer) -> JSONResponse:
    """Answer where the disk is full; every other error of a file is one of the server."""
    told = as_no_room(error)
    if told is None:
        raise error
    log.error("%s", error)
    return answer(told.status, told.message)


def _detail_of(error: HTTPException) -> str:
    detail: object = error.detail
    if isinstance(detail, dict):  # from Airflow's own handlers
        detail = detail.get("message") or detail.get("reason") or UNEXPECTED
    return str(detail)


def _invalid_request(error: RequestValidationError, answer: Answerer) -> JSONResponse:
    found = error.errors()
    if any(item.get("type") == _BAD_JSON for item in found):
        return answer(400, "The body is no valid JSON.")
    problems = [
        Problem(str(item.get("msg", "")), input=".".join(str(part) for part in item.get("loc", ())[1:]))
        for item in found
    ]
    return answer(422, "The request does not fit: " + "; ".join(map(str, problems)), problems)
