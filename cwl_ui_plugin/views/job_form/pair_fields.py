"""Which fields of a record take the files of a pair: two Files, or two lists of them, and a text for the sample."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from cwl_ui_plugin.cwl.cwl_types import RecordField
from cwl_ui_plugin.views.job_form.job_path import without_null


class PairField(TypedDict):
    """A field: its position in the record, its name, and whether it takes a list."""

    index: int
    name: str
    many: bool


class PairFields(TypedDict):
    """The fields that take files, of which a pair needs two, and those that take a text."""

    files: list[PairField]
    texts: list[PairField]


def pair_fields(fields: Iterable[RecordField]) -> PairFields | None:
    """Return the fields of a record that pairs can be put into; None where fewer than two take files."""
    files: list[PairField] = []
    texts: list[PairField] = []
    for index, field in enumerate(fields):
        declared = without_null(field["type"])
        many = isinstance(declared, dict) and declared["type"] == "array" and declared["items"] == "File"
        found = PairField(index=index, name=str(field["name"]), many=many)
        if many or declared == "File":
            files.append(found)
        elif declared == "string":
            texts.append(found)
    return PairFields(files=files, texts=texts) if len(files) > 1 else None
