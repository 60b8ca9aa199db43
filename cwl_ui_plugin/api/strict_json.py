"""JSON whose content goes into Airflow's database: what Python takes, but JSON or PostgreSQL does not, is refused."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi import Request

from cwl_ui_plugin.runs.errors import BadRequest

DEEPEST = 100


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body of a request, a JSON object; raise :class:`BadRequest` for any other. An empty body is ``{}``."""
    body = await request.body()
    return parse_object(body, "body") if body.strip() else {}


def parse_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Return a JSON text that is an object; raise :class:`BadRequest` naming ``what`` it was to be."""
    try:
        value = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise BadRequest(f"The {what} is nested too deeply.") from None
    except ValueError as error:
        raise BadRequest(f"The {what} is no valid JSON: {error}") from error
    return check_object(value, what)


def check_object(value: Any, what: str) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object that any database can keep; raise :class:`BadRequest`."""
    if not isinstance(value, dict):
        raise BadRequest(f'The {what} must be a JSON object, for instance {{"job": {{...}}}}.')
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadRequest(f"The {what} is nested too deeply.")
        if isinstance(node, dict):
            waiting += [(key, depth + 1) for key in node]
            waiting += [(item, depth + 1) for item in node.values()]
        elif isinstance(node, list):
            waiting += [(item, depth + 1) for item in node]
        elif isinstance(node, str) and not _is_text(node):
            raise BadRequest(f"The {what} has a text with a null character or half of a surrogate pair.")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} is there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
