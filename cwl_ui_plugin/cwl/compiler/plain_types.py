"""From the types of a loaded process to those of a plan: names made short, definitions put where they are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cwltool.utils import aslist

from cwl_ui_plugin.cwl.compiler.written_order import sorted_as
from cwl_ui_plugin.cwl.cwl_types import CwlType, Described, RecordField, kinds_of
from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.cwl.plan import CwlObject

_DEEPEST_TYPE = 50


@dataclass(frozen=True)
class PlainTypes:
    """The types of a SchemaDefRequirement by their full names, and how the fields of records were written."""

    definitions: Mapping[str, CwlObject]
    fields: Mapping[frozenset[str], tuple[str, ...]]

    def plain(self, declared: str | CwlObject | list[object], depth: int = 0) -> CwlType:
        """Return a type with short names and with the types of a SchemaDefRequirement put in their places."""
        if depth > _DEEPEST_TYPE:
            raise DocumentError("A type of the document contains itself.")

        def inner(part: Any) -> CwlType:
            return self.plain(part, depth + 1)

        if isinstance(declared, list):
            return _flat([inner(part) for part in declared])
        if isinstance(declared, str):
            return inner(self.definitions[declared]) if declared in self.definitions else _primitive(declared)
        return self._compound(declared, inner)

    def _compound(self, declared: CwlObject, inner: Callable[[Any], CwlType]) -> CwlType:
        kind = _primitive(str(declared["type"])) if isinstance(declared["type"], str) else None
        common = _described(declared)
        if kind == "array":
            return {"type": "array", "items": inner(declared["items"]), **common}
        if kind == "enum":
            return {"type": "enum", "symbols": [_last_name(symbol) for symbol in declared["symbols"]], **common}
        if kind == "record":
            fields = self._in_order([_field(item, inner) for item in aslist(declared.get("fields") or [])])
            return {"type": "record", "name": _last_name(str(declared.get("name", ""))), "fields": fields, **common}
        return inner(declared["type"])

    def _in_order(self, fields: list[RecordField]) -> list[RecordField]:
        written = self.fields.get(frozenset(item["name"] for item in fields), ())
        return sorted_as(written, fields, lambda item: str(item["name"]))


def _field(data: CwlObject, inner: Callable[[Any], CwlType]) -> RecordField:
    return {"name": _last_name(data["name"]), "type": inner(data["type"]), **_described(data)}


def _described(data: CwlObject) -> Described:
    found: Described = {}
    if data.get("label"):
        found["label"] = text_of(data["label"])
    if data.get("doc"):
        found["doc"] = text_of(data["doc"])
    return found


def _flat(union: list[CwlType]) -> list[CwlType]:
    """Return a union without unions in it, each type once: ``[null, "string?"]`` is ``string?``."""
    parts = kinds_of(union)
    return [part for index, part in enumerate(parts) if part not in parts[:index]]


def _primitive(name: str) -> str:
    if name in ("stdin", "stdout", "stderr"):
        return "File"
    return name.rsplit("#", 1)[-1].rsplit("/", 1)[-1] if "://" in name or name.startswith("_:") else name


def _last_name(name: str) -> str:
    return name.rsplit("#", 1)[-1].rsplit("/", 1)[-1]


def text_of(value: object) -> str | None:
    """Return a label or a doc, which may be several lines; None where there is none."""
    if value is None:
        return None
    return "\n".join(str(line) for line in value) if isinstance(value, list) else str(value)
