"""What the start of a schedule gives to inputs, as rows of its form: patterns of files, groups of them, outputs."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.dags.assets import holds_files
from cwl_ui_plugin.library.schedules import Schedule

Given = dict[str, dict[str, str]]
"""What inputs are given, as the settings of a schedule have it: ``{"files" | "names" | "inputs": {input: text}}``."""


@dataclass(frozen=True)
class GivenRow:
    """An input: ``pattern``, ``group`` and ``output`` are what it has, ``number`` says which fields are its."""

    number: int
    name: str
    label: str
    type: str
    takes_files: bool
    takes_text: bool
    pattern: str
    group: str
    output: str


def given_rows(plan: Plan, schedule: Schedule | None) -> list[GivenRow]:
    """Return the inputs of a workflow with what is filled in, or else with what its schedule has."""
    given = posted_given(plan) if request.method == "POST" else _kept(schedule)
    return [_row(number, item, given) for number, item in enumerate(plan.inputs)]


def posted_given(plan: Plan) -> Given:
    """Return what a browser has sent for the inputs of a workflow."""

    def texts(kind: str) -> dict[str, str]:
        sent = {item.id: request.form.get(f"{kind}-{number}", "") for number, item in enumerate(plan.inputs)}
        return {name: text.strip() for name, text in sent.items() if text.strip()}

    return {"files": texts("file"), "names": texts("name"), "inputs": texts("output")}


def _kept(schedule: Schedule | None) -> Given:
    settings = schedule.settings if schedule else {}
    return {name: dict(settings.get(name, {})) for name in ("files", "names", "inputs")}


def _row(number: int, item: Parameter, given: Given) -> GivenRow:
    kinds = item.type if isinstance(item.type, list) else [item.type]
    return GivenRow(
        number=number,
        name=item.id,
        label=item.label or item.id,
        type=type_text(item.type),
        takes_files=holds_files(item.type),
        takes_text=bool({"string", "Any"} & {kind for kind in kinds if isinstance(kind, str)}),
        pattern=given["files"].get(item.id, ""),
        group=given["names"].get(item.id, ""),
        output=given["inputs"].get(item.id, ""),
    )
