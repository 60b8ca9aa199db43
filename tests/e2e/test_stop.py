"""Stopping a run: by REST, by the command and by the Dag clean_dag_run; nothing of it is left."""

from __future__ import annotations

import sqlite3
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import tagged
from support.airflow_server import PLAIN_DAG_ID, Server, wait_for
from support.families import DOCUMENT, VICTIMS, Family, Victims, stopped_side_by_side

pytestmark = pytest.mark.e2e

SLEEPER = """
cwlVersion: v1.2
class: Workflow
requirements: {ShellCommandRequirement: {}}
inputs: {seconds: int}
outputs: []
steps:
  sleep:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments:
        - shellQuote: false
          valueFrom: |
            setsid sleep $(inputs.seconds) &
            (sleep $(inputs.seconds) &)
            trap '' TERM
            sleep $(inputs.seconds)
            sleep $(inputs.seconds)
      inputs: {seconds: int}
      outputs: []
    in: {seconds: seconds}
    out: []
"""
# Fails for a while, as CWL says; succeeds once the file is there.
PATIENT = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {ShellCommandRequirement: {}}
temporaryFailCodes: [75]
arguments: [{shellQuote: false, valueFrom: "test -e $(inputs.path) || exit 75"}]
inputs: {path: string}
outputs: []
"""
KILLED: tuple[Victims, ...] = (*VICTIMS, ("supervisor",))
RETRY_SECONDS = 10
"""[cwl] retry_delay by default."""


@pytest.fixture(scope="module")
def sleeper(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("sleeper") / "sleeper.cwl"
    path.write_text(SLEEPER)
    server.command("upload", path)
    return "sleeper"


@pytest.fixture(scope="module")
def family_dag(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("family") / "family.cwl"
    path.write_text(DOCUMENT)
    server.command("upload", path)
    return "family"


@pytest.fixture
def running(client: httpx.Client, sleeper: str) -> str:
    """The run_id of a run whose command, with children that fled its session, is running."""
    run_id = f"long-{uuid.uuid4()}"
    body = {"run_id": run_id, "job": {"seconds": 600}}
    client.post(f"/cwl/api/v1/workflows/{sleeper}/runs", json=body).raise_for_status()
    wait_for(lambda: len(commands(sleeper, run_id)) >= 3, 90, "the command and its children")
    return run_id


def commands(dag_id: str, run_id: str) -> list[str]:
    return [process.command for process in tagged.find(f"{dag_id}/{run_id}") if "sleep" in process.command]


def assert_stopped(client: httpx.Client, dag_id: str, run_id: str) -> None:
    assert commands(dag_id, run_id) == []
    run = client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}").json()
    assert run["state"] == "failed"
    assert {step["state"] for step in run["steps"]} <= {"failed", "success"}


def test_stop_by_rest_ends_every_process(client: httpx.Client, server: Server, sleeper: str, running: str) -> None:
    answer = client.post(f"/cwl/api/v1/workflows/{sleeper}/runs/{running}/stop", json={})
    assert answer.status_code == 200, answer.text
    assert_stopped(client, sleeper, running)
    again = client.post(f"/cwl/api/v1/workflows/{sleeper}/runs/{running}/stop", json={})
    assert again.status_code == 200


def test_a_task_that_the_scheduler_revives_ends_itself(
    client: httpx.Client, server: Server, sleeper: str, running: str
) -> None:
    """The scheduler is made to start it, as a late write of its own would; nobody watches what it writes."""
    client.post(f"/cwl/api/v1/workflows/{sleeper}/runs/{running}/stop", json={}).raise_for_status()
    for mark in (server.home / "cwl" / "tmp" / ".control" / "watched").iterdir():
        mark.unlink()
    with closing(sqlite3.connect(server.home / "airflow.db", timeout=60)) as database:
        of_run = "SET state = ?, end_date = NULL WHERE run_id = ?"
        database.execute(f"UPDATE dag_run {of_run}", ("running", running))
        database.execute(f"UPDATE task_instance {of_run} AND task_id = 'sleep'", ("scheduled", running))
        database.commit()
    error = f"/api/v2/dags/{sleeper}/dagRuns/{running}/taskInstances/sleep/xcomEntries/cwl_error"
    wait_for(lambda: "stopped" in client.get(error).text, 120, "the end of the task")
    assert "Stopped by admin." in client.get(error).text
    assert server.wait_for_run(client, sleeper, running)["state"] == "failed"
    assert_stopped(client, sleeper, running)


def test_stop_by_command_ends_every_process(client: httpx.Client, server: Server, sleeper: str, running: str) -> None:
    server.command("stop", sleeper, running)
    assert_stopped(client, sleeper, running)


def test_clean_dag_run_stops_as_it_did_for_the_predecessors(client: httpx.Client, sleeper: str, running: str) -> None:
    conf = {"remove_dag_id": sleeper, "remove_run_id": running}
    run_id = f"clean-{uuid.uuid4()}"
    body = {"dag_run_id": run_id, "conf": conf, "logical_date": None}
    client.post("/api/v2/dags/clean_dag_run/dagRuns", json=body).raise_for_status()

    def ended() -> str | None:
        state = client.get(f"/api/v2/dags/clean_dag_run/dagRuns/{run_id}").json()["state"]
        return state if state in ("success", "failed") else None

    assert wait_for(ended, 90, "the end of clean_dag_run") == "success"
    assert_stopped(client, sleeper, running)


def test_stop_of_a_run_that_does_not_exist_is_no_error(client: httpx.Client, sleeper: str) -> None:
    assert client.post(f"/cwl/api/v1/workflows/{sleeper}/runs/never/stop", json={}).status_code == 200


def test_stop_and_remove_deletes_the_run(client: httpx.Client, server: Server, sleeper: str, running: str) -> None:
    answer = client.post(f"/cwl/api/v1/workflows/{sleeper}/runs/{running}/stop", json={"remove": True})
    assert answer.status_code == 200, answer.text
    assert commands(sleeper, running) == []
    assert client.get(f"/cwl/api/v1/workflows/{sleeper}/runs/{running}").status_code == 404
    assert not (Path(server.home) / "cwl" / "tmp" / sleeper / running).exists()
    assert client.post(f"/cwl/api/v1/workflows/{sleeper}/runs/{running}/stop", json={}).status_code == 200


@pytest.fixture(scope="module")
def stopped(server: Server, family_dag: str) -> dict[Victims, Future[Family]]:
    """Families that were stopped after processes of their tasks were killed."""
    return stopped_side_by_side(server, family_dag, KILLED)


@pytest.mark.parametrize("victims", KILLED, ids="-".join)
def test_nothing_that_a_step_started_is_left(stopped: dict[Victims, Future[Family]], victims: Victims) -> None:
    family = stopped[victims].result()
    for process in family_leftovers(family):
        process.kill()


def family_leftovers(family: Family) -> list[Any]:
    import psutil

    return [item for item in psutil.process_iter(["cmdline"]) if f"{family.number}6" in (item.info["cmdline"] or [])]


def test_two_users_stop_at_once(client: httpx.Client, family_dag: str) -> None:
    family = Family(family_dag).start(client)
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda _number: family.stop(client), range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(len(answer.json()["stopped"]) for answer in answers) == [0, 2]
    assert family.living() == []
    assert len({answer.json()["user"] for answer in answers}) == 1


def test_a_stop_waits_for_a_database_that_is_locked(client: httpx.Client, server: Server, family_dag: str) -> None:
    family = Family(family_dag).start(client)
    database = sqlite3.connect(server.home / "airflow.db", isolation_level=None, timeout=60)
    with closing(database), ThreadPoolExecutor(1) as other:
        database.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answer = other.submit(family.stop, client)
        wait_for(lambda: time.monotonic() - began > 10, 20)
        database.execute("ROLLBACK")
        assert answer.result().status_code == 200, answer.result().text
    assert family.living() == []
    assert client.get(f"/cwl/api/v1/workflows/{family_dag}/runs/{family.run_id}").json()["state"] == "failed"


def test_a_retry_never_starts_after_a_stop_and_clearing_starts_the_run_anew(
    client: httpx.Client, server: Server, sleeper: str, tmp_path: Path
) -> None:
    (tmp_path / "patient.cwl").write_text(PATIENT)
    server.command("upload", tmp_path / "patient.cwl")
    runs = "/cwl/api/v1/workflows/patient/runs"
    awaited = tmp_path / "awaited"

    def step(run_id: str = "first") -> dict[str, Any]:
        steps = client.get(f"{runs}/{run_id}").json()["steps"]
        return next((item for item in steps if item["task_id"] == "patient"), {"state": None})

    client.post(runs, json={"run_id": "first", "job": {"path": str(awaited)}}).raise_for_status()
    wait_for(lambda: step()["state"] == "up_for_retry", 90, "the first try")
    failed_at = time.monotonic()
    answer = client.post(f"{runs}/first/stop", json={})
    assert set(answer.json()["stopped"]) == {"patient", "CWLJobGatherer"}
    told = client.get(f"{runs}/first").json()
    assert (told["state"], told["shown_state"], told["stopped_by"]) == ("failed", "stopped", server.user)
    ends = {item["task_id"]: item["shown_state"] for item in told["steps"]}
    assert (ends["patient"], ends["CWLJobGatherer"]) == ("stopped", "not_run"), "it was to be tried again"

    # Another run goes all its way, and the retry is overdue: the scheduler has looked at everything again.
    client.post(runs, json={"run_id": "second", "job": {"path": str(tmp_path / "patient.cwl")}}).raise_for_status()
    assert server.wait_for_run(client, "patient", "second")["state"] == "success"
    wait_for(lambda: time.monotonic() - failed_at > RETRY_SECONDS + 2, 30)
    assert (step()["state"], step()["try_number"]) == ("failed", 1)

    awaited.touch()
    body = {"dry_run": False, "only_failed": False}
    client.post("/api/v2/dags/patient/dagRuns/first/clear", json=body).raise_for_status()
    run = server.wait_for_run(client, "patient", "first")
    assert run["state"] == "success", run
    assert step()["try_number"] == 2


def test_a_run_that_ended_or_was_deleted_is_no_error(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    (tmp_path / "brief.cwl").write_text(PATIENT)
    server.command("upload", tmp_path / "brief.cwl")
    runs = "/cwl/api/v1/workflows/brief/runs"
    client.post(runs, json={"run_id": "r", "job": {"path": str(tmp_path)}}).raise_for_status()
    assert server.wait_for_run(client, "brief", "r")["state"] == "success"
    assert client.post(f"{runs}/r/stop", json={}).json()["stopped"] == []
    assert client.get(f"{runs}/r").json()["state"] == "success"
    server.remove(client, "/api/v2/dags/brief/dagRuns/r")
    answer = client.post(f"{runs}/r/stop", json={})
    assert answer.status_code == 200, answer.text
    assert "no such run" in answer.json()["message"]


def test_a_run_of_a_dag_that_is_not_cwl_is_stopped_too(client: httpx.Client) -> None:
    path = f"/api/v2/dags/{PLAIN_DAG_ID}"
    wait_for(lambda: client.get(path).status_code == 200, 120, "the Dag file")
    number = str(Family("none").number)
    body = {"dag_run_id": "plain", "logical_date": None, "conf": {"seconds": number}}
    client.post(f"{path}/dagRuns", json=body).raise_for_status()
    wait_for(lambda: sleeping(number), 90, "the command of the plain Dag")
    answer = client.post(f"/cwl/api/v1/workflows/{PLAIN_DAG_ID}/runs/plain/stop", json={})
    assert answer.status_code == 200, answer.text
    assert answer.json()["stopped"] == ["sleep"]
    assert not sleeping(number)


def sleeping(number: str) -> bool:
    import psutil

    return any(number in (item.info["cmdline"] or []) for item in psutil.process_iter(["cmdline"]))
