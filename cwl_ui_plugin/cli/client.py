"""Talking HTTP to a running server, and saying clearly what it answers."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlencode

from cwl_ui_client.errors import problem_lines, refusal
from cwl_ui_client.steps import Answer, Download, Flow, Pause, Request, drive, path_of

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.errors import ServerError, Unreachable, UsageError

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector

__all__ = ["Answer", "Client", "add_server_arguments", "path_of", "problem_lines"]
T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_SECONDS = 120.0
CHUNK_BYTES = 1 << 20
UNAUTHORIZED = 401
_LINE_END = b"\r\n"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the server is found and who is asking."""
    parser.add_argument("--url", "-u", default=os.environ.get("CWL_UI_URL"), help="URL of the server (CWL_UI_URL)")
    parser.add_argument("--user", help="user name, with --password (CWL_UI_USER)")
    parser.add_argument("--password", help="password of --user (CWL_UI_PASSWORD)")
    parser.add_argument("--token", help="Airflow's bearer token (CWL_UI_TOKEN)")


class Client:
    """A server and a login. It uses Python's own HTTP, since a command must start at once."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json", **(headers or {})}

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Client:
        """Return the client that the command line describes, logged in if it has credentials."""
        client = cls(arguments.url or DEFAULT_URL)
        if arguments.password and not (arguments.user or os.environ.get("CWL_UI_USER")):
            raise UsageError("--password is of no use without a user: name it with --user or CWL_UI_USER.")
        token = arguments.token or (None if arguments.user else os.environ.get("CWL_UI_TOKEN"))
        user = arguments.user or os.environ.get("CWL_UI_USER")
        if not token and user:
            token = client.log_in(user, _password(arguments, user))
        if token:
            client._use_token(token)
        return client

    def log_in(self, user: str, password: str) -> str:
        """Return a bearer token of Airflow, and use it from now on."""
        try:
            answer = self.request("POST", "/auth/token", json={"username": user, "password": password}).json()
        except ServerError as error:
            if error.status == UNAUTHORIZED:
                raise ServerError(f"{self.url} refuses the login of {user}: wrong user or password.", 401) from error
            raise
        if not isinstance(answer, dict) or "access_token" not in answer:
            raise ServerError(f"{self.url} gave no token; is it an Airflow server?")
        token = str(answer["access_token"])
        self._use_token(token)
        return token

    def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request (see :meth:`_opened`); raise :class:`ServerError` for any answer that is no success."""
        with self._opened(method, path, **options) as answer:
            total = answer.headers.get("X-Total-Count", "")
            return Answer(answer.status, answer.reason, answer.read(), int(total) if total.isdigit() else None)

    def get(self, path: str, **options: object) -> Any:
        """Return the JSON of a path of the plugin's API."""
        return self.request("GET", addresses.REST + path, **options).json()

    def post(self, path: str, **options: object) -> Any:
        """Post to a path of the plugin's API; return its JSON."""
        return self.request("POST", addresses.REST + path, **options).json()

    def download(self, path: str, target: Path) -> str:
        """Save what a path of the plugin's API answers; return its SHA-1."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha1(usedforsecurity=False)
        with self._opened("GET", addresses.REST + path) as answer, target.open("wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
            if answer.length:
                raise ServerError(f"The download of {path} broke off; {answer.length} bytes are missing.")
        return digest.hexdigest()

    def drive(self, flow: Flow[T]) -> T:
        """Do what a flow of the client library asks for, to its end; return what it returns."""
        return drive(flow, self._step)

    def _step(self, step: Request | Download | Pause) -> Answer | str | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        if isinstance(step, Download):
            return self.download(step.path, step.target)
        sent = {"json": step.json, "params": step.params, "form": step.form, "timeout": step.timeout}
        content = None if step.content is None else [step.content]
        return self.request(step.method, step.address, content=content, **sent)

    @contextlib.contextmanager
    def _opened(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        content: Iterable[bytes] | None = None,
        form: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Iterator[HTTPResponse]:
        """Yield the answer to a request with a JSON body, a stream, or a form.

        A form is ``{name: text, or (file name, bytes or an open file)}``; an open file is sent bit by bit.
        """
        import urllib.error
        import urllib.request

        url = f"{self.url}{path}" + (f"?{urlencode(params)}" if params else "")
        data, headers = _body(json, content, form)
        try:
            request = urllib.request.Request(url, data, {**self._headers, **headers}, method=method)  # noqa: S310
            opened: HTTPResponse = _opener().open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.reason, error.read()) from error
        except (OSError, ValueError, HTTPException) as error:
            told = f"The server {self.url} can't be reached: {getattr(error, 'reason', error)}"
            raise Unreachable(
                told, sent=not isinstance(getattr(error, "reason", None), ConnectionRefusedError)
            ) from error
        try:
            with opened as answer:
                yield answer
        except (ConnectionError, TimeoutError, HTTPException) as error:
            raise Unreachable(f"The answer of {self.url} broke off: {error!r}") from error

    def _use_token(self, token: str) -> None:
        self._headers["Authorization"] = f"Bearer {token}"


def _password(arguments: argparse.Namespace, user: str) -> str:
    password: str | None = arguments.password or os.environ.get("CWL_UI_PASSWORD")
    if not password:
        raise UsageError(f"The login of {user} needs a password: give --password or CWL_UI_PASSWORD.")
    return password


def _opener() -> OpenerDirector:
    """Return what opens URLs. It follows no redirects: the login would go with them, to wherever they lead."""
    import urllib.request

    class NoRedirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_arguments: object) -> None:
            return None

    return urllib.request.build_opener(NoRedirects)


def _body(data: object, content: object, form: Mapping[str, Any] | None) -> tuple[Any, dict[str, str]]:
    """Return the body of a request, and the headers that go with it."""
    if form is not None:
        return _form(form)
    if content is not None:
        return content, {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
    if data is not None:
        return json.dumps(data).encode(), {"Content-Type": "application/json"}
    return None, {}


def _form(form: Mapping[str, Any]) -> tuple[Iterable[bytes], dict[str, str]]:
    """Return a form bit by bit, and the headers that go with it."""
    from urllib3.fields import RequestField

    boundary = secrets.token_hex(16)
    parts: list[tuple[bytes, bytes | BinaryIO]] = []
    for name, value in form.items():
        field = RequestField.from_tuples(name, value)
        content = field.data.encode() if isinstance(field.data, str) else field.data
        parts.append((f"--{boundary}\r\n{field.render_headers()}".encode(), content))
    end = f"--{boundary}--\r\n".encode()
    size = len(end) + sum(len(head) + _size(content) + len(_LINE_END) for head, content in parts)

    def sent() -> Iterator[bytes]:
        for head, content in parts:
            yield head
            yield from (content,) if isinstance(content, bytes) else iter(partial(content.read, CHUNK_BYTES), b"")
            yield _LINE_END
        yield end

    return sent(), {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(size)}


def _size(content: bytes | BinaryIO) -> int:
    return len(content) if isinstance(content, bytes) else os.fstat(content.fileno()).st_size


def _not_logged_in() -> str:
    if os.environ.get("CWL_UI_PASSWORD") and not (os.environ.get("CWL_UI_USER") or os.environ.get("CWL_UI_TOKEN")):
        return "Not logged in: CWL_UI_PASSWORD is set, but no user; name it with --user or CWL_UI_USER."
    return (
        "Not logged in, or the login has expired: give --user and --password (CWL_UI_USER, CWL_UI_PASSWORD), or "
        "--token (CWL_UI_TOKEN)."
    )


def _refusal(status: int, reason: str, body: bytes) -> ServerError:
    data = Answer(status, reason, body).json()
    return refusal(status, reason, data, _not_logged_in() if status == UNAUTHORIZED else None)
