"""The socket of a machine's agent: lines of JSON, between processes of one user."""

from __future__ import annotations

import json
import os
import socket
import struct
from contextlib import suppress
from typing import Any

from cwl_ui_plugin import config

MAX_LINE = 1024 * 1024
_NAME = "agent.sock"
_PEER = struct.Struct("3i")
Message = dict[str, Any]


def listen() -> socket.socket:
    """Return the socket of this machine's agent; who calls holds the agent's lock, so what was there is of a dead one.

    Raises:
        OSError: it can't be made.

    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = _folder()
    try:
        with suppress(FileNotFoundError):
            os.unlink(_NAME, dir_fd=folder)
        made.bind(_address(folder))
        made.listen(256)
    finally:
        os.close(folder)
    return made


def connect(timeout: float | None = None) -> socket.socket:
    """Return a connection to this machine's agent; raise :class:`OSError` where there is none."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout)
    folder = _folder()
    try:
        made.connect(_address(folder))
    except OSError:
        made.close()
        raise
    finally:
        os.close(folder)
    return made


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the pid and the user of who is at the other end, as the kernel knows it."""
    content = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    pid, user, _group = _PEER.unpack(content)
    return int(pid), int(user)


def send(connection: socket.socket, message: Message) -> None:
    """Send a message."""
    connection.sendall(json.dumps(message).encode() + b"\n")


class Lines:
    """Receives messages, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def receive(self) -> Message | None:
        """Return the next message; None where the other end is closed, or says what is none."""
        while b"\n" not in self._rest:
            part = self._connection.recv(65536)
            if not part or len(self._rest) > MAX_LINE:
                return None
            self._rest += part
        line, _newline, self._rest = self._rest.partition(b"\n")
        try:
            found = json.loads(line)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def _folder() -> int:
    """Open the folder of the socket: its path may be longer than an address of a socket may be."""
    return os.open(config.control_folder(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _address(folder: int) -> str:
    return f"/proc/self/fd/{folder}/{_NAME}"
