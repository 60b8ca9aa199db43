"""Where containers are required, a document gets at no file of the machine but its own and those that it is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.containers.policy import ANYTHING, ContainerPolicy
from cwl_ui_plugin.cwl.engine import execution, nesting
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
from cwl_ui_plugin.cwl.errors import JobError, StepError
from cwl_ui_plugin.cwl.plan import read_plan

SECRET = "known to the worker only"
JAVASCRIPT = {"InlineJavascriptRequirement": {}}
REQUIRED = ContainerPolicy(required=True, allow_network=False)
Run = Callable[..., Any]


@pytest.fixture
def secret(tmp_path: Path) -> dict[str, Any]:
    """A file that is the worker's only."""
    path = tmp_path / "worker/airflow.cfg"
    path.parent.mkdir()
    path.write_text(SECRET)
    return {"class": "File", "location": path.as_uri()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run(document, job, policy)``: the values of the outputs of the only step, as the tasks come by them."""

    def run_document(document: dict[str, Any], job: dict[str, Any] | None = None, policy: Any = REQUIRED) -> Any:
        source, compiled = tmp_path / "source", tmp_path / "compiled"
        source.mkdir(exist_ok=True)
        (source / "main.cwl").write_text(json.dumps({"cwlVersion": "v1.2", **document}))
        compiling.compile_document(source, "main.cwl", compiled)
        settings = RunSettings(engine="none", tag="test/reach/task/-1/1", containers=policy)
        values = execution.start(compiled, source, job or {}, tmp_path / "run/start", settings)
        (step,) = read_plan(compiled).steps
        if step.steps:
            inner = nesting.enter(compiled, source, step, values, tmp_path / "run/enter", settings)
            assert inner is not None
            (step,), values = step.steps, inner
        result = execution.run_step(compiled, source, step, values, tmp_path / "run/step", settings)
        return [value for value, _status in result.values.values()]

    return run_document


def expression(code: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "class": "ExpressionTool",
        "requirements": JAVASCRIPT,
        "inputs": inputs or {},
        "outputs": {"out": "Any"},
        "expression": code,
        **more,
    }


def one_step(run: dict[str, Any], value: str, kind: str = "Workflow") -> dict[str, Any]:
    features = {**JAVASCRIPT, "StepInputExpressionRequirement": {}, "SubworkflowFeatureRequirement": {}}
    steps = {"one": {"run": run, "in": {"file": {"valueFrom": value}}, "out": ["out"]}}
    outputs = {"out": {"type": "Any", "outputSource": "one/out"}}
    return {"class": kind, "requirements": features, "inputs": {}, "outputs": outputs, "steps": steps}


def attempts(secret: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Ways for a document to get at a file of the worker's."""
    location = json.dumps(secret["location"])
    made_up = f"${{return {{class: 'File', location: {location}}};}}"
    contents = expression("$({out: inputs.file.contents})", {"file": {"type": "File", "loadContents": True}})
    inner = expression("$({out: inputs.file})", {"file": "File"})
    return {
        "default": expression("$({out: inputs.file})", {"file": {"type": "File", "default": secret}}),
        "contents": expression(
            "$({out: inputs.file.contents})", {"file": {"type": "File", "loadContents": True, "default": secret}}
        ),
        "output": expression(f"${{return {{out: {{class: 'File', location: {location}}}}};}}"),
        "nested output": expression(f"${{return {{out: {{a: [{{class: 'File', location: {location}}}]}}}};}}"),
        "folder": expression(
            "$({out: inputs.folder.listing})",
            {
                "folder": {
                    "type": "Directory",
                    "loadListing": "deep_listing",
                    "default": {"class": "Directory", "location": secret["location"].rpartition("/")[0]},
                }
            },
        ),
        "step input": one_step(contents, made_up),
        "into a subworkflow": one_step(
            {
                "class": "Workflow",
                "inputs": {"file": "File"},
                "outputs": {"out": {"type": "Any", "outputSource": "inner/out"}},
                "steps": {"inner": {"run": inner, "in": {"file": "file"}, "out": ["out"]}},
            },
            made_up,
        ),
    }


@pytest.mark.parametrize("way", attempts({"location": "file:///a/b"}))
def test_a_document_gets_at_nothing_of_the_worker(run: Run, secret: dict[str, Any], tmp_path: Path, way: str) -> None:
    document = attempts(secret)[way]
    assert "airflow.cfg" in str(run(document, policy=ANYTHING)) or SECRET in str(run(document, policy=ANYTHING))
    with pytest.raises((JobError, StepError)) as caught:
        run(document)
    said = f"{caught.value} {getattr(caught.value, 'problems', '')}"
    assert "require_container" in said
    assert SECRET not in said


def test_secondary_files_are_beside_their_file_and_nowhere_else(
    run: Run, secret: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.bam", "a.bam.bai"):
        (tmp_path / "data" / name).write_text("x")
    given = {"class": "File", "location": (tmp_path / "data/a.bam").as_uri(), "basename": "a.bam"}
    tool = expression("$({out: inputs.file.secondaryFiles})", {"file": {"type": "File", "secondaryFiles": [".bai"]}})
    assert "a.bam.bai" in str(run(tool, {"file": given}))
    made_up = f"${{return {{class: 'File', location: {json.dumps(secret['location'])}}};}}"
    tool = expression("$({out: inputs.file.secondaryFiles})", {"file": {"type": "File", "secondaryFiles": [made_up]}})
    with pytest.raises((JobError, StepError)):
        run(tool, {"file": given})


def test_files_of_the_upload_and_literals_are_the_documents_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/table.txt").write_text("mine")
    file = {"type": "File", "loadContents": True, "default": {"class": "File", "location": "table.txt"}}
    assert run(expression("$({out: inputs.file.contents})", {"file": file})) == ["mine"]
    file["default"] = {"class": "File", "basename": "x", "contents": "literal"}
    del file["loadContents"]
    assert "literal" in str(run(expression("$({out: inputs.file})", {"file": file})))
