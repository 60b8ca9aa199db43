"""The graph shows all of a workflow, with the ids of its tasks; packed, it is a document that runs anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import TOOL, upload

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.graph import MAX_TEXT, graph_of
from cwl_ui_plugin.cwl.packing import portable
from cwl_ui_plugin.cwl.plan import Plan, read_packed

INNER = """
cwlVersion: v1.2
class: Workflow
requirements: {ResourceRequirement: {coresMin: 2}}
inputs: {text: {type: string, doc: What to say}}
outputs: {out: {type: File, outputSource: say/out}}
steps:
  say: {run: tool.cwl, in: {text: text}, out: [out]}
"""
OUTER = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, SubworkflowFeatureRequirement: {}, InlineJavascriptRequirement: {}}
hints: {DockerRequirement: {dockerPull: "debian:12"}}
inputs: {text: string, texts: "string[]"}
outputs:
  all: {type: "File[]", outputSource: [many/out, inside/out], linkMerge: merge_flattened}
steps:
  inside: {label: Inside, run: inner.cwl, in: {text: text}, out: [out]}
  many: {run: tool.cwl, scatter: text, in: {text: texts, after: inside/out}, when: $(inputs.text != "no"), out: [out]}
  repeated: {run: inner.cwl, scatter: text, in: {text: texts}, out: [out]}
"""


def graph(tmp_path: Path, **files: str) -> tuple[Plan, dict[str, Any]]:
    plan = compiling.compile_document(upload(tmp_path / "upload", **files), "main.cwl", tmp_path / "compiled")
    made = graph_of(plan, read_packed(tmp_path / "compiled"))
    assert json.loads(json.dumps(made)) == made
    return plan, made


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, dict[str, Any]]:
    return graph(tmp_path_factory.mktemp("nested"), main=OUTER, inner=INNER, tool=TOOL)


def nodes_of(graph: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for node in graph["nodes"]:
        yield node
        if node.get("graph"):
            yield from nodes_of(node["graph"])


def links(graph: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    return {(edge["from"], edge["to"]): edge["links"] for edge in graph["edges"]}


def test_every_step_that_is_a_task_is_a_node_of_its_name(nested: tuple[Plan, dict[str, Any]]) -> None:
    plan, made = nested
    found = {node["id"]: node for node in nodes_of(made)}
    assert len(found) == len(list(nodes_of(made)))
    tasks = {step.task_id for _, step in plan.all_steps()}
    assert {name for name, node in found.items() if node.get("tasks")} == tasks == {
        "inside", "inside.say", "many", "repeated"
    }  # fmt: skip
    assert found["many"]["tasks"] == ["many.approval", "many.scatter", "many", "many.gather"]
    assert found["inside"]["tasks"] == ["inside.approval", "inside.inputs", "inside"]
    assert found["repeated/steps/say"]["tasks"] == []


def test_links_lead_from_inputs_through_steps_to_outputs(nested: tuple[Plan, dict[str, Any]]) -> None:
    _, made = nested
    assert links(made) == {
        ("inputs/text", "inside"): ["text"],
        ("inputs/texts", "many"): ["texts → text"],
        ("inside", "many"): ["out → after"],
        ("inputs/texts", "repeated"): ["texts → text"],
        ("many", "outputs/all"): ["out → all"],
        ("inside", "outputs/all"): ["out → all"],
    }
    inside = next(node for node in made["nodes"] if node["id"] == "inside")
    assert links(inside["graph"]) == {
        ("inside/inputs/text", "inside.say"): ["text"],
        ("inside.say", "inside/outputs/out"): ["out"],
    }


def test_a_step_says_what_it_runs_and_needs(nested: tuple[Plan, dict[str, Any]]) -> None:
    found = {node["id"]: node for node in nodes_of(nested[1])}
    many = found["many"]
    assert (many["tool"], many["tool_name"], many["command"]) == ("CommandLineTool", "tool.cwl", "echo")
    assert (many["container"], many["needs_container"], many["scatter"]) == ("debian:12", False, ["text"])
    assert many["when"] == '$(inputs.text != "no")'
    assert {"name": "text", "type": "string", "from": ["texts"], "scattered": True} in many["inputs"]
    assert {"name": "after", "type": None, "from": ["inside/out"]} in many["inputs"]
    say = {item["class"]: item for item in found["inside.say"]["requirements"]}
    assert say["ResourceRequirement"] == {"class": "ResourceRequirement", "hint": False, "text": "coresMin: 2"}
    assert say["DockerRequirement"]["hint"]
    assert found["inside/inputs/text"]["doc"] == "What to say"


def test_a_tool_is_one_step_of_itself(tmp_path: Path) -> None:
    _, made = graph(tmp_path, main=TOOL)
    assert links(made) == {("inputs/text", "main"): ["text"], ("main", "outputs/out"): ["out"]}


def test_texts_are_of_bounded_length(tmp_path: Path) -> None:
    _, made = graph(tmp_path, main=TOOL.replace("[echo]", f"[echo, {'x' * 100_000}]"))
    step = next(node for node in made["nodes"] if node["kind"] == "step")
    assert len(step["command"]) == MAX_TEXT + 1


ECHO = "{class: CommandLineTool, baseCommand: echo, inputs: {text: string}, outputs: {out: stdout}}"
INLINE = INNER.replace("tool.cwl", ECHO)


def test_a_packed_document_is_whole_and_has_nothing_of_the_store_in_it(tmp_path: Path) -> None:
    from cwl_ui_plugin.cwl.plan import SOURCE_TOKEN

    graph(tmp_path, main=OUTER, inner=INLINE, tool=TOOL)
    text = portable(read_packed(tmp_path / "compiled"))
    assert SOURCE_TOKEN not in text
    assert "cwl:" not in text.replace("cwl:requirements", "")
    again = compiling.compile_document(upload(tmp_path / "again", main=text), "main.cwl", tmp_path / "compiled again")
    assert [step.id for _, step in again.all_steps()] == ["inside", "say", "repeated", "many"]
    assert [item.id for item in again.inputs] == ["text", "texts"]
