"""What can go wrong, one tree. ``str()`` of an error is for people: it has the server's words and what to do.

CwlUiError
├── UsageError               what was asked for makes no sense: a file that is not there, no login
├── ServerError              the server refuses, can't be reached, or says something that can't be
│   ├── Unreachable          no answer, or one that broke off
│   ├── NotLoggedIn          401
│   ├── Forbidden            403: not allowed, or a signature does not hold
│   ├── NotFound             404
│   ├── Conflict             409
│   ├── Invalid              400, 413, 422: with the ``problems`` of each input or line
│   │   └── UnsupportedWorkflow  valid CWL that can't be run
│   └── Unavailable          503, 504: not now
├── DownloadError            what arrived is not what the server has
├── WaitTimeout              the run has not ended in the time that was given
└── RunFailed                the run ended badly; ``run`` is all about it
    └── RunStopped           since somebody has stopped it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cwl_ui_client.models import Run


class CwlUiError(Exception):
    """Base of all errors; ``code`` is the exit code of a command that ends with it."""

    code = 1


class UsageError(CwlUiError):
    """What was asked for makes no sense."""

    code = 2


class ServerError(CwlUiError):
    """The server refuses: ``status`` is its HTTP status, if it answered, ``problems`` what is wrong with what."""

    def __init__(
        self, message: str, status: int | None = None, problems: Sequence[Mapping[str, object]] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problems = tuple(problems or ())


class Unreachable(ServerError):
    """There was no answer, or one that broke off; ``sent`` tells whether the server may have got the request."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class NotLoggedIn(ServerError):
    """Nobody is logged in, or the token has expired."""


class Forbidden(ServerError):
    """The user may not do this, or a signature does not hold."""


class NotFound(ServerError):
    """There is no such thing."""


class Conflict(ServerError):
    """It is there already, or it can't be as things stand."""


class Invalid(ServerError):
    """What was sent does not fit."""


class UnsupportedWorkflow(Invalid):
    """The workflow is valid CWL that the server can't run."""

    code = 33


class Unavailable(ServerError):
    """The server can't do it now."""


class DownloadError(CwlUiError):
    """What arrived is not what the server has."""


class WaitTimeout(CwlUiError):
    """The run has not ended in the time that was given; it goes on, and ``run`` is how it was."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class RunFailed(CwlUiError):
    """The run ended badly."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class RunStopped(RunFailed):
    """Somebody has stopped the run."""


_BY_STATUS: dict[int, type[ServerError]] = {
    400: Invalid,
    401: NotLoggedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    422: Invalid,
    503: Unavailable,
    504: Unavailable,
}


def refusal(status: int, reason: str, data: object, told: str | None = None) -> ServerError:
    """Return the error for an answer that is no success; ``told`` is said instead of the server's own words."""
    data = data if isinstance(data, dict) else {}
    detail = told or data.get("detail") or reason
    problems = [item for item in data.get("problems") or [] if isinstance(item, dict)]
    text = "\n".join([f"{detail} (HTTP {status})", *(f"  {line}" for line in problem_lines({"problems": problems}))])
    kind = UnsupportedWorkflow if data.get("unsupported") else _BY_STATUS.get(status, ServerError)
    return kind(text, status, problems)


def problem_lines(data: Mapping[str, object]) -> list[str]:
    """Return the problems of an answer, a line each, as ``file:line:column: input: message``."""
    listed = data.get("problems")
    return [_problem_line(problem) for problem in listed] if isinstance(listed, (list, tuple)) else []


def _problem_line(problem: Mapping[str, object]) -> str:
    if problem.get("row") is not None:  # of a sheet of samples, whose columns have names
        column = f", column {problem['column']}" if problem.get("column") else ""
        return f"row {problem['row']}{column}: {problem.get('message')}"
    where = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem.get(key) is not None)
    return ": ".join(str(part) for part in (where, problem.get("input"), problem.get("message")) if part)
