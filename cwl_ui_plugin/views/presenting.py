"""How values look on pages: filters and values that every template has."""

from __future__ import annotations

import json
import re
import shlex
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request

from cwl_ui_plugin import addresses
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.config import bytes_text
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.servers import recent_restarts
from cwl_ui_plugin.services import health
from cwl_ui_plugin.views.highlighting import source_lines, visible
from cwl_ui_plugin.views.job_form.markdown import to_html

MAX_VALUE = 2000
_OKLCH = re.compile(r"oklch\([0-9. %-]+\)")
_SHADE = re.compile(r"[0-9]{2,3}")
_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)


def init_presenting(blueprint: Blueprint) -> None:
    """Give the templates their filters, and our pages their headers."""

    @blueprint.app_context_processor
    def common() -> dict[str, Any]:
        return {
            "brand": brand_scale(),
            "may": permissions,
            "notices": notices,
            "paged": paged,
            "with_query": with_query,
        }

    for name, function in (
        ("size", lambda value: "" if value is None else bytes_text(value)),
        ("duration", duration),
        ("moment", moment),
        ("cwl_type", type_text),
        ("command", shlex.join),
        ("value", value_text),
        ("json", json_text),
        ("visible", visible),
        ("markdown", to_html),
        ("source_lines", source_lines),
    ):
        blueprint.add_app_template_filter(function, f"cwl_{name}" if not name.startswith("cwl_") else name)

    @blueprint.after_app_request
    def headers(response: Response) -> Response:
        if addresses.is_below(request.path, addresses.PAGES):
            response.headers.setdefault("Content-Security-Policy", _POLICY)
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            response.headers.setdefault("Referrer-Policy", "same-origin")
        return response


def notices() -> list[str]:
    """Return what is wrong with the set-up of this server, for those who may change it."""
    user = getattr(g, "cwl_user", None)  # None on the page that says that nobody is logged in
    if user is None or not permissions.may_edit_connection(user):
        return []
    told = health.problems()
    deaths: dict[str, list[str]] = {}
    for restart in recent_restarts():
        deaths.setdefault(restart.component, []).append(restart.exit_code)
    for name, codes in deaths.items():
        times = "once" if len(codes) == 1 else f"{len(codes)} times"
        told.append(f"The {name} died {times} in the last hour (exit code {codes[-1]}), and was started again.")
    return told


def brand_scale() -> dict[str, str]:
    """Return the brand colours of ``[api] theme``, for pages that are opened outside of Airflow's frame."""
    from airflow.configuration import conf

    try:
        scale = json.loads(conf.get("api", "theme", fallback="") or "{}")["tokens"]["colors"]["brand"]
        return {
            shade: color["value"]
            for shade, color in scale.items()
            if _SHADE.fullmatch(shade) and _OKLCH.fullmatch(color["value"])
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def paged(offset: int) -> str:
    """Return the query of this page with another offset."""
    return with_query(offset=max(0, offset))


def with_query(**changes: Any) -> str:
    """Return the query of this page with other values; None takes one away."""
    values = {**request.args.to_dict(), **changes}
    return urlencode({name: value for name, value in values.items() if value is not None})


def value_text(value: Any) -> str:
    """Return a value of CWL as it is on one line of a page; long ones are cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def json_text(value: Any) -> str:
    """Return a value as people read JSON."""
    return json.dumps(value, ensure_ascii=False, indent=1)


def duration(seconds: float | None) -> str:
    """Return seconds as people read them."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(text: str | None) -> str:
    """Return a moment (ISO 8601) to the second, in UTC; scripts show it in the reader's own time."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
