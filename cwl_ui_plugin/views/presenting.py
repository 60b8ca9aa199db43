"""How values look on pages: filters and values that every template has."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from datetime import datetime, timezone
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.config import MEBIBYTE
from cwl_ui_plugin.cwl.edam import format_name
from cwl_ui_plugin.cwl.jobs.type_words import type_words
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.plain_words import bytes_text, duration, moment
from cwl_ui_plugin.servers import recent_restarts
from cwl_ui_plugin.services import health
from cwl_ui_plugin.services.inputs.stored_uploads import is_on as uploads_go_to_a_store
from cwl_ui_plugin.services.labelling import title_of
from cwl_ui_plugin.services.monitoring.resource_report import memory_text
from cwl_ui_plugin.services.monitoring.run_states import state_text
from cwl_ui_plugin.services.workflows.details import version_numbers
from cwl_ui_plugin.views.addresses import rooted
from cwl_ui_plugin.views.highlighting import source_lines, visible
from cwl_ui_plugin.views.job_form.markdown import to_html
from cwl_ui_plugin.views.shown_values import shown_value

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
    def common() -> dict[str, object]:
        return {
            "brand": brand_scale(),
            "cwl_version": version_name,
            "may": permissions,
            "notices": notices,
            "run_name": run_name,
            "stored_uploads": stored_uploads,
            "with_query": with_query,
        }

    for name, function in _filters().items():
        blueprint.add_app_template_filter(function, name)

    @blueprint.after_app_request
    def headers(response: Response) -> Response:
        if addresses.is_below(request.path, addresses.PAGES):
            response.headers.setdefault("Content-Security-Policy", _POLICY + g.get("cwl_more_policy", ""))
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            response.headers.setdefault("Referrer-Policy", "same-origin")
        return response


def stored_uploads() -> str:
    """Return where forms upload files to the object store for them, which their page may then send to; else nothing."""
    if not uploads_go_to_a_store():
        return ""
    if origin := config.uploads_origin():
        g.cwl_more_policy = f"; connect-src 'self' {origin}"
    return rooted(addresses.STORED_INPUTS)


def _filters() -> dict[str, Callable[..., object]]:
    return {
        "cwl_size": lambda value: "" if value is None else bytes_text(value),
        "cwl_memory": lambda value: "" if value is None else memory_text(value / MEBIBYTE),
        "cwl_duration": duration,
        "cwl_moment": moment,
        "cwl_left": left,
        "cwl_type": type_text,
        "cwl_format_name": format_name,
        "cwl_type_words": type_words,
        "cwl_state": state_text,
        "cwl_command": shlex.join,
        "cwl_value": value_text,
        "cwl_json": json_text,
        "cwl_shown": shown_value,
        "cwl_visible": visible,
        "cwl_markdown": to_html,
        "cwl_source_lines": source_lines,
    }


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


def with_query(**changes: object) -> str:
    """Return the query of this page with other values; None takes one away."""
    values = {**request.args.to_dict(), **changes}
    return urlencode({name: value for name, value in values.items() if value is not None})


def version_name(dag_id: str, digest: str | None) -> str:
    """Return what people call a version of a workflow: ``v3``; the start of its digest where it has no number."""
    if not digest:
        return ""
    kept: dict[str, dict[str, int]] = g.setdefault("cwl_version_numbers", {})
    if dag_id not in kept:
        kept[dag_id] = version_numbers(dag_id)
    number = kept[dag_id].get(digest)
    return digest[:12] if number is None else f"v{number}"


def run_name(dag_id: str, run_id: str) -> str:
    """Return what people call a run: its title, or its id where it has none."""
    kept: dict[tuple[str, str], str] = g.setdefault("cwl_run_names", {})
    if (dag_id, run_id) not in kept:
        kept[dag_id, run_id] = title_of(dag_id, run_id) or run_id
    return kept[dag_id, run_id]


def value_text(value: object) -> str:
    """Return a value of CWL as it is on one line of a page; long ones are cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def json_text(value: object) -> str:
    """Return a value as people read JSON."""
    return json.dumps(value, ensure_ascii=False, indent=1)


def left(until: str) -> str:
    """Return how long it is until a moment (ISO 8601), as people read it; scripts count it down."""
    return duration(max(0.0, (datetime.fromisoformat(until) - datetime.now(timezone.utc)).total_seconds()))
