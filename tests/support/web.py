"""A server somewhere on the network, which answers as a test wants: rightly, with lies, without end, or never."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Page = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Web:
    """``pages`` by path without query; ``asked`` has each request's path with its query, ``headers`` its headers."""

    address: str
    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    """What came as JSON."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the server goes: what hangs until then ends."""

    @property
    def host(self) -> str:
        return f"{self.address}:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def put(self, path: str, content: bytes, **headers: str) -> str:
        """Have something at a path; return its address."""
        self.pages[path] = giving(content, **headers)
        return self.url(path)

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Say nothing."""
        self.over.wait()


def giving(content: bytes, status: int = 200, **headers: str) -> Page:
    """A page with a status, headers (``_`` for ``-``) and a body."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return page


def redirecting(location: str, status: int = 302) -> Page:
    """A page that leads elsewhere."""
    return giving(b"", status, Location=location)


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A body without end."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


@contextmanager
def web(address: str = "127.0.0.1") -> Iterator[Web]:
    """Listen on a free port of an address of this machine."""
    state = Web(address, 0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.headers.get("Content-Type") == "application/json":
                state.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            page = state.pages.get(self.path.partition("?")[0], giving(b"nothing is here", 404))
            with suppress(ConnectionError):
                page(self)

        do_POST = do_GET

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer((address, 0), Handler) as server:
        server.daemon_threads = True
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.over.set()
            server.shutdown()
            thread.join()
