"""Speaking HTTP with httpx: requests, errors in the server's words, and what is tried again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import httpx

from cwl_ui_client.errors import CwlUiError, ServerError, Unreachable, UsageError, refusal
from cwl_ui_client.steps import Answer, Request

DEFAULT_URL = "http://127.0.0.1:8080"
RETRIES = 4
MAX_PAUSE_SECONDS = 30.0
MAY_PASS = (502, 503, 504)
TROUBLE = (httpx.HTTPError, httpx.InvalidURL)
"""What httpx raises where there is no answer."""
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
TOTAL = "X-Total-Count"


@dataclass(frozen=True)
class Login:
    """Where the server is, and who is asking: a token, or a user with a password."""

    url: str = DEFAULT_URL
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Login:
        """Read CWL_UI_URL, and CWL_UI_TOKEN or CWL_UI_USER with CWL_UI_PASSWORD; raise :class:`UsageError`."""
        found = os.environ if environment is None else environment
        names = ("CWL_UI_TOKEN", "CWL_UI_USER", "CWL_UI_PASSWORD")
        token, user, password = (found.get(name) or None for name in names)
        if not token and bool(user) != bool(password):
            missing = "CWL_UI_PASSWORD" if user else "CWL_UI_USER"
            raise UsageError(f"{missing} is not set: a login takes CWL_UI_USER and CWL_UI_PASSWORD, or CWL_UI_TOKEN.")
        return cls(found.get("CWL_UI_URL") or DEFAULT_URL, token, user, password)


class Settings(TypedDict):
    """How httpx is set up."""

    base_url: str
    headers: dict[str, str]
    timeout: float
    follow_redirects: bool


class _Addressed(TypedDict):
    method: str
    url: str
    timeout: float


class Sent(_Addressed, total=False):
    """A request as httpx takes it."""

    params: dict[str, str]
    json: object
    content: bytes
    headers: dict[str, str]
    data: dict[str, str]
    files: dict[str, tuple[str, bytes]]


def settings(url: str, timeout: float) -> Settings:
    """Return how httpx is set up. It follows no redirects: the login would go with them, to wherever they lead."""
    return {
        "base_url": url.rstrip("/"),
        "headers": {"Accept": "application/json"},
        "timeout": timeout,
        "follow_redirects": False,
    }


def sent(request: Request) -> Sent:
    """Return a request as httpx takes it."""
    options: Sent = {"method": request.method, "url": request.address, "timeout": request.timeout}
    if request.params:
        options["params"] = dict(request.params)
    if request.json is not None:
        options["json"] = request.json
    if request.content is not None:
        options["content"] = request.content
        options["headers"] = {"Content-Type": "application/octet-stream"}
    if request.form is not None:
        options["data"] = {name: value for name, value in request.form.items() if isinstance(value, str)}
        options["files"] = {name: value for name, value in request.form.items() if not isinstance(value, str)}
    return options


def answered(response: httpx.Response) -> Answer:
    """Return a response that has been read; raise the :class:`ServerError` of one that is no success."""
    if not response.is_success:
        raise refused(response)
    total = response.headers.get(TOTAL, "")
    count = int(total) if total.isdigit() else None
    return Answer(response.status_code, response.reason_phrase, response.content, count, response.headers)


def refused(response: httpx.Response) -> ServerError:
    """Return the error of a response that has been read."""
    try:
        data = response.json()
    except ValueError:
        data = None
    told = None
    if response.status_code == httpx.codes.UNAUTHORIZED:
        told = "Not logged in, or the login has expired: log in anew, or give a new token."
    return refusal(response.status_code, response.reason_phrase, data, told)


def unreachable(url: str, error: Exception) -> CwlUiError:
    """Return the error for what httpx raised while it asked a server."""
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return UsageError(f"{url} is no address of a server: {error}")
    return Unreachable(f"The server {url} can't be reached: {error!r}", sent=not isinstance(error, NOT_SENT))


def pause_before(attempt: int, request: Request, problem: httpx.Response | Exception) -> float | None:
    """Return for how long to wait before a request is sent once more; None where it is not.

    Sent again is what never got to the server, what the server put off (503), and after any other trouble that may
    pass only what does no harm twice.
    """
    if attempt >= RETRIES:
        return None
    pause: float = min(0.25 * 2**attempt, MAX_PAUSE_SECONDS)
    if isinstance(problem, httpx.Response):
        if problem.status_code not in MAY_PASS:
            return None
        wanted: str = problem.headers.get("Retry-After", "")
        pause = min(float(wanted), MAX_PAUSE_SECONDS) if wanted.isdigit() else pause
        was_put_off = problem.status_code == httpx.codes.SERVICE_UNAVAILABLE
        return pause if was_put_off or request.repeatable else None
    if isinstance(problem, NOT_SENT):
        return pause
    return pause if request.repeatable and isinstance(problem, httpx.TransportError) else None


class Tries:
    """The tries of one request: whoever sends it asks after each for how long to wait before the next one."""

    def __init__(self, url: str, request: Request) -> None:
        self._url, self._request, self._count = url, request, 0

    def pause_after(self, problem: Exception) -> float:
        """Return it for what httpx raised; raise the error of the client where there is no next try."""
        pause = self._next(problem)
        if pause is None:
            raise unreachable(self._url, problem) from problem
        return pause

    def pause_before(self, response: object) -> float | None:
        """Return it for what was answered; None where that is the answer."""
        return self._next(response) if isinstance(response, httpx.Response) else None

    def _next(self, problem: httpx.Response | Exception) -> float | None:
        pause = pause_before(self._count, self._request, problem)
        self._count += 1
        return pause


def token_of(url: str, response: httpx.Response, user: str) -> str:
    """Return the bearer token of an answer to a login; raise :class:`ServerError`."""
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise refusal(401, "", None, f"{url} refuses the login of {user}: wrong user or password.")
    data = answered(response).body
    try:
        return str(response.json()["access_token"])
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"{url} gave no token; is it an Airflow server? It answered {data[:100]!r}.") from error
