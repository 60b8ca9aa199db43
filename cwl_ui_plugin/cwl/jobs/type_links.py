"""Whether what one workflow delivers can be given to an input of another, told by their types alone."""

from __future__ import annotations

from typing import Any

NEWEST, ALL = "newest", "all"
"""What an input is given of several deliveries: the last one, or a list of all."""
_WIDER = {"int": ("long", "float", "double"), "long": ("float", "double"), "float": ("double",), "double": ("float",)}


def link(output: Any, declared: Any) -> str | None:
    """Return what of an output's type an input of a type can be given: NEWEST, ALL, or None for nothing.

    An output that is null is not delivered, so that the input need not take null.
    """
    if takes(declared, output):
        return NEWEST
    return ALL if takes(declared, {"type": "array", "items": _without_null(output)}) else None


def takes(declared: Any, given: Any) -> bool:
    """Whether a type takes every value of another one, null aside."""
    kinds = _kinds(given)
    return bool(kinds) and all(any(_takes_one(sink, kind) for sink in _kinds(declared)) for kind in kinds)


def _takes_one(declared: Any, given: Any) -> bool:
    if declared == "Any":
        return True
    if isinstance(declared, str) or isinstance(given, str):
        return declared == given or (isinstance(given, str) and declared in _WIDER.get(given, ()))
    if declared["type"] != given["type"]:
        return False
    return _COMPOUNDS[declared["type"]](declared, given)


def _takes_array(declared: Any, given: Any) -> bool:
    is_nullable = "null" in _listed(given["items"]) and "null" not in _listed(declared["items"])
    return not is_nullable and takes(declared["items"], given["items"])


def _takes_enum(declared: Any, given: Any) -> bool:
    return set(given["symbols"]) <= set(declared["symbols"])


def _takes_record(declared: Any, given: Any) -> bool:
    """Fields that the input needs must be there; others than it has are refused where the job is checked."""
    have = {field["name"]: field["type"] for field in given["fields"]}
    want = {field["name"]: field["type"] for field in declared["fields"]}
    if not have.keys() <= want.keys():
        return False
    return all(takes(kind, have[name]) if name in have else "null" in _listed(kind) for name, kind in want.items())


_COMPOUNDS = {"array": _takes_array, "enum": _takes_enum, "record": _takes_record}


def _kinds(declared: Any) -> list[object]:
    return [kind for kind in _listed(declared) if kind != "null"]


def _listed(declared: Any) -> list[object]:
    return declared if isinstance(declared, list) else [declared]


def _without_null(declared: Any) -> object:
    kinds = _kinds(declared)
    return kinds[0] if len(kinds) == 1 else kinds
