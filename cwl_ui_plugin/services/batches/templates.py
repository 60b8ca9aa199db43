"""A sheet to begin with, for each workflow: a column for each value that a cell can give, and one row to replace."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Literal

from cwl_ui_plugin.cwl.cwl_types import kinds_but_null
from cwl_ui_plugin.cwl.input_hints import ordered, title
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.services.batches.models import Cell
from cwl_ui_plugin.services.batches.paths import Place, is_array, leaves, place_of
from cwl_ui_plugin.services.csv_lines import csv_line

SAMPLE = "sample"
_EXAMPLES: Mapping[str, Cell] = {
    "boolean": "true",
    "int": 1,
    "long": 1,
    "float": 1.5,
    "double": 1.5,
    "string": "text",
    "Directory": "folder",
}
_HEIGHT, _WIDTH = 80, 260


def template(plan: Plan, kind: Literal["csv", "xlsx"] = "csv") -> bytes:
    """Return a sheet with the columns of a workflow and an example. As XLSX the header has the types as comments."""
    columns = _columns(plan)
    header: list[object] = [name for name, _place in columns]
    example: list[object] = [_example(place) for _name, place in columns]
    if kind == "csv":
        return (csv_line(header) + csv_line(example)).encode()
    return _workbook(plan, columns, example)


def _columns(plan: Plan) -> list[tuple[str, Place | None]]:
    """Return the columns: the sample's name, if no input is called so, and the places; of a list of files two."""
    order = {item.id: number for number, item in enumerate(ordered(plan.inputs))}
    columns: list[tuple[str, Place | None]] = []
    for place in sorted(leaves(plan), key=lambda place: order[place.parts[0]]):
        columns.append((place.path, place))
        parts = place.parts
        if len(parts) == 2 and parts[1] == "0" and "File" in kinds_but_null(place.declared):
            second = place_of(plan, f"{parts[0]}.1")
            columns.append((second.path, second))
    names = [name for name, _place in columns]
    return columns if SAMPLE in names else [(SAMPLE, None), *columns]


def _example(place: Place | None) -> Cell:
    if place is None:
        return "sample1"
    kinds = kinds_but_null(place.declared)
    kind = kinds[0] if kinds else "string"
    if kind == "File":
        number = f"_R{int(place.parts[-1]) + 1}" if place.parts[-1].isdecimal() else ""
        return f"sample1{number}.txt"
    if isinstance(kind, dict):
        return kind["symbols"][0] if kind["type"] == "enum" and kind["symbols"] else "[]" if is_array(kind) else "{}"
    return _EXAMPLES.get(kind, "text")


def _workbook(plan: Plan, columns: list[tuple[str, Place | None]], example: list[object]) -> bytes:
    from openpyxl import Workbook
    from openpyxl.comments import Comment
    from openpyxl.styles import Font

    workbook = Workbook()
    sheet = workbook.active
    sheet.title = "samples"
    inputs = {item.id: item for item in plan.inputs}
    for number, (name, place) in enumerate(columns, start=1):
        cell = sheet.cell(1, number, name)
        cell.font = Font(bold=True)
        words = _words(inputs[place.parts[0]], place) if place else "Names the sample: each row has another one."
        cell.comment = Comment(words, "CWL", height=_HEIGHT, width=_WIDTH)
        below = sheet.cell(2, number, example[number - 1])
        below.data_type = "s" if isinstance(example[number - 1], str) else below.data_type
    sheet.freeze_panes = "A2"
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def _words(item: Parameter, place: Place) -> str:
    optional = "; optional: an empty cell is the default" if item.is_optional else ""
    return f"{title(item)}: {type_text(place.declared)}{optional}"
