"""Two executors at once: rules of the site decide which tasks run by which, in which pool, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import tagged
from support.airflow_server import Server
from support.scale_out import Cluster

pytestmark = pytest.mark.e2e
DOCUMENT = """
cwlVersion: v1.2
class: Workflow
$namespaces: {cwl-ui: "https://w3id.org/cwl-ui-plugin#"}
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
inputs: {cores: int, texts: "string[]"}
outputs:
  small: {type: File, outputSource: small/out}
  large: {type: File, outputSource: large/out}
  many: {type: "File[]", outputSource: many/out}
  asked: {type: File, outputSource: asked/out}
steps:
  small:
    run: &say {class: CommandLineTool, baseCommand: [echo, hello], inputs: {}, outputs: {out: stdout}}
    in: []
    out: [out]
  large:
    run:
      class: CommandLineTool
      requirements: {ResourceRequirement: {coresMin: $(inputs.cores)}}
      baseCommand: [echo, hello]
      inputs: {cores: int}
      outputs: {out: stdout}
    in: {cores: cores}
    out: [out]
  many:
    run:
      class: CommandLineTool
      baseCommand: [echo]
      inputs: {t: {type: string, inputBinding: {}}}
      outputs: {out: stdout}
    scatter: t
    in: {t: texts}
    out: [out]
  asked:
    hints:
      cwl-ui:Execution: {profile: quick}
    run: *say
    in: []
    out: [out]
"""
SLOW = """
cwlVersion: v1.2
class: CommandLineTool
hints:
  cwl-ui:Execution: {profile: quick}
baseCommand: [sleep, "86400"]
inputs: {}
outputs: []
"""


@pytest.fixture
def server(scaled_out: Cluster) -> Server:
    return scaled_out.server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as open_client:
        yield open_client


def task_instances(client: httpx.Client, dag_id: str, run_id: str) -> dict[str, list[dict[str, Any]]]:
    answer = client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
    answer.raise_for_status()
    found: dict[str, list[dict[str, Any]]] = {}
    for task in answer.json()["task_instances"]:
        found.setdefault(task["task_id"], []).append(task)
    return found


@pytest.mark.parametrize("cores", [1, 2])
def test_tasks_run_by_the_executor_that_a_rule_chooses(
    client: httpx.Client, server: Server, scaled_out: Cluster, tmp_path: Path, cores: int
) -> None:
    (tmp_path / "routed.cwl").write_text(DOCUMENT)
    server.command("upload", tmp_path / "routed.cwl")
    run_id = f"cores-{cores}"
    job = {"cores": cores, "texts": ["a", "b"]}
    client.post("/cwl/api/v1/workflows/routed/runs", json={"run_id": run_id, "job": job}).raise_for_status()
    run = server.wait_for_run(client, "routed", run_id)
    assert run["state"] == "success", run
    tasks = task_instances(client, "routed", run_id)
    local = {task_id for task_id, (task, *_more) in tasks.items() if task["executor"] == "LocalExecutor"}
    assert local == ({"many", "large"} if cores == 2 else {"many"})
    assert {task["executor"] for name in tasks for task in tasks[name] if name not in local} == {None}
    machines = {name: {task["hostname"] for task in tasks[name]} for name in tasks}
    if scaled_out.are_machines:
        assert not machines["many"] & set(scaled_out.workers)
        assert machines["small"] <= set(scaled_out.workers)
    assert client.get("/api/v2/dags/routed").json()["max_active_runs"] == 3


def test_a_task_that_takes_too_long_ends_with_all_that_it_started_and_says_why(
    client: httpx.Client, server: Server, tmp_path: Path
) -> None:

    (tmp_path / "slow.cwl").write_text(SLOW)
    server.command("upload", tmp_path / "slow.cwl")
    client.post("/cwl/api/v1/workflows/slow/runs", json={"run_id": "r", "job": {}}).raise_for_status()
    run = server.wait_for_run(client, "slow", "r")
    assert run["state"] == "failed"
    (step,) = [step for step in run["steps"] if step["task_id"] == "slow"]
    assert "longer than 5 seconds (execution_timeout" in step["error"], step
    assert tagged.find("slow/r") == []
