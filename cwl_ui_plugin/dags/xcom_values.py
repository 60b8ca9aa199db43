"""Values of CWL as XComs: integers of any size survive, though Airflow's transport has 64 bits for them."""

from __future__ import annotations

import json
from typing import Any

_DEPTH = 3
"""A list of files among the values of a task lies so deep: each file is looked at by itself."""

INTEGER = "cwl:integer"
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1


def packed(value: object) -> Any:
    """Return ``value`` (JSON) with integers that Airflow can't send as ``{"cwl:integer": digits}``."""
    if isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
        return {INTEGER: str(value)}
    if isinstance(value, dict):
        return {key: packed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [packed(item) for item in value]
    return value


def unpacked(value: object) -> object:
    """Undo :func:`packed`."""
    if isinstance(value, dict):
        if value.keys() == {INTEGER}:
            return int(value[INTEGER])
        return {key: unpacked(item) if isinstance(item, (dict, list)) else item for key, item in value.items()}
    if isinstance(value, list):
        return [unpacked(item) if isinstance(item, (dict, list)) else item for item in value]
    return value


def json_size(value: object, depth: int = _DEPTH) -> int:
    """Return about how many bytes a value (JSON) has as text, without making a text of all of it."""
    if depth and isinstance(value, dict):
        return 2 + sum(len(key) + 6 + json_size(item, depth - 1) for key, item in value.items())
    if depth and isinstance(value, (list, tuple)):
        return 2 + sum(2 + json_size(item, depth - 1) for item in value)
    return len(json.dumps(value))
