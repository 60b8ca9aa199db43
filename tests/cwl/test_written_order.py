"""Inputs, outputs and fields of records keep the order in which their author wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.views.job_form.form import JobForm

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs:
  r2: File
  r1: {type: File, doc: The first reads.}
  sample:
    type:
      type: record
      fields:
        zeta: string
        alpha: int?
  more:
    type: ["null", {type: array, items: {type: record, fields: {y: int, b: int}}}]
outputs:
  z: stdout
  a: stderr
"""
LISTED = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs:
  - {id: b, type: string}
  - {id: a, type: string}
outputs: []
"""
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements:
  SchemaDefRequirement:
    types:
      - name: Sample
        type: record
        fields: {rev: File, fwd: File, "id": string}
inputs:
  samples: {type: {type: array, items: Sample}}
  genome: File
  extra: {type: ["null", "string?"]}
  adapter: string?
outputs: {}
steps: []
"""
PACKED = {
    "cwlVersion": "v1.2",
    "$graph": [
        {
            "id": "other",
            "class": "CommandLineTool",
            "baseCommand": "echo",
            "inputs": {"b": "string", "a": "string"},
            "outputs": {},
        },
        {
            "id": "main",
            "class": "Workflow",
            "inputs": {"y": "string", "x": "string", "z": "string"},
            "outputs": {},
            "steps": {"s": {"run": "#other", "in": {"a": "x", "b": "y"}, "out": []}},
        },
    ],
}


def compiled(tmp_path: Path, text: str, main: str = "main.cwl") -> Plan:
    from cwl_ui_plugin.cwl.compiler.compiling import compile_document

    source = tmp_path / "source"
    source.mkdir()
    (source / "main.cwl").write_text(text, encoding="utf-8")
    return compile_document(source, main, tmp_path / "compiled")


def test_inputs_outputs_and_fields_of_a_mapping_are_in_the_order_of_their_author(tmp_path: Path) -> None:
    plan = compiled(tmp_path, TOOL)
    assert [item.id for item in plan.inputs] == ["r2", "r1", "sample", "more"]
    assert [item.id for item in plan.outputs] == ["z", "a"]
    sample, more = plan.inputs[2].type, plan.inputs[3].type[1]["items"]
    assert [field["name"] for field in sample["fields"]] == ["zeta", "alpha"]
    assert [field["name"] for field in more["fields"]] == ["y", "b"]


def test_a_list_stays_as_it_is(tmp_path: Path) -> None:
    assert [item.id for item in compiled(tmp_path, LISTED).inputs] == ["b", "a"]


@pytest.mark.parametrize(("main", "names"), [("main.cwl", "yxz"), ("main.cwl#main", "yxz"), ("main.cwl#other", "ba")])
def test_a_packed_document_has_an_order_for_each_process(tmp_path: Path, main: str, names: str) -> None:
    assert [item.id for item in compiled(tmp_path, json.dumps(PACKED), main).inputs] == list(names)


def test_tasks_and_values_are_called_as_before(tmp_path: Path) -> None:
    """Runs that are on their way go on with the plan of the new order."""
    plan = compiled(tmp_path, TOOL)
    assert plan.steps[0].sources[:4] == ("more", "r1", "r2", "sample")


def test_the_form_of_a_workflow_has_inputs_and_fields_in_that_order_and_optional_once(tmp_path: Path) -> None:
    plan = compiled(tmp_path, WORKFLOW)
    form = JobForm(plan, {"samples": [{}]})
    assert [item.parameter.id for item in form.inputs] == ["samples", "genome", "extra", "adapter"]
    [sample] = form.inputs[0].control.children
    assert [field.place.title for field in sample.children] == ["rev", "fwd", "id"]
    assert plan.inputs[2].type == ["null", "string"]
