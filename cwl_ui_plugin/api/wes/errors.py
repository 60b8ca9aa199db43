"""Errors as WES has them: ``{"msg", "status_code"}``, whatever goes wrong below its prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi.responses import JSONResponse

from cwl_ui_plugin.api.answering import AnyTextResponse
from cwl_ui_plugin.api.errors import Detail
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, InvalidWorkflow

_BAD_REQUESTS = (Conflict.status, InvalidJob.status, InvalidWorkflow.status)
"""What WES has no status for: what is wrong is in the request."""


def answer(
    status: int,
    detail: str,
    problems: Sequence[Detail] = (),
    headers: Mapping[str, str] | None = None,
    **_more: object,
) -> JSONResponse:
    """Return an error's answer."""
    lines = [f"- {problem}" for problem in problems if str(problem) not in detail]
    status = 400 if status in _BAD_REQUESTS else status
    return AnyTextResponse(
        {"msg": "\n".join([detail, *lines]), "status_code": status}, status_code=status, headers=headers
    )
