"""Whether what one workflow delivers can be given to an input of another, told by their types alone."""

from __future__ import annotations

from cwl_ui_plugin.cwl.cwl_types import Compound, CwlType, OneType, RecordType, kinds_but_null, kinds_of

NEWEST, ALL = "newest", "all"
"""What an input is given of several deliveries: the last one, or a list of all."""
_WIDER = {"int": ("long", "float", "double"), "long": ("float", "double"), "float": ("double",), "double": ("float",)}


def link(output: CwlType, declared: CwlType) -> str | None:
    """Return what of an output's type an input of a type can be given: NEWEST, ALL, or None for nothing.

    An output that is null is not delivered, so that the input need not take null.
    """
    if takes(declared, output):
        return NEWEST
    return ALL if takes(declared, {"type": "array", "items": [*kinds_but_null(output)]}) else None


def takes(declared: CwlType, given: CwlType) -> bool:
    """Whether a type takes every value of another one, null aside."""
    kinds = kinds_but_null(given)
    return bool(kinds) and all(any(_takes_one(sink, kind) for sink in kinds_but_null(declared)) for kind in kinds)


def _takes_one(declared: OneType, given: OneType) -> bool:
    if declared == "Any":
        return True
    if isinstance(declared, str) or isinstance(given, str):
        return declared == given or (isinstance(given, str) and declared in _WIDER.get(given, ()))
    return _takes_compound(declared, given)


def _takes_compound(declared: Compound, given: Compound) -> bool:
    if declared["type"] == "array" and given["type"] == "array":
        is_nullable = "null" in kinds_of(given["items"]) and "null" not in kinds_of(declared["items"])
        return not is_nullable and takes(declared["items"], given["items"])
    if declared["type"] == "enum" and given["type"] == "enum":
        return set(given["symbols"]) <= set(declared["symbols"])
    if declared["type"] == "record" and given["type"] == "record":
        return _takes_record(declared, given)
    return False


def _takes_record(declared: RecordType, given: RecordType) -> bool:
    """Fields that the input needs must be there; others than it has are refused where the job is checked."""
    have = {field["name"]: field["type"] for field in given["fields"]}
    want = {field["name"]: field["type"] for field in declared["fields"]}
    if not have.keys() <= want.keys():
        return False
    return all(takes(kind, have[name]) if name in have else "null" in kinds_of(kind) for name, kind in want.items())
