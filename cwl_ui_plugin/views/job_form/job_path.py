"""Places of a job that the form has a control for, and what was posted for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cwl_ui_plugin.cwl.cwl_types import CwlType, OneType, kinds_but_null, kinds_of
from cwl_ui_plugin.cwl.plan import Parameter

PREFIX = "in"
"""What the names of all fields of a job begin with."""
MAX_NAME = 200
BLANK = "X"
"""Stands for the number of an item in the names of a blank item, which a script copies."""


class _Missing:
    """Nothing: not even null."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True)
class Place:
    """A place of a job: an input, a field of a record, an item of a list, an alternative of a union.

    ``name`` is what the names of its fields in the form begin with, ``path`` how problems name it (``reads[2].name``).
    ``declared`` is its CWL type without null; ``is_nullable`` says whether null is one of its values. Where it
    ``must_exist`` (an item, a chosen alternative), no text means null or an empty text, not that it is left out.
    """

    declared: CwlType
    name: str
    path: str
    title: str
    parameter: Parameter
    doc: str | None = None
    is_nullable: bool = False
    must_exist: bool = False
    depth: int = 0

    def inside(self, declared: CwlType, name: str | int, path: str, **changes: Any) -> Place:
        """Return a place within this one."""
        changes = {"title": self.title, "doc": None, "must_exist": False, **changes}
        return replace(
            self,
            declared=without_null(declared),
            is_nullable=allows_null(declared),
            name=f"{self.name}-{name}",
            path=f"{self.path}{path}",
            depth=self.depth + 1,
            **changes,
        )


class Posted:
    """Posted fields, in the order of the page; WTForms reads them as it reads Werkzeug's dictionaries."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        self._items: dict[str, dict[str, None]] = {}
        self._places: set[str] = set()
        for name, value in pairs:
            if len(name) > MAX_NAME:
                continue
            self._values.setdefault(name, []).append(value)
            self._note_places(name)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def getlist(self, name: str) -> list[str]:
        """Return the values of a field."""
        return self._values.get(name, [])

    def items_of(self, name: str) -> list[str]:
        """Return the numbers of the items of a list in the order of the page."""
        return list(self._items.get(name, ()))

    def has_within(self, name: str) -> bool:
        """Whether there is a field of a control, or of one within it."""
        return name in self._places

    def _note_places(self, name: str) -> None:
        before, *parts = name.split("-")
        for part in parts:
            if part.isascii() and part.isdigit():
                self._items.setdefault(before, {})[part] = None
            before = f"{before}-{part}"
            self._places.add(before)


def without_null(declared: CwlType) -> CwlType:
    """Return a type without null, and a union of one type as that type; unions within a union are part of it."""
    if not isinstance(declared, list):
        return declared
    rest = _each_once(kinds_but_null(declared))
    return rest[0] if len(rest) == 1 else [*rest] or "null"


def allows_null(declared: CwlType) -> bool:
    """Whether null is of a type."""
    return "null" in kinds_of(declared)


def _each_once(kinds: list[OneType]) -> list[OneType]:
    """Return each of some types once; ``["null", ["null", "string"]]`` is what some documents come to."""
    return [kind for index, kind in enumerate(kinds) if kind not in kinds[:index]]
