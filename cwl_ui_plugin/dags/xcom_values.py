"""Values of CWL as XComs: integers of any size survive, though Airflow's transport has 64 bits for them.

An integer beyond that is ``{"cwl:integer": digits}``. A tool's own record with that one field, whatever is in it, has a
list around its value: ``{"cwl:integer": [value]}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

_DEPTH = 3
"""A list of files among the values of a task lies so deep: each file is looked at by itself."""

INTEGER = "cwl:integer"
_DIGITS = re.compile(r"-?[0-9]{1,4300}", re.ASCII)
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1


def packed(value: object) -> Any:
    """Return ``value`` (JSON) with integers that Airflow can't send in another form."""
    if isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
        return {INTEGER: str(value)}
    if isinstance(value, dict):
        found = {key: packed(item) for key, item in value.items()}
        return {INTEGER: [found[INTEGER]]} if found.keys() == {INTEGER} else found
    if isinstance(value, (list, tuple)):
        return [packed(item) for item in value]
    return value


def unpacked(value: object) -> object:
    """Undo :func:`packed`; what it has not made stays as it is."""
    if isinstance(value, dict):
        told = value[INTEGER] if value.keys() == {INTEGER} else None
        if isinstance(told, str) and _DIGITS.fullmatch(told):
            return int(told)
        if isinstance(told, list) and len(told) == 1:
            return {INTEGER: unpacked(told[0])}
        return {key: unpacked(item) if isinstance(item, (dict, list)) else item for key, item in value.items()}
    if isinstance(value, list):
        return [unpacked(item) if isinstance(item, (dict, list)) else item for item in value]
    return value


def json_size(value: object, depth: int = _DEPTH) -> int:
    """Return about how many bytes a value (JSON) has as text, without making a text of all of it."""
    return sum(_sizes(value, depth))


def is_larger(value: object, most: float) -> bool:
    """Whether a value (JSON) has about so many bytes, or more; not all of a large one is looked at."""
    return any(size > most for size in accumulate(_sizes(value, _DEPTH)))


def _sizes(value: object, depth: int) -> Iterator[int]:
    if depth and isinstance(value, dict):
        yield 2
        for key, item in value.items():
            yield len(key) + 6
            yield from _sizes(item, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        yield 2
        for item in value:
            yield 2
            yield from _sizes(item, depth - 1)
    else:
        yield len(json.dumps(value))
