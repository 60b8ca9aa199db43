"""A real receiver of reports: a portal that verifies signatures, and that can be in a bad mood."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """What came in: ``(route, payload)``; a payload whose signature does not hold raises in the receiver.

    ``mood`` may return another answer for a report than taking it; ``checks`` raises for what is refused, by its path.
    """

    port: int
    public_key: str | None = None
    checks: Callable[[str, dict[str, Any]], None] = lambda _path, _payload: None
    mood: Callable[[dict[str, Any]], Answer | None] = lambda _payload: None
    reports: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def of_run(self, run_id: str, route: str | None = None) -> list[dict[str, Any]]:
        return [payload for name, payload in self.reports if payload["run_id"] == run_id and route in (None, name)]

    def payload(self, body: dict[str, Any]) -> dict[str, Any]:
        content = body["payload"]
        return jwt.decode(content, self.public_key, algorithms=["RS256"]) if self.public_key else content

    def take(self, path: str, body: dict[str, Any]) -> None:
        payload = self.payload(body)
        self.checks(path, payload)
        self.reports.append((path.rstrip("/").rsplit("/", 1)[-1], payload))


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    """An answer with a status, headers (``_`` for ``-``) and a body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """Listen on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            state.paths.append(self.path)
            state.headers.append(dict(self.headers.items()))
            try:
                answer = state.mood(state.payload(json.loads(text)))
                if answer is None:
                    state.take(self.path, json.loads(text))
            except Exception as error:
                state.refused.append(f"{error!r}: {text[:200]}")
                answer = answering(403)
            (answer or answering(200))(self)

        def log_message(self, *_arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A sender that goes away is no news."""

    listener = Server(("127.0.0.1", port), Handler)
    state = Receiver(port=listener.server_address[1])
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
