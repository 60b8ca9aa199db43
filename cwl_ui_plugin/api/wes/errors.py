"""Errors as WES has them: ``{"msg", "status_code"}``, whatever goes wrong below its prefix."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from airflow.api_fastapi.common.exceptions import ERROR_HANDLERS
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cwl_ui_plugin.api.errors import UNEXPECTED, CatchAll
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, InvalidWorkflow, ServiceError

log = logging.getLogger(__name__)
_BAD_REQUESTS = (Conflict.status, InvalidJob.status, InvalidWorkflow.status)
"""What WES has no status for: what is wrong is in the request."""


def install(app: FastAPI) -> None:
    """Let an app answer every error as WES has them."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(ConfigError, _config_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    for handler in ERROR_HANDLERS:
        app.add_exception_handler(handler.exception_cls, handler.exception_handler)
    app.add_middleware(CatchAll, answer=answer)


def answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error's answer."""
    return JSONResponse({"msg": message, "status_code": status}, status_code=status, headers=headers)


async def _service_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)  # noqa: S101 - registered for it
    lines = [error.message, *(f"- {problem}" for problem in error.problems)]
    return answer(400 if error.status in _BAD_REQUESTS else error.status, "\n".join(lines))


async def _config_error(_request: Request, error: Exception) -> JSONResponse:
    log.error("%s", error)
    return answer(500, str(error))


async def _http_exception(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    detail: object = error.detail
    if isinstance(detail, dict):  # from Airflow's own handlers
        detail = detail.get("message") or detail.get("reason") or UNEXPECTED
    return answer(error.status_code, str(detail), error.headers)


async def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    problems = [f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors()]
    return answer(400, "\n".join(["The request does not fit.", *(f"- {problem}" for problem in problems)]))
