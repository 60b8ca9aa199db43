"""Under which names this server lets itself be called: a page of another site must not reach it under its own.

With DNS rebinding a name of an attacker leads a browser to this server, and the attacker's page reads what it answers.
For that the name must be one of the public DNS; addresses, and names without a dot, can't be made to lead here.
"""

from __future__ import annotations

import ipaddress
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from starlette.types import Scope

from cwl_ui_plugin import config

ALL = "*"


def is_called_rightly(scope: Scope) -> bool:
    """Whether a request names this server as the site wants it; clients older than HTTP/1.1 need not name it."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    return not host or is_allowed(host)


def is_allowed(host: str) -> bool:
    """Whether this is a name of this server, with or without a port; see ``[cwl] allowed_hosts``."""
    return not _allowed_names() or is_surely_own(host)


def is_surely_own(host: str) -> bool:
    """Whether no page of another site can have this name, also where nobody has said what this server is called."""
    names, name = _allowed_names(), _name_of(host)
    return ALL in names or _can_not_be_rebound(name) or any(fnmatchcase(name, known) for known in names)


def _allowed_names() -> list[str]:
    """Return the patterns of names that are allowed; none where nobody has said what this server is called."""
    from airflow.configuration import conf

    given = [part.strip().lower().rstrip(".") for part in config.text("allowed_hosts").split(",")]
    return [
        part for part in (*given, _name_of(urlsplit(conf.get("api", "base_url", fallback="") or "").netloc)) if part
    ]


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port; nothing for what can't be one."""
    if any(character in "@/?#\\" for character in host):
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _can_not_be_rebound(name: str) -> bool:
    if name and "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
