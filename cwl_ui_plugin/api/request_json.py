"""JSON whose content goes into Airflow's database: what Python takes, but JSON or PostgreSQL does not, is refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.services.errors import BadRequest

DEEPEST = 100


async def json_object(request: Request) -> dict[str, object]:
    """Return the body of a request, a JSON object; raise :class:`BadRequest` for any other. An empty body is ``{}``.

    It is read in a thread: it may be large, anybody may send it, and meanwhile others want to be answered.
    """
    body = await request.body()
    return await run_in_threadpool(parse_object, body, "body") if body.strip() else {}


JsonBody = Annotated[dict[str, object], Depends(json_object)]
"""What a route is given of a body that is a JSON object; it checks the values itself."""


def parse_object(text: str | bytes, what: str) -> dict[str, object]:
    """Return a JSON text that is an object; raise :class:`BadRequest` naming ``what`` it was to be."""
    try:
        value = strict_json.loads(text)
    except RecursionError:
        raise BadRequest(f"The {what} is nested too deeply.") from None
    except ValueError as error:
        raise BadRequest(f"The {what} is no valid JSON: {error}") from error
    return check_object(value, what)


def check_object(value: object, what: str) -> dict[str, object]:
    """Return ``value`` if it is a JSON object that any database can keep; raise :class:`BadRequest`."""
    if not isinstance(value, dict):
        raise BadRequest(f'The {what} must be a JSON object, for instance {{"job": {{...}}}}.')
    level: list[object] = [value]
    for _depth in range(DEEPEST):
        below: list[object] = []
        for node in level:
            if isinstance(node, dict):
                below += [*node, *node.values()]
            elif isinstance(node, list):
                below += node
            elif isinstance(node, str) and not strict_json.is_text(node):
                raise BadRequest(f"The {what} has a text with a null character or half of a surrogate pair.")
        if not below:
            return value
        level = below
    raise BadRequest(f"The {what} is nested too deeply.")
