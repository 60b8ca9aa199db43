"""In which order an author wrote inputs, outputs and fields of records: schema-salad sorts those of a mapping by name.

To be read from a document before schema-salad resolves it, which changes it in its place. What the document imports is
in schema-salad's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
_FIELDS = "fields"
_MAIN = "main"
"""The process of a packed document that is run where none is chosen."""


@dataclass(frozen=True)
class WrittenOrder:
    """The names of a process's ``inputs`` and ``outputs``, and those of the records in its document, by their names."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    fields: Mapping[frozenset[str], tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, document: object, fragment: str) -> WrittenOrder:
        """Read the order from a document that is not resolved yet; ``fragment`` names a process of a packed one."""
        process = _process(document, fragment)
        records = {frozenset(names): names for names in map(_names, _mappings(document, _FIELDS))}
        return cls(_names(process.get("inputs")), _names(process.get("outputs")), records)


def sorted_as(names: Iterable[str], items: Iterable[T], name_of: Callable[[T], str]) -> list[T]:
    """Return items in the order of ``names``; those without a name there stay as they are, at the end."""
    places = {name: number for number, name in enumerate(names)}
    return sorted(items, key=lambda item: places.get(name_of(item), len(places)))


def _process(document: object, fragment: str) -> Mapping[str, object]:
    parts = document.get("$graph") if isinstance(document, Mapping) else document
    if not isinstance(parts, list):
        return document if isinstance(document, Mapping) else {}
    name = _short(fragment) or _MAIN
    found = (part for part in parts if isinstance(part, Mapping) and _short(part.get("id")) == name)
    return next(found, {})


def _names(written: object) -> tuple[str, ...]:
    """Return the names of a mapping; a list is in its order already."""
    return tuple(_short(name) for name in written) if isinstance(written, Mapping) else ()


def _short(name: object) -> str:
    return str(name).rsplit("#", 1)[-1].rsplit("/", 1)[-1]


def _mappings(document: object, key: str) -> Iterator[object]:
    """Yield what stands under a key, anywhere in a document."""
    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an anchor of YAML that is used again
            continue
        seen.add(id(node))
        if isinstance(node, Mapping):
            yield from [node[key]] if key in node else ()
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
