"""Stopping a run: by REST, by the command and by the Dag clean_dag_run; nothing of it is left."""

from __future__ import annotations

import uuid
from pathlib import Path

import httpx
import pytest
from airflow_server import Server, wait_for

from cwl_ui_plugin.cwl import processes

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


@pytest.fixture(scope="module")
def sleeper(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("sleeper") / "sleeper.cwl"
    path.write_text(SLEEPER)
    server.command("upload", path)
    return "sleeper"


@pytest.fixture
def running(client: httpx.Client, sleeper: str) -> str:
    """The run_id of a run whose command, with children that fled its session, is running."""
    run_id = f"long-{uuid.uuid4()}"
    body = {"run_id": run_id, "job": {"seconds": 600}}
    client.post(f"/cwl/api/v1/workflows/{sleeper}/runs", json=body).raise_for_status()
    wait_for(lambda: len(commands(sleeper, run_id)) >= 3, 90, "the command and its children")
    return run_id


def commands(dag_id: str, run_id: str) -> list[str]:
    return [process.command for process in processes.find(f"{dag_id}/{run_id}/") if "sleep" in process.command]


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
