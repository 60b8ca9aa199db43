"""CWL types as a plan has them: plain JSON, names resolved in place, names of symbols and fields short.

See https://www.commonwl.org/v1.2/CommandLineTool.html#CWLType. Values of such types are JSON from elsewhere, and thus
``object`` until somebody has looked at them.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class Described(TypedDict, total=False):
    """What an author may say of a type, or of a field."""

    label: str | None
    doc: str | None


class ArrayType(Described):
    """A list of values of one type."""

    type: Literal["array"]
    items: CwlType


class EnumType(Described):
    """One of some texts."""

    type: Literal["enum"]
    symbols: list[str]


class RecordField(Described):
    """A field of a record."""

    name: str
    type: CwlType


class RecordType(Described):
    """A mapping with known names."""

    type: Literal["record"]
    name: str
    fields: list[RecordField]


Compound = ArrayType | EnumType | RecordType
OneType = str | Compound
"""A type that is no union: the name of a primitive one, or a compound one."""
CwlType = str | Compound | list["CwlType"]
"""A type; a list is a union."""


def kinds_of(declared: CwlType) -> list[OneType]:
    """Return the types that a type is a union of, unions within it opened; itself, if it is none."""
    if not isinstance(declared, list):
        return [declared]
    return [kind for part in declared for kind in kinds_of(part)]


def kinds_but_null(declared: CwlType) -> list[OneType]:
    """Return what :func:`kinds_of` does, null left out."""
    return [kind for kind in kinds_of(declared) if kind != "null"]


def items_of(declared: CwlType) -> CwlType:
    """Return the type of the items of a list; of what is no list, any."""
    return declared["items"] if isinstance(declared, dict) and declared["type"] == "array" else "Any"


def fields_of(declared: CwlType) -> list[RecordField]:
    """Return the fields of a record; of what is no record, none."""
    return declared["fields"] if isinstance(declared, dict) and declared["type"] == "record" else []


def symbols_of(declared: CwlType) -> list[str]:
    """Return the symbols of an enum; of what is no enum, none."""
    return declared["symbols"] if isinstance(declared, dict) and declared["type"] == "enum" else []
