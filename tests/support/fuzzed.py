"""Requests of all forms for the operations of an OpenAPI document, by schemathesis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemathesis.generation import GenerationMode


def strategies(document: Any) -> Iterator[Any]:
    """Yield strategies for each operation: requests that fit the document, and requests that do not."""
    for found in document.get_all_operations():
        operation = found.ok()
        yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        if can_be_wrong(operation):
            yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def can_be_wrong(operation: Any) -> bool:
    """Whether a request can be: not where all that it takes is any text in the path, for which it is tried for long."""
    schemas = [parameter.definition["schema"] for parameter in operation.path_parameters]
    free = [schema for schema in schemas if {**schema, "title": ""} == {"type": "string", "title": ""}]
    return bool(operation.query or operation.headers or operation.body or len(free) < len(schemas))
