"""Scattered steps and subworkflows are visible, and parallel, in Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from support.airflow_server import Server
from support.documents import SCATTERED

pytestmark = pytest.mark.e2e

NESTED = """
cwlVersion: v1.2
$graph:
- class: Workflow
  id: main
  requirements: {SubworkflowFeatureRequirement: {}, ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
  inputs: {texts: "string[]", go: {type: boolean, default: true}}
  outputs: {all: {type: "File?", outputSource: inner/joined}, n: {type: int, outputSource: after/n}}
  steps:
    inner: {run: "#sub", when: $(inputs.go), label: The inner one, in: {texts: texts, go: go}, out: [joined]}
    after:
      run: {class: ExpressionTool, inputs: {f: "File?"}, outputs: {n: int}, expression: "$({n: inputs.f ? 1 : 0})"}
      in: {f: inner/joined}
      out: [n]
- class: Workflow
  id: sub
  inputs: {texts: "string[]", go: boolean}
  outputs: {joined: {type: File, outputSource: join/out}}
  steps:
    each: {run: "#echo", scatter: text, in: {text: texts}, out: [out]}
    join: {run: "#cat", in: {files: each/out}, out: [out]}
- {class: CommandLineTool, id: echo, baseCommand: echo, inputs: {text: {type: string, inputBinding: {}}},
   outputs: {out: stdout}}
- {class: CommandLineTool, id: cat, baseCommand: cat, inputs: {files: {type: "File[]", inputBinding: {}}},
   outputs: {out: {type: stdout}}, stdout: joined.txt}
"""


@pytest.fixture(scope="module")
def workflow(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("wf") / "scattered.cwl"
    path.write_text(SCATTERED)
    server.command("upload", path)
    return "scattered"


def start(client: httpx.Client, dag_id: str, run_id: str, **job: object) -> None:
    client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json={"run_id": run_id, "job": job}).raise_for_status()


def test_each_element_is_a_task_instance_with_its_name(server: Server, client: httpx.Client, workflow: str) -> None:
    start(client, workflow, "elements", texts=["x", "yy"], numbers=[1, 2])
    run = server.wait_for_run(client, workflow, "elements")
    assert run["state"] == "success", run
    outputs = client.get(f"/cwl/api/v1/workflows/{workflow}/runs/elements/outputs").json()
    assert [item["basename"] for item in outputs["shouted"]] == ["x.txt", "yy.txt"]
    assert outputs["cross"] == ["x1", None, "yy1", None]
    assert outputs["counted"] == [2, 3]
    elements = {(step["task_id"], step["element"]): step["state"] for step in run["steps"] if step["map_index"] >= 0}
    assert elements == {
        ("shout", "x"): "success",
        ("shout", "yy"): "success",
        ("cross", "x, 1"): "success",
        ("cross", "x, 2"): "skipped",
        ("cross", "yy, 1"): "success",
        ("cross", "yy, 2"): "skipped",
        ("count", "x.txt"): "success",
        ("count", "yy.txt"): "success",
    }


def test_no_elements_make_empty_outputs(server: Server, client: httpx.Client, workflow: str) -> None:
    start(client, workflow, "empty", texts=[], numbers=[1])
    assert server.wait_for_run(client, workflow, "empty")["state"] == "success"
    outputs = client.get(f"/cwl/api/v1/workflows/{workflow}/runs/empty/outputs").json()
    assert outputs == {"shouted": [], "cross": [], "counted": []}


def test_an_element_that_fails_fails_the_run_and_says_which(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    path = tmp_path / "one-fails.cwl"
    path.write_text(
        json.dumps(
            {
                "cwlVersion": "v1.2",
                "class": "Workflow",
                "requirements": {"ScatterFeatureRequirement": {}},
                "inputs": {"names": "string[]"},
                "outputs": {},
                "steps": {
                    "look": {
                        "scatter": "name",
                        "run": {
                            "class": "CommandLineTool",
                            "baseCommand": ["ls"],
                            "inputs": {"name": {"type": "string", "inputBinding": {}}},
                            "outputs": {},
                        },
                        "in": {"name": "names"},
                        "out": [],
                    }
                },
            }
        )
    )
    server.command("upload", path)
    start(client, "one-fails", "r", names=["/", "/gone"])
    run = server.wait_for_run(client, "one-fails", "r")
    assert run["state"] == "failed"
    failed = {step["element"]: step for step in run["steps"] if step["state"] == "failed"}
    assert "/gone" in failed["/gone"]["stderr"]
    assert "look" in run["error"]


@pytest.fixture(scope="module")
def nested(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("wf") / "nested.cwl"
    path.write_text(NESTED)
    server.command("upload", path)
    return "nested"


def test_the_steps_of_a_subworkflow_are_tasks_in_a_group(server: Server, client: httpx.Client, nested: str) -> None:
    start(client, nested, "deep", texts=["x", "y"])
    run = server.wait_for_run(client, nested, "deep")
    assert run["state"] == "success", run
    assert run["outputs"]["n"] == 1
    assert Path(run["outputs"]["all"]["path"]).read_text() == "x\ny\n"
    assert [step["task_id"] for step in run["steps"]] == [
        "CWLJobDispatcher",
        "inner.inputs",
        "inner.each.scatter",
        "inner.each",
        "inner.each",
        "inner.each.gather",
        "inner.join",
        "inner",
        "after",
        "CWLJobGatherer",
    ]
    graph = client.get("/ui/structure/structure_data", params={"dag_id": nested}).json()
    group = next(node for node in graph["nodes"] if node["label"] == "The inner one" and node["children"])
    assert {"inner.inputs", "inner.join", "inner"} <= {node["id"] for node in group["children"]}


def test_a_subworkflow_that_is_skipped_is_skipped_with_its_steps(
    server: Server, client: httpx.Client, nested: str
) -> None:
    start(client, nested, "skipped", texts=["x"], go=False)
    run = server.wait_for_run(client, nested, "skipped")
    assert run["state"] == "success", run
    assert run["outputs"] == {"all": None, "n": 0}
    states = {step["task_id"]: step["state"] for step in run["steps"]}
    assert states["inner"] == states["inner.join"] == states["inner.each"] == "skipped"


def test_a_subworkflow_without_inputs_is_run(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "from-nothing.cwl"
    say = {"class": "CommandLineTool", "baseCommand": ["echo", "hello"], "inputs": {}, "outputs": {"said": "stdout"}}
    inner = {
        "class": "Workflow",
        "inputs": {},
        "outputs": {"said": {"type": "File", "outputSource": "say/said"}},
        "steps": {"say": {"run": say, "in": {}, "out": ["said"]}},
    }
    outer = {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "requirements": {"SubworkflowFeatureRequirement": {}},
        "inputs": {},
        "outputs": {"said": {"type": "File", "outputSource": "inner/said"}},
        "steps": {"inner": {"run": inner, "in": {}, "out": ["said"]}},
    }
    path.write_text(json.dumps(outer))
    server.command("upload", path)
    start(client, "from-nothing", "r")
    run = server.wait_for_run(client, "from-nothing", "r")
    assert run["state"] == "success", run
    assert Path(run["outputs"]["said"]["path"]).read_text() == "hello\n"
