"""A real receiver of reports: a portal that verifies signatures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt


@dataclass
class Receiver:
    """What came in: ``(route, payload)``; a payload whose signature does not hold raises in the receiver."""

    port: int
    public_key: str | None = None
    reports: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def of_run(self, run_id: str, route: str | None = None) -> list[dict[str, Any]]:
        return [payload for name, payload in self.reports if payload["run_id"] == run_id and route in (None, name)]

    def take(self, path: str, body: dict[str, Any]) -> None:
        payload = body["payload"]
        if self.public_key:
            payload = jwt.decode(payload, self.public_key, algorithms=["RS256"])
        self.reports.append((path.rstrip("/").rsplit("/", 1)[-1], payload))


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listen on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            try:
                state.take(self.path, json.loads(text))
                self.send_response(200)
            except Exception as error:
                state.refused.append(f"{error!r}: {text[:200]}")
                self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Receiver(port=listener.server_address[1])
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        listener.shutdown()
        thread.join()
