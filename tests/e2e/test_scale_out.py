"""On PostgreSQL, Redis and Celery workers everything is as it is on SQLite and one machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_server import Server, wait_for
from scale_out import celery_cluster
from test_parallel import WORKFLOW

from cwl_ui_plugin.cwl import processes

pytestmark = pytest.mark.e2e
SLEEPER = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {ShellCommandRequirement: {}}
arguments: [{shellQuote: false, valueFrom: "(setsid sleep 600 &) ; sleep 600"}]
inputs: []
outputs: []
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with celery_cluster(tmp_path_factory.mktemp("cluster"), ("worker-a", "worker-b")) as server:
        yield server


def test_a_scattered_workflow_runs_on_celery_workers(cluster: Server, tmp_path: Path) -> None:
    (tmp_path / "scattered.cwl").write_text(WORKFLOW)
    cluster.command("upload", tmp_path / "scattered.cwl")
    with cluster.client() as client:
        job = {"texts": ["x", "yy"], "numbers": [1, 2]}
        client.post("/cwl/api/v1/workflows/scattered/runs", json={"run_id": "r", "job": job}).raise_for_status()
        run = cluster.wait_for_run(client, "scattered", "r")
        assert run["state"] == "success", run
        assert run["outputs"]["cross"] == ["x1", None, "yy1", None]
        assert run["outputs"]["counted"] == [2, 3]


def test_a_worker_imports_cwltool_before_it_forks(cluster: Server) -> None:
    logs = [path.read_text() for path in (cluster.home / "logs").glob("worker-*.log")]
    assert all("could not be preloaded" not in text for text in logs)
    assert sum("cwltool is preloaded" in text for text in logs) == 2


def test_a_run_on_a_celery_worker_is_stopped_with_all_its_processes(cluster: Server, tmp_path: Path) -> None:
    (tmp_path / "sleeper.cwl").write_text(SLEEPER)
    cluster.command("upload", tmp_path / "sleeper.cwl")
    with cluster.client() as client:
        client.post("/cwl/api/v1/workflows/sleeper/runs", json={"run_id": "s", "job": {}}).raise_for_status()
        wait_for(lambda: len([p for p in processes.find("sleeper/s/") if "sleep 600" in p.command]) >= 2, 120)
        answer = client.post("/cwl/api/v1/workflows/sleeper/runs/s/stop", json={})
        assert answer.status_code == 200, answer.text
        assert processes.find("sleeper/s/") == []
        assert cluster.wait_for_run(client, "sleeper", "s")["state"] == "failed"
