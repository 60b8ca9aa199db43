"""Where reports go: the Connection ``process_report``, and the key that signs them. Read in the API server only."""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cryptography.fernet import InvalidToken

from cwl_ui_plugin import config
from cwl_ui_plugin.reports import formats
from cwl_ui_plugin.reports.errors import BadTarget
from cwl_ui_plugin.reports.lookups import find_connection, find_variable
from cwl_ui_plugin.variables import REPORT_ALGORITHM, REPORT_CONNECTION, REPORT_KEY, look_up

if TYPE_CHECKING:
    from airflow.models.connection import Connection


log = logging.getLogger(__name__)
SCHEMES = ("http", "https")
ROUTES = ("progress", "status", "results")
DEFAULT_TIMEOUT = 10.0
MAX_TIMEOUT = 300.0
MAX_PORT = 65535
_FIELDS = (
    *("endpoint", "format", "headers", "retry_for", "routes", "timeout", "verify"),
    *("allow_redirects", "cert", "check_response", "max_redirects", "proxies", "proxy", "stream", "trust_env"),
)
"""What has a meaning in the extra: the first for us, the others for Airflow's HTTP hook."""
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_TEXT = re.compile(r"[\x20-\x7e\t]*")


@dataclass(frozen=True)
class ReportTarget:
    """A receiver. ``private_key`` None means unsigned; ``timeout`` and ``retry_for`` are in seconds."""

    base_url: str
    login: str | None = None
    password: str | None = None
    verify: bool | str = True
    timeout: float = DEFAULT_TIMEOUT
    headers: dict[str, str] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    retry_for: float | None = None
    private_key: str | None = None
    algorithm: str | None = None
    allow_weak: bool = False
    """Whether a short key may sign."""
    form: str = formats.OURS
    """The format of reports."""

    def url(self, route: str) -> str:
        """Return where reports of a route are posted to."""
        return f"{self.base_url}/{self.routes.get(formats.kind_of(route), route)}"


@dataclass(frozen=True)
class Receiver:
    """A receiver that is set: ``target`` None where it can't be used, ``form`` None where its format is not known."""

    target: ReportTarget | None
    form: str | None


def read_receiver() -> Receiver | None:
    """Return the receiver, or None where no Connection is set. What keeps it from being used says the page."""
    try:
        connection, _source = find_connection(REPORT_CONNECTION)
    except BadTarget:
        return Receiver(None, None)
    if connection is None:
        return None
    try:
        target = target_of(connection, lambda name: find_variable(name)[0])
    except BadTarget:
        return Receiver(None, _known_format(connection))
    return Receiver(target, target.form)


def _known_format(connection: Connection) -> str | None:
    try:
        return formats.format_named(_extra(connection).get("format"))
    except BadTarget:
        return None


def read_target() -> ReportTarget | None:
    """Return the receiver, or None where no Connection is set.

    Raises:
        BadTarget: the Connection can't be used; says which field is wrong.

    """
    connection, _source = find_connection(REPORT_CONNECTION)
    if connection is None:
        return None
    return target_of(connection, lambda name: find_variable(name)[0])


def target_of(connection: Connection, variable: Callable[[str], str | None]) -> ReportTarget:
    """Return the receiver that a Connection and the Variables describe; raise :class:`BadTarget`."""
    extra = _extra(connection)
    scheme = (connection.schema or "http").strip().lower()
    host = (connection.host or "").strip()
    if "://" in host:
        scheme, _, host = host.partition("://")
    if scheme not in SCHEMES:
        raise BadTarget(
            f"The schema of the Connection {REPORT_CONNECTION} must be http or https, not {scheme!r}.", "schema"
        )
    path = _path("endpoint", extra.get("endpoint") or "")
    return ReportTarget(
        base_url=f"{scheme}://{_host(host)}{_port(connection.port)}" + (f"/{path}" if path else ""),
        login=connection.login or None,
        password=connection.password or None,
        verify=_verify(extra.get("verify", True)),
        timeout=_seconds("timeout", extra.get("timeout", DEFAULT_TIMEOUT), MAX_TIMEOUT),
        headers={**_loose_headers(extra), **_headers(extra.get("headers") or {})},
        routes=_routes(extra.get("routes") or {}),
        retry_for=_seconds("retry_for", extra["retry_for"]) if extra.get("retry_for") is not None else None,
        private_key=look_up(REPORT_KEY, variable),
        algorithm=look_up(REPORT_ALGORITHM, variable),
        allow_weak=config.flag("allow_weak_keys"),
        form=formats.format_named(extra.get("format")),
    )


