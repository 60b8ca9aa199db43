"""``cwl-ui-plugin report-server``: the predecessors' server.py. Receives reports, verifies and prints them."""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TextIO

from cwl_ui_plugin.cli.errors import UsageError

MAX_BODY = 64 * 1024 * 1024
MAX_DELAY = 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8082, help="port to listen on; 0 takes a free one")
    parser.add_argument("--public-key", type=Path, help="file with the key to verify with")
    parser.add_argument("--algorithm", "-a", default="RS256", help="algorithms that are accepted, comma-separated")
    parser.add_argument("--record", type=Path, help="append each report as a line of JSON")
    parser.add_argument(
        "--fail-rate", type=_number_to(1), default=0.0, help="share of reports to answer with 503, for tests"
    )
    parser.add_argument(
        "--delay", type=_number_to(MAX_DELAY), default=0.0, help="seconds to wait before each answer, for tests"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    check = _verifier(arguments)
    if arguments.record:
        _open_record(arguments.record).close()
    lock = threading.Lock()

    def take(route: str, body: bytes) -> int:
        if arguments.delay:
            time.sleep(arguments.delay)
        if random.random() < arguments.fail_rate:  # noqa: S311 - a test's dice
            return 503
        status, entry = _entry(route, body, check)
        line = json.dumps(entry, ensure_ascii=False)
        with lock:
            print(line, flush=True)
            if arguments.record:
                with _open_record(arguments.record) as file:
                    file.write(line + "\n")
        return status

    try:
        server = _Server((arguments.host, arguments.port), _handler(take))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"Can't listen on {arguments.host}:{arguments.port}: {reason}.") from error
    print(f"Listening on http://{arguments.host}:{server.server_address[1]}", flush=True)
    with server:
        server.serve_forever()
    return 0


class _Server(ThreadingHTTPServer):
    """A server that takes it calmly when a sender goes away."""

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Show no traceback for a connection that was closed by the other side."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _verifier(arguments: argparse.Namespace) -> Callable[[object], tuple[str, object]]:
    """Return what tells of a payload whether its signature holds, and what it says."""
    from cwl_ui_plugin.signing.algorithms import parse_algorithms
    from cwl_ui_plugin.signing.errors import SigningError
    from cwl_ui_plugin.signing.keys import verifiers
    from cwl_ui_plugin.signing.tokens import verify

    key = _read(arguments.public_key) if arguments.public_key else None
    try:
        algorithms = parse_algorithms(arguments.algorithm)
        if key is not None:
            verifiers(key, algorithms)
    except SigningError as error:
        raise UsageError(f"Nothing can be verified: {error}") from error

    def check(payload: object) -> tuple[str, object]:
        if not isinstance(payload, str):
            return "unsigned", payload
        if key is None:
            return "not checked", payload
        try:
            return "yes", verify(payload, key, algorithms)
        except SigningError as error:
            return f"no: {error}", None

    return check


def _entry(route: str, body: bytes, check: Callable[[object], tuple[str, object]]) -> tuple[int, dict[str, object]]:
    try:
        payload = json.loads(body)["payload"]
    except (ValueError, KeyError, TypeError):
        return 400, {"route": route, "verified": "no: not a report", "payload": None}
    verified, content = check(payload)
    return (403 if verified.startswith("no:") else 200), {"route": route, "verified": verified, "payload": content}


def _handler(take: Callable[[str, bytes], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length") or ""
            if not length.isdecimal() or int(length) > MAX_BODY:
                self.close_connection = True  # what follows is the body, and no other request
                self._answer(413 if length.isdecimal() else 411)
                return
            route = self.path.rstrip("/").rsplit("/", 1)[-1]
            self._answer(take(route, self.rfile.read(int(length))))

        def _answer(self, status: int) -> None:
            text = json.dumps({"status": status}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_arguments: object) -> None:
            """Keep quiet: each report is printed."""

    return Handler


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The key {path} can't be read: {error}.") from error


def _open_record(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The record {path} can't be written: {error.strerror}.") from error


def _number_to(most: float) -> Callable[[str], float]:
    """Return what reads an option that is a number from 0 to ``most``."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {most:g}.")
        return value

    return read
