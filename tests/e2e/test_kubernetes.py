"""CWL runs on the KubernetesExecutor: real Airflow, and pods that are processes on machines of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from support.airflow_server import Server, wait_for
from support.kubernetes import ENDED, Kubernetes, kubernetes_cluster

pytestmark = pytest.mark.e2e
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements: {InlineJavascriptRequirement: {}}
inputs: {text: string, threads: {type: int, default: 1}}
outputs: {shout: {type: string, outputSource: upper/shout}}
steps:
  say:
    run:
      class: CommandLineTool
      baseCommand: [echo]
      hints: {ResourceRequirement: {coresMin: 2, ramMin: 300}}
      inputs: {text: {type: string, inputBinding: {}}}
      outputs: {said: stdout}
      stdout: said.txt
    in: {text: text}
    out: [said]
  upper:
    run:
      class: CommandLineTool
      baseCommand: [tr, a-z, A-Z]
      stdin: $(inputs.file.path)
      hints: {ResourceRequirement: {coresMin: $(inputs.threads)}}
      inputs: {file: File, threads: int}
      outputs:
        shout:
          type: string
          outputBinding:
            glob: out.txt
            loadContents: true
            outputEval: $(self[0].contents)
      stdout: out.txt
    in: {file: say/said, threads: threads}
    out: [shout]
"""
SLEEP = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sleep]
inputs: {seconds: {type: int, inputBinding: {}}}
outputs: {}
"""
SETTINGS = {
    "AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME": "15",  # a stop that can't be proven is waited for twice as long
    "AIRFLOW__CWL__RETRIES": "0",
    "AIRFLOW__CWL__STOP_GRACE": "1",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Kubernetes]]:
    """The server, and its Kubernetes. A pod that was killed is not tried again."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with kubernetes_cluster(folder, **SETTINGS) as (cluster, pods):
        yield cluster.server, pods


@pytest.fixture
def client(site: tuple[Server, Kubernetes]) -> Iterator[httpx.Client]:
    with site[0].client() as opened:
        yield opened


def upload(server: Server, folder: Path, text: str) -> str:
    dag_id = f"pods-{uuid4().hex[:8]}"
    document = folder / f"{dag_id}.cwl"
    document.write_text(text)
    server.command("upload", document)
    return dag_id


def trigger(client: httpx.Client, dag_id: str, job: dict[str, Any]) -> None:
    answer = client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json={"run_id": "r", "conf": {"job": job}})
    assert answer.is_success, answer.text


def leases(server: Server, dag_id: str) -> list[dict[str, Any]]:
    folder = server.home / "cwl" / "tmp" / ".control" / "runs" / dag_id / "r"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.lease"))]


@pytest.fixture
def sleeping(site: tuple[Server, Kubernetes], client: httpx.Client, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """A run whose command sleeps in a pod, and the lease of its task."""
    server, _ = site
    dag_id = upload(server, tmp_path, SLEEP)
    trigger(client, dag_id, {"seconds": 600})

    def of_the_step() -> dict[str, Any] | None:
        held = [lease for lease in leases(server, dag_id) if lease["task_id"] == dag_id]
        logs = (server.home / "cwl" / "tmp" / dag_id / "r" / dag_id).rglob("usage.txt")
        return held[0] if held and any(logs) else None

    return dag_id, wait_for(of_the_step, 120, "the command")


def test_a_run_succeeds_and_each_step_asks_for_what_it_needs(
    site: tuple[Server, Kubernetes], client: httpx.Client, tmp_path: Path
) -> None:
    server, kubernetes = site
    dag_id = upload(server, tmp_path, WORKFLOW)
    trigger(client, dag_id, {"text": "hello", "threads": 3})
    run = server.wait_for_run(client, dag_id, "r")
    assert run["state"] == "success", run
    assert client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/r/outputs").json() == {"shout": "HELLO\n"}
    asked = {}
    for pod in kubernetes.created:
        if pod["metadata"]["annotations"]["dag_id"] == dag_id:
            (container,) = pod["spec"]["containers"]
            asked[pod["metadata"]["annotations"]["task_id"]] = container.get("resources", {}).get("requests")
            assert container["image"] == "registry.example/airflow-cwl:tests"
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/srv/cwl", "/opt/airflow/logs"}
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert asked["say"] == {"cpu": "2000m", "memory": "300Mi"}
    assert asked["upper"] == {"cpu": "3000m", "memory": "256Mi"}  # known since the run was created
    assert {"CWLJobDispatcher", "CWLJobGatherer"} < asked.keys()
    assert leases(server, dag_id) == []
    wait_for(lambda: not kubernetes.pods(dag_id=dag_id), 60, "the removal of the pods")


def test_a_stop_ends_what_runs_in_a_pod(site: tuple[Server, Kubernetes], sleeping: tuple[str, dict[str, Any]]) -> None:
    server, kubernetes = site
    dag_id, lease = sleeping
    name = lease["host"]
    assert lease["pod"].endswith(f"/{name}")
    result = server.command("stop", dag_id, "r")
    assert result.returncode == 0
    assert leases(server, dag_id) == []
    wait_for(
        lambda: (kubernetes.pod(name) or {"status": {"phase": ENDED[0]}})["status"]["phase"] in ENDED, 30, "its end"
    )


def test_a_pod_that_is_deleted_ends_its_commands_and_says_so(
    site: tuple[Server, Kubernetes], client: httpx.Client, sleeping: tuple[str, dict[str, Any]]
) -> None:
    """As where a node is drained, or a pod is evicted."""
    server, kubernetes = site
    dag_id, lease = sleeping
    kubernetes.delete(lease["host"])
    wait_for(lambda: leases(server, dag_id) == [], 60, "the end of the lease")
    assert server.wait_for_run(client, dag_id, "r")["state"] == "failed"


def test_a_pod_that_was_killed_as_a_whole_holds_no_stop_up(
    site: tuple[Server, Kubernetes], client: httpx.Client, sleeping: tuple[str, dict[str, Any]]
) -> None:
    server, kubernetes = site
    dag_id, lease = sleeping
    kubernetes.is_away = True
    try:
        kubernetes.kill(lease["host"])
        told = server.command("stop", dag_id, "r", check=False)
        assert told.returncode == 1
        assert "Kubernetes answered 503" in told.stderr
        assert len(leases(server, dag_id)) == 1
    finally:
        kubernetes.is_away = False
    assert server.command("stop", dag_id, "r").returncode == 0
    assert leases(server, dag_id) == []