def _extra(connection: Connection) -> dict[str, object]:
    try:
        extra = json.loads(connection.extra or "{}")
    except InvalidToken:
        raise BadTarget(
            f"The Connection {REPORT_CONNECTION} can't be decrypted: it was saved with another Fernet key. "
            "Save it anew."
        ) from None
    except ValueError:  # raised by Airflow, too
        extra = None
    if not isinstance(extra, dict):
        raise BadTarget(
            f"The extra of the Connection {REPORT_CONNECTION} must be a JSON object, as "
            '{"endpoint": "satellite/v1/"}.'
        )
    return extra


def _host(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if host and not any(character in "/@?#:[]\\\"'<>" or character.isspace() for character in host):
            return host
        raise BadTarget(
            f"The host of the Connection {REPORT_CONNECTION} must be a name or an address only, without port or path, "
            f"not {host[:100]!r}.",
            "host",
        ) from None
    return f"[{address}]" if address.version == 6 else str(address)


def _port(port: int | str | None) -> str:
    if port is None or port == "":
        return ""
    if not 0 < int(port) <= MAX_PORT:
        raise BadTarget(f"The port of the Connection {REPORT_CONNECTION} must be between 1 and {MAX_PORT}.", "port")
    return f":{int(port)}"


def _path(name: str, value: object) -> str:
    """Return a path below the host, without slashes at its ends."""
    field = "endpoint" if name == "endpoint" else "extra"
    if not isinstance(value, str):
        raise BadTarget(f'"{name}" in the extra must be a text such as "satellite/v1/".', field)
    path = value.strip().strip("/")
    if "://" in path or any(part in (".", "..") for part in path.split("/")):
        raise BadTarget(f'"{name}" in the extra must be a path such as "satellite/v1/", not {value[:100]!r}.', field)
    return quote(path, safe="/:-_.~")


def _verify(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):  # from a Connection that is written as a URI
        return bool(value == "true")
    if not isinstance(value, str) or not value:
        raise BadTarget('"verify" in the extra must be true, false or the path of a CA file.')
    try:
        _check_ca_file(value, Path(value).stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        # The reason would tell which files this server has, and what is in them.
        log.info("The CA file %s can't be used: %s", value, error)
        raise BadTarget(f'"verify" in the extra: {value[:200]} is no file with certificates.') from None
    return value


@lru_cache(maxsize=4)
def _check_ca_file(path: str, _modified: int) -> None:
    ssl.create_default_context(cafile=path)


def _seconds(name: str, value: object, most: float = math.inf) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):  # from a Connection that is written as a URI
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= most:
        return float(value)
    limit = f", {most:.0f} at most" if most < math.inf else ""
    raise BadTarget(f'"{name}" in the extra must be a number of seconds{limit}.')


def _headers(value: object) -> dict[str, str]:
    """Return headers of each request; a broken one would break it, or add others."""
    headers = _texts("headers", value)
    for name, text in headers.items():
        if not _HEADER.fullmatch(name) or not _HEADER_TEXT.fullmatch(text):
            raise BadTarget(f'"headers" in the extra: {name[:50]!r} is no HTTP header with a text of ASCII characters.')
    return headers


def _loose_headers(extra: dict[str, object]) -> dict[str, str]:
    """Return what is in the extra under other names: the predecessors sent that as headers, as Airflow's hook does."""
    found = {name: text for name, text in extra.items() if name not in _FIELDS and isinstance(text, str)}
    return {name: text for name, text in found.items() if _HEADER.fullmatch(name) and _HEADER_TEXT.fullmatch(text)}


def _routes(value: object) -> dict[str, str]:
    routes = _texts("routes", value)
    unknown = sorted(set(routes) - set(ROUTES))
    if unknown:
        raise BadTarget(f'"routes" in the extra: there is no {unknown[0]!r}; the routes are {", ".join(ROUTES)}.')
    return {name: _path("routes", text) for name, text in routes.items()}


def _texts(name: str, value: object) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return dict(value)
    raise BadTarget(f'"{name}" in the extra must be an object of texts.')
