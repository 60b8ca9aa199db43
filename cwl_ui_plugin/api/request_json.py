"""JSON whose content goes into Airflow's database: what Python takes, but JSON or PostgreSQL does not, is refused."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.services.errors import BadRequest

DEEPEST = 100


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body of a request, a JSON object; raise :class:`BadRequest` for any other. An empty body is ``{}``."""
    body = await request.body()
    return parse_object(body, "body") if body.strip() else {}


def parse_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Return a JSON text that is an object; raise :class:`BadRequest` naming ``what`` it was to be."""
    try:
        value = strict_json.loads(text)
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
        elif isinstance(node, str) and not strict_json.is_text(node):
            raise BadRequest(f"The {what} has a text with a null character or half of a surrogate pair.")
    return value
