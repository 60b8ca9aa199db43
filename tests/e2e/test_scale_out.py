"""On PostgreSQL, Redis and Celery workers everything is as it is on SQLite and one machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest
from support import tagged
from support.airflow_server import Server, wait_for
from support.documents import SCATTERED
from support.families import DOCUMENT, VICTIMS, Family, Victims, stopped_side_by_side
from support.scale_out import Cluster

pytestmark = pytest.mark.e2e
CROWD = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: "int[]"}
outputs: []
steps:
  crowd:
    run: {class: CommandLineTool, baseCommand: [sleep, "86400"], inputs: {number: int}, outputs: []}
    scatter: number
    in: {number: numbers}
    out: []
"""
ELEMENTS = 1000
ANEW = """
cwlVersion: v1.2
class: Workflow
inputs: []
outputs: []
steps:
  STEP:
    run: {class: CommandLineTool, baseCommand: "true", inputs: [], outputs: []}
    in: []
    out: []
"""


@pytest.fixture
def cluster(scaled_out: Cluster) -> Server:
    return scaled_out.server


@pytest.fixture
def client(cluster: Server) -> Iterator[httpx.Client]:
    with cluster.client() as open_client:
        yield open_client


@pytest.fixture(scope="module")
def family_dag(scaled_out: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("family") / "family.cwl"
    path.write_text(DOCUMENT)
    scaled_out.server.command("upload", path)
    return "family"


def test_a_scattered_workflow_runs_on_celery_workers(cluster: Server, tmp_path: Path) -> None:
    (tmp_path / "scattered.cwl").write_text(SCATTERED)
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


@pytest.fixture(scope="module")
def stopped(scaled_out: Cluster, family_dag: str) -> dict[Victims, Future[Family]]:
    """Families that were stopped after processes of their tasks were killed."""
    return stopped_side_by_side(scaled_out.server, family_dag, VICTIMS)


@pytest.mark.parametrize("victims", VICTIMS, ids="-".join)
def test_nothing_that_a_step_started_on_another_machine_is_left(
    client: httpx.Client, cluster: Server, family_dag: str, stopped: dict[Victims, Future[Family]], victims: Victims
) -> None:
    family = stopped[victims].result()
    assert cluster.wait_for_run(client, family_dag, family.run_id)["state"] == "failed"


def test_a_scatter_of_a_thousand_is_stopped(client: httpx.Client, cluster: Server, tmp_path: Path) -> None:
    (tmp_path / "crowd.cwl").write_text(CROWD)
    cluster.command("upload", tmp_path / "crowd.cwl")
    runs = "/cwl/api/v1/workflows/crowd/runs"
    client.post(runs, json={"run_id": "c", "job": {"numbers": list(range(ELEMENTS))}}).raise_for_status()
    wait_for(lambda: len(tagged.find("crowd/c")) >= 3, 180, "three elements at the same time")
    answer = client.post(f"{runs}/c/stop", json={})
    assert answer.status_code == 200, answer.text
    assert sum(name.startswith("crowd[") for name in answer.json()["stopped"]) == ELEMENTS
    assert tagged.find("crowd/c") == []
    # Another run goes all its way on the same workers: what Celery still had of the stopped one is refused.
    client.post(runs, json={"run_id": "empty", "job": {"numbers": []}}).raise_for_status()
    assert cluster.wait_for_run(client, "crowd", "empty")["state"] == "success"
    assert tagged.find("crowd/c") == []
    states = {step["state"] for step in client.get(f"{runs}/c").json()["steps"]}
    assert states == {"success", "failed"}


def test_a_stop_waits_for_a_database_that_is_locked(client: httpx.Client, scaled_out: Cluster, family_dag: str) -> None:
    family = Family(family_dag).start(client)
    with closing(psycopg2.connect(f"postgresql://{scaled_out.database}")) as writer, ThreadPoolExecutor(1) as other:
        writer.cursor().execute("LOCK TABLE dag_run IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        answer = other.submit(family.stop, client)
        wait_for(lambda: time.monotonic() - began > 10, 20)
        writer.rollback()
        assert answer.result().status_code == 200, answer.result().text
    assert family.living() == []


def test_a_run_that_is_made_while_an_upload_is_written_is_of_one_version(
    client: httpx.Client, scaled_out: Cluster, tmp_path: Path
) -> None:
    """The upload is held where it writes over the Dag of a version that no run has had yet."""
    server, document = scaled_out.server, tmp_path / "anew.cwl"
    document.write_text(ANEW.replace("STEP", "one"))
    server.command("upload", document)
    document.write_text(ANEW.replace("STEP", "two"))
    waiters = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%serialized_dag%'"
    with closing(psycopg2.connect(f"postgresql://{scaled_out.database}")) as holder, ThreadPoolExecutor(1) as other:
        cursor = holder.cursor()
        cursor.execute("SELECT dag_hash FROM serialized_dag WHERE dag_id = 'anew' FOR SHARE")
        upload = other.submit(server.command, "upload", "--replace", document)

        def is_held() -> bool:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # else all of a transaction see the same
            cursor.execute(waiters)
            return bool(cursor.fetchone()[0])

        wait_for(is_held, 60, "the upload")
        made = client.post("/api/v2/dags/anew/dagRuns", json={"logical_date": None, "conf": {"job": {}}})
        holder.rollback()
        upload.result()
    assert made.status_code == 200, made.text
    run = server.wait_for_run(client, "anew", made.json()["dag_run_id"])
    tasks = {step["task_id"] for step in run["steps"]} - {"CWLJobDispatcher", "CWLJobGatherer"}
    assert (run["state"], tasks) == ("success", {"one"})


def test_a_machine_that_is_gone_is_named_and_settles_its_leases_when_it_comes_back(
    client: httpx.Client, scaled_out: Cluster, family_dag: str
) -> None:
    if not scaled_out.are_machines:
        pytest.skip("processes may not have namespaces here")
    family = Family(family_dag).start(client)
    leases = scaled_out.server.home / "cwl" / "tmp" / ".control" / "runs" / family_dag / family.run_id
    lease = next(json.loads(path.read_text()) for path in leases.glob("family.*.lease"))
    scaled_out.kill_worker(lease["host"])
    wait_for(lambda: family.living() == [], 30, "the end of the machine")

    refused = family.stop(client)
    assert refused.status_code == 504, refused.text
    assert f"{lease['host']}: family, pid {lease['pid']}" in refused.json()["detail"]

    scaled_out.start_worker(lease["host"])
    wait_for(lambda: not list(leases.glob("*.lease")), 120, "the worker that is back")
    answer = family.stop(client)
    assert answer.status_code == 200, answer.text
    assert list(leases.glob("*.lease")) == []
