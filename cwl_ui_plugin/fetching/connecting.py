"""Connections to allowed hosts only: names are resolved, checked, and connected to in one step, within one deadline.

As a connection goes to the very address that was checked, a name that leads elsewhere a moment later (DNS rebinding)
gains nothing.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from cwl_ui_plugin.fetching.errors import Away, FetchError, HostNotAllowed, TooMuch
from cwl_ui_plugin.fetching.hosts import HostRules, IpAddress, address_of

READ_SECONDS = 60.0
"""How long a server may be silent."""


class Deadline:
    """The moment by which something must be done, and what is said, by which error, if it is not."""

    def __init__(self, seconds: float, message: str, error: type[FetchError] = TooMuch) -> None:
        self._until = time.monotonic() + seconds
        self._message = message
        self._error = error

    def left(self, most: float | None = None) -> float:
        """Return the seconds that are left, at most so many; raise the error when it has passed."""
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise self._error(self._message)
        return min(seconds, READ_SECONDS if most is None else most)


class CheckedBackend(httpcore.NetworkBackend):
    """What httpcore connects with. With ``rules`` None every address will do: that of a proxy, which the site chose."""

    def __init__(self, rules: HostRules | None, deadline: Deadline) -> None:
        self._rules = rules
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that answers."""
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses_of(host, port, self._rules, self._deadline):
            try:
                stream = self._plain.connect_tcp(
                    str(address), port, self._deadline.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return BoundedStream(stream, self._deadline)
        raise problem


class BoundedStream(httpcore.NetworkStream):
    """A connection on which no call outlives the deadline, however slowly the other side goes on."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come."""
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Begin with TLS."""
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return BoundedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        """Return what httpcore asks."""
        return self._stream.get_extra_info(info)


def addresses_of(host: str, port: int, rules: HostRules | None, deadline: Deadline) -> list[IpAddress]:
    """Return the addresses of a host that may be connected to; without rules, all of them.

    Raises:
        HostNotAllowed: there are none, with the option that allows hosts.
        Away: the name can't be resolved.

    """
    found = _resolved(host, port, deadline)
    if rules is None:
        return found
    allowed = [address for address in found if rules.may_connect(host, port, address)]
    if not allowed:
        named = "" if address_of(host) else " by its address"
        raise HostNotAllowed(
            f"{host} leads to {', '.join(map(str, found[:1])) or 'nowhere'}, which is no public address. Nothing is "
            f"fetched from there, unless an administrator names the host{named} in [cwl] fetch_hosts."
        )
    return allowed


def _resolved(host: str, port: int, deadline: Deadline) -> list[IpAddress]:
    """Return the addresses of a host; a resolver that hangs is left to its thread."""
    answers: list[list[Any] | OSError | UnicodeError] = []

    def resolve() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=resolve, name="cwl-resolve", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if not answers:
        deadline.left()
        raise Away(f"The name {host} was not resolved in {READ_SECONDS:.0f} seconds. Try again later.")
    if isinstance(answers[0], (OSError, UnicodeError)):
        raise Away(f"The name {host} can't be resolved: {getattr(answers[0], 'strerror', None) or answers[0]}.")
    found = (address_of(str(entry[4][0]).partition("%")[0]) for entry in answers[0])
    return list(dict.fromkeys(address for address in found if address is not None))
