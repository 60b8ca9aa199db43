"""A receiver of reports as a process of its own, which can be killed; a file says in which mood it is.

It writes each report that it takes to a file before it answers, as a receiver must that acknowledges.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt

OK, SLOW, LOST, GARBAGE = "ok", "slow", "lost answer", "garbage"
MOODS = (OK, SLOW, "500", "429", "hang", "reset", LOST, GARBAGE)
PAUSES = {"hang": 30, SLOW: 2}
"""Seconds; a slow one still answers in time."""
STATUSES = {"500": 500, "429": 429}
RETRY_AFTER = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    for name in ("--record", "--mood", "--public-key"):
        parser.add_argument(name, type=Path, required=True)
    options = parser.parse_args()
    ThreadingHTTPServer(("127.0.0.1", options.port), _handler(options)).serve_forever()


def _handler(options: argparse.Namespace) -> type[BaseHTTPRequestHandler]:
    key = options.public_key.read_text()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mood = options.mood.read_text().strip()
            if mood in (OK, SLOW, LOST):
                self.keep(body, mood)
            time.sleep(PAUSES.get(mood, 0))
            if mood in ("hang", "reset", LOST):
                self.reset()
            elif mood == GARBAGE:
                self.say_garbage()
            else:
                _answer(self, STATUSES.get(mood, 200))

        def keep(self, body: bytes, mood: str) -> None:
            payload = jwt.decode(json.loads(body)["payload"], key, algorithms=["RS256"])
            entry = {"at": time.time(), "route": self.path.rsplit("/", 1)[-1], "mood": mood, "payload": payload}
            with lock, options.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

        def say_garbage(self) -> None:
            self.close_connection = True
            self.wfile.write(b"\x16\x03no HTTP\r\n\r\n" + os.urandom(1000))

        def reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler


def _answer(handler: BaseHTTPRequestHandler, status: int) -> None:
    handler.send_response(status)
    if status == 429:
        handler.send_header("Retry-After", str(RETRY_AFTER))
    handler.send_header("Content-Length", "0")
    handler.end_headers()


if __name__ == "__main__":
    main()
