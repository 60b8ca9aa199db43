"""Talking HTTP to a running server, and saying clearly what it answers."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cwl_ui_plugin.cli.errors import ServerError, UnsupportedWorkflow

if TYPE_CHECKING:
    import httpx

API = "/cwl/api/v1"
DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_SECONDS = 120.0


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the server is found and who is asking."""
    parser.add_argument("--url", "-u", default=os.environ.get("CWL_UI_URL"), help="URL of the server (CWL_UI_URL)")
    parser.add_argument("--user", help="user name, with --password")
    parser.add_argument("--password", help="password of --user (CWL_UI_PASSWORD)")
    parser.add_argument("--token", help="Airflow's bearer token (CWL_UI_TOKEN)")


class Client:
    """A server and a login."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers or {}, timeout=TIMEOUT_SECONDS)

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Client:
        """Return the client that the command line describes, logged in if it has credentials."""
        client = cls(arguments.url or DEFAULT_URL)
        token = arguments.token or (None if arguments.user else os.environ.get("CWL_UI_TOKEN"))
        if token is None and arguments.user:
            token = client.log_in(arguments.user, arguments.password or os.environ.get("CWL_UI_PASSWORD", ""))
        if token:
            client._http.headers["Authorization"] = f"Bearer {token}"
        return client

    def log_in(self, user: str, password: str) -> str:
        """Return a bearer token of Airflow, and use it from now on."""
        answer = self.request("POST", "/auth/token", json={"username": user, "password": password})
        token = str(answer.json()["access_token"])
        self._http.headers["Authorization"] = f"Bearer {token}"
        return token

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; raise :class:`ServerError` for any answer that is no success."""
        import httpx

        try:
            answer = self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerError(f"The server {self.url} can't be reached: {error}") from error
        if answer.status_code >= 400:
            raise _refusal(answer)
        return answer

    def get(self, path: str, **options: Any) -> Any:
        """Return the JSON of a path of the plugin's API."""
        return self.request("GET", API + path, **options).json()

    def post(self, path: str, **options: Any) -> Any:
        """Post to a path of the plugin's API; return its JSON."""
        return self.request("POST", API + path, **options).json()

    def download(self, path: str, target: Path) -> None:
        """Save what a path of the plugin's API answers."""
        import httpx

        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._http.stream("GET", API + path) as answer, target.open("wb") as file:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refusal(answer)
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise ServerError(f"{path} can't be fetched from {self.url}: {error}") from error


def path_of(*parts: str) -> str:
    """Return the parts as a path, each quoted."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def problem_lines(data: dict[str, Any]) -> list[str]:
    """Return the problems of an answer, a line each, as ``file:line:column: input: message``."""
    lines = []
    for problem in data.get("problems") or []:
        where = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem.get(key) is not None)
        lines.append(": ".join(part for part in (where, problem.get("input"), problem.get("message")) if part))
    return lines


def _refusal(answer: httpx.Response) -> Exception:
    data = _json(answer)
    detail = data.get("detail") or answer.reason_phrase
    text = detail if isinstance(detail, str) else str(detail)
    if answer.status_code == 401:
        text = "Not logged in, or the login has expired: give --user and --password, --token, or CWL_UI_TOKEN."
    lines = [f"{text} (HTTP {answer.status_code})", *(f"  {line}" for line in problem_lines(data))]
    if data.get("unsupported"):
        return UnsupportedWorkflow("\n".join(lines))
    return ServerError("\n".join(lines), answer.status_code)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        data = answer.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
