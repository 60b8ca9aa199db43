"""Where reports go: the Connection ``process_report``, and the key that signs them. Read in the API server only."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cwl_ui_plugin.reports.errors import BadTarget

CONNECTION = "process_report"
PRIVATE_KEY = "process_report_private_key"
ALGORITHMS = ("process_report_crypt_algorithm", "process_report_algorithm")
SCHEMES = ("http", "https")
DEFAULT_TIMEOUT = 10.0


@dataclass(frozen=True)
class ReportTarget:
    """A receiver. ``private_key`` None means unsigned; ``timeout`` is in seconds."""

    base_url: str
    login: str | None = None
    password: str | None = None
    verify: bool | str = True
    timeout: float = DEFAULT_TIMEOUT
    headers: dict[str, str] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    private_key: str | None = None
    algorithm: str | None = None

    def url(self, route: str) -> str:
        """Return where reports of a route are posted to."""
        return f"{self.base_url}/{self.routes.get(route, route)}"


def read_target() -> ReportTarget | None:
    """Return the receiver, or None where no Connection is set.

    Raises:
        BadTarget: the Connection can't be used; says which field is wrong.

    """
    from airflow.models.connection import Connection
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        connection = session.scalar(select(Connection).where(Connection.conn_id == CONNECTION))
        if connection is None:
            return None
        values = {key: Variable.get(key, default_var=None) for key in (PRIVATE_KEY, *ALGORITHMS)}
        return target_of(connection, values)


def target_of(connection: Any, variables: dict[str, str | None]) -> ReportTarget:
    """Return the receiver that a Connection and the Variables describe; raise :class:`BadTarget`."""
    extra = _extra(connection.extra)
    scheme = (connection.schema or "http").strip().lower()
    host = (connection.host or "").strip()
    if "://" in host:
        scheme, _, host = host.partition("://")
    if scheme not in SCHEMES:
        raise BadTarget(f"The schema of the Connection {CONNECTION} must be http or https, not {scheme!r}.")
    if not host or "/" in host or "@" in host:
        raise BadTarget(f"The host of the Connection {CONNECTION} must be a name or an address, not {host!r}.")
    port = f":{connection.port}" if connection.port else ""
    endpoint = quote(str(extra.get("endpoint") or "").strip("/"), safe="/:-_.~")
    return ReportTarget(
        base_url=f"{scheme}://{host}{port}" + (f"/{endpoint}" if endpoint else ""),
        login=connection.login or None,
        password=connection.password or None,
        verify=_verify(extra.get("verify", True)),
        timeout=_timeout(extra.get("timeout", DEFAULT_TIMEOUT)),
        headers=_texts("headers", extra.get("headers") or {}),
        routes=_texts("routes", extra.get("routes") or {}),
        private_key=variables.get(PRIVATE_KEY) or None,
        algorithm=next((variables[name] for name in ALGORITHMS if variables.get(name)), None),
    )


def _extra(text: str | None) -> dict[str, Any]:
    try:
        extra = json.loads(text or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise BadTarget(
            f'The extra of the Connection {CONNECTION} must be a JSON object, as {{"endpoint": "satellite/v1/"}}.'
        )
    return extra


def _verify(value: Any) -> bool | str:
    if isinstance(value, (bool, str)):
        return value
    raise BadTarget('"verify" in the extra must be true, false or the path of a CA file.')


def _timeout(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return float(value)
    raise BadTarget('"timeout" in the extra must be a number of seconds.')


def _texts(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return dict(value)
    raise BadTarget(f'"{name}" in the extra must be an object of texts.')
