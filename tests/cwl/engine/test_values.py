"""How values go from step to step where types have to be brought together, and what a tool may hand on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import execution, process_runs
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.numbers import DecimalFloat
from cwl_ui_plugin.dags.handing_on import KEPT
from cwl_ui_plugin.dags.names import SKIPPED, STATISTICS_KEY

COUNT = {
    "class": "ExpressionTool",
    "inputs": {"texts": "string[]"},
    "outputs": {"count": "int"},
    "expression": "${ return {count: inputs.texts.length}; }",
}
PICKED = {
    "class": "Workflow",
    "inputs": {"text": "string?"},
    "outputs": {"count": {"type": "int", "outputSource": "lengths/count"}},
    "steps": {
        "lengths": {
            "run": COUNT,
            "in": {"texts": {"source": ["text"], "pickValue": "all_non_null"}},
            "out": ["count"],
        }
    },
}
FEATURES = ("InlineJavascript", "MultipleInputFeature", "ScatterFeature", "SubworkflowFeature")


def outputs_of(folder: Path, document: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    (folder / "source").mkdir()
    requirements = {f"{feature}Requirement": {} for feature in FEATURES}
    head = {"cwlVersion": "v1.2", "requirements": requirements if document["class"] == "Workflow" else {}}
    (folder / "source/main.cwl").write_text(json.dumps(head | document))
    compiling.compile_document(folder / "source", "main.cwl", folder / "compiled")
    return run_compiled(folder / "compiled", folder / "source", job, folder / "run")


@pytest.mark.parametrize(("text", "count"), [(None, 0), ("x", 1)])
def test_a_list_of_one_source_is_a_list_where_what_is_not_null_is_picked(
    tmp_path: Path, text: str | None, count: int
) -> None:
    assert outputs_of(tmp_path, PICKED, {"text": text}) == {"count": count}


def test_the_same_holds_in_a_workflow_that_is_scattered(tmp_path: Path) -> None:
    document = {
        "class": "Workflow",
        "inputs": {"texts": {"type": {"type": "array", "items": ["null", "string"]}}},
        "outputs": {"counts": {"type": "int[]", "outputSource": "each/count"}},
        "steps": {"each": {"run": PICKED, "scatter": "text", "in": {"text": "texts"}, "out": ["count"]}},
    }
    assert outputs_of(tmp_path, document, {"texts": ["x", None]}) == {"counts": [1, 0]}


def test_a_step_that_may_be_left_out_gives_null_in_a_workflow_that_is_scattered(tmp_path: Path) -> None:
    maybe = {
        "run": COUNT | {"inputs": {"texts": "string[]", "run": "boolean"}},
        "when": "$(inputs.run)",
        "in": {"texts": {"default": ["a"]}, "run": "run"},
        "out": ["count"],
    }
    is_null = {
        "class": "ExpressionTool",
        "inputs": {"count": "Any?"},
        "outputs": {"is_null": "boolean"},
        "expression": "${ return {is_null: inputs.count === null}; }",
    }
    inner = {
        "class": "Workflow",
        "inputs": {"run": "boolean"},
        "outputs": {"is_null": {"type": "boolean", "outputSource": "look/is_null"}},
        "steps": {"maybe": maybe, "look": {"run": is_null, "in": {"count": "maybe/count"}, "out": ["is_null"]}},
    }
    document = {
        "class": "Workflow",
        "inputs": {"runs": "boolean[]"},
        "outputs": {"nulls": {"type": "boolean[]", "outputSource": "each/is_null"}},
        "steps": {"each": {"run": inner, "scatter": "run", "in": {"run": "runs"}, "out": ["is_null"]}},
    }
    assert outputs_of(tmp_path, document, {"runs": [True, False]}) == {"nulls": [False, True]}


def test_a_tool_hands_on_all_that_its_command_says_it_has_made(tmp_path: Path) -> None:
    tool = {
        "class": "CommandLineTool",
        "baseCommand": ["echo", '{"more": 5}'],
        "stdout": "cwl.output.json",
        "inputs": {},
        "outputs": {},
    }
    assert outputs_of(tmp_path, tool, {}) == {"more": 5}


@pytest.mark.parametrize("name", [KEPT, STATISTICS_KEY, SKIPPED])
def test_no_command_makes_what_tasks_tell_each_other(tmp_path: Path, name: str) -> None:
    known = {"size": 1, "sha256": "0" * 64, "index_size": 1, "index_sha256": "0" * 64}
    tool = {
        "class": "CommandLineTool",
        "baseCommand": ["echo", json.dumps({name: known})],
        "stdout": "cwl.output.json",
        "inputs": {},
        "outputs": {},
    }
    with pytest.raises(StepError, match=f"an output {name!r}, which is no name for one"):
        outputs_of(tmp_path, tool, {})


@pytest.mark.parametrize(("begins", "ends"), [("[", "]"), ('{"k": ', "}")], ids=["lists", "records"])
def test_what_airflow_could_not_take_for_its_depth_is_told(tmp_path: Path, begins: str, ends: str) -> None:
    from pydantic import JsonValue, TypeAdapter

    def nested(levels: int, name: str) -> Any:
        text = f'{{"out": {begins * (levels - 1)}1{ends * (levels - 1)}}}'
        tool = {
            "class": "ExpressionTool",
            "requirements": {"InlineJavascriptRequirement": {}},
            "inputs": {},
            "outputs": {"out": "Any"},
            "expression": f"${{ return {text}; }}",
        }
        (tmp_path / name).mkdir()
        return outputs_of(tmp_path / name, tool, {})

    made = nested(process_runs.DEEPEST, "deep")
    TypeAdapter(JsonValue).validate_json(json.dumps({"out": [made["out"], "success"]}))
    with pytest.raises(StepError, match=f"nested deeper than {process_runs.DEEPEST} levels"):
        nested(process_runs.DEEPEST + 1, "too-deep")


@pytest.mark.parametrize(("most", "is_listed"), [(5, True), (4, False)])
def test_folders_of_outputs_are_listed_unless_they_hold_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, is_listed: bool
) -> None:
    monkeypatch.setattr(execution, "MAX_LISTED", most)
    tool = {
        "class": "CommandLineTool",
        "baseCommand": ["mkdir", "-p", "made/a", "made/b/c", "made/d/e"],
        "inputs": {},
        "outputs": {"made": {"type": "Directory", "outputBinding": {"glob": "made"}}},
    }
    made = outputs_of(tmp_path, tool, {})["made"]
    assert ("listing" in made) == is_listed
    assert (Path(made["path"]) / "b/c").is_dir()


EDAM = "http://edamontology.org/"
OF_A_FORMAT = {
    "class": "Workflow",
    "$namespaces": {"edam": EDAM},
    "inputs": {"bam": {"type": "File", "format": "edam:format_2572"}},
    "outputs": {"same": {"type": "File", "outputSource": "bam"}},
    "steps": [],
}


@pytest.mark.parametrize("prefix", [{"$namespaces": {"edam": EDAM}}, {"$namespaces": {"e": EDAM}}, {}])
def test_a_job_may_write_formats_with_prefixes(tmp_path: Path, prefix: dict[str, Any]) -> None:
    (tmp_path / "x.bam").write_text("")
    name = "e" if "e" in prefix.get("$namespaces", {}) else "edam"
    bam = {"class": "File", "location": (tmp_path / "x.bam").as_uri(), "format": f"{name}:format_2572"}
    found = outputs_of(tmp_path, OF_A_FORMAT, {"bam": bam, **prefix})
    assert found["same"]["format"] == f"{EDAM}format_2572"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e300, "1" + "0" * 300),
        (1e22, "1" + "0" * 22),
        (123456.0, "123456"),
        (-100000.5, "-100000.5"),
        (1e-7, "0.0000001"),
        (3.0, "3.0"),
        (0.1, "0.1"),
    ],
)
def test_a_float_is_written_with_the_digits_that_it_was_given_with(number: float, text: str) -> None:
    assert str(DecimalFloat(number)) == text
    assert float(text) == number
