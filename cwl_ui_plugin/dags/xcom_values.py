"""Values of CWL as XComs: integers of any size survive, though Airflow's transport has 64 bits for them."""

from __future__ import annotations

from typing import Any

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
