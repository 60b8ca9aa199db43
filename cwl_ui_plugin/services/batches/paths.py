"""Places of a job that columns can give: ``reads.0``, ``sample.id``, ``pairs.0.r1``; what type each has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeGuard

from cwl_ui_plugin.cwl.cwl_types import ArrayType, CwlType, OneType, RecordType, kinds_but_null
from cwl_ui_plugin.cwl.plan import Plan

MAX_INDEX = 999
MAX_DEPTH = 10
Parts = tuple[str, ...]


class UnknownPlace(ValueError):
    """A path leads to no input; ``str()`` says why."""


@dataclass(frozen=True)
class Place:
    """A place of a job, and its type; ``parts`` of its path, items of lists as digits."""

    parts: Parts
    declared: CwlType

    @property
    def path(self) -> str:
        """The place as mappings write it."""
        return ".".join(self.parts)


def place_of(plan: Plan, path: str) -> Place:
    """Return the place that a path leads to; raise :class:`UnknownPlace`.

    The id of an input may have dots in it: the longest that fits counts.
    """
    parts = path.split(".")
    inputs = {item.id: item.type for item in plan.inputs}
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in inputs:
            return Place((name, *parts[end:]), _type_at(inputs[name], parts[end:], path))
    raise UnknownPlace(f"the workflow has no input {parts[0][:80]!r}; it has {_some(inputs)}")


def _type_at(declared: CwlType, parts: list[str], path: str) -> CwlType:
    if len(parts) > MAX_DEPTH:
        raise UnknownPlace(f"{path[:80]!r} is too deep")
    for part in parts:
        declared = _inside(declared, part, path)
    return declared


def _inside(declared: CwlType, part: str, path: str) -> CwlType:
    """Return the type of an item of a list, or of a field of a record, whichever of a union has it."""
    options = kinds_but_null(declared)
    if part.isdecimal():
        items = [option["items"] for option in options if is_array(option)]
        if items and int(part) <= MAX_INDEX:
            return items[0]
    fields = [field for option in options if is_record(option) for field in option["fields"]]
    found = next((field["type"] for field in fields if field["name"] == part), None)
    if found is None:
        known = f"; it has {_some([field['name'] for field in fields])}" if fields else ""
        raise UnknownPlace(f"{path[:80]!r}: there is no {part[:80]!r} in it{known}")
    return found


def leaves(plan: Plan) -> Iterator[Place]:
    """Yield the places that one cell can give by itself, of each list the first item."""
    for item in plan.inputs:
        yield from _leaves((item.id,), item.type)


def _leaves(parts: Parts, declared: CwlType) -> Iterator[Place]:
    records = [option for option in kinds_but_null(declared) if is_record(option)]
    arrays = [option for option in kinds_but_null(declared) if is_array(option)]
    if records and len(parts) < MAX_DEPTH:
        for field in records[0]["fields"]:
            yield from _leaves((*parts, field["name"]), field["type"])
    elif arrays and len(parts) < MAX_DEPTH:
        yield from _leaves((*parts, "0"), arrays[0]["items"])
    else:
        yield Place(parts, declared)


def is_array(declared: OneType) -> TypeGuard[ArrayType]:
    """Whether a type is that of a list."""
    return isinstance(declared, dict) and declared["type"] == "array"


def is_record(declared: OneType) -> TypeGuard[RecordType]:
    """Whether a type is that of a record."""
    return isinstance(declared, dict) and declared["type"] == "record"


def _some(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:20]) + (", …" if len(known) > 20 else "") if known else "none"
