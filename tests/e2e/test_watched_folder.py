"""Sets of files that come into a watched folder of a real server, whose processes are killed meanwhile."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from support.airflow_server import Server, wait_for

from cwl_ui_plugin.cwl.files import local_path

pytestmark = pytest.mark.e2e
JOIN = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs:
  reads: {type: {type: record, fields: {first: File, second: File}}}
  sample: string
arguments: [$(inputs.reads.first), $(inputs.reads.second)]
outputs: {joined: {type: stdout}}
stdout: $(inputs.sample).txt
"""
API = "/cwl/api/v1/workflows"
SETTLE = 2


@pytest.fixture(scope="module")
def server(mortal: Server) -> Server:
    return mortal


@pytest.fixture(scope="module")
def incoming(server: Server) -> Path:
    folder = server.home / "cwl/inputs/incoming"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def workflow(server: Server, incoming: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The dag_id of a workflow that is started by what comes into the folder."""
    dag_id = f"join-{uuid.uuid4().hex[:8]}"
    path = tmp_path_factory.mktemp("wf") / "join.cwl"
    path.write_text(JOIN)
    server.command("upload", path, "--dag-id", dag_id)
    settings = {
        "folder": str(incoming),
        "files": {"reads": "{sample}_R{1,2}.txt"},
        "names": {"sample": "sample"},
        "settle": SETTLE,
    }
    with server.client() as client:
        wanted = {"kind": "folder", "settings": settings, "job": {}}
        answer = client.put(f"{API}/{dag_id}/schedule", json=wanted)
        assert answer.status_code == 200, answer.text
        assert answer.json()["problem"] is None
    return dag_id


def folder_of(client: httpx.Client, dag_id: str) -> dict[str, Any]:
    answer = client.get(f"{API}/{dag_id}/schedule/folder")
    found: dict[str, Any] = answer.json() if answer.is_success else {"sets": [], "refused": {}}
    return found


def state_of(client: httpx.Client, dag_id: str, name: str) -> dict[str, Any]:
    return next((one for one in folder_of(client, dag_id)["sets"] if one["name"] == name), {"state": None})


def runs_of(client: httpx.Client, dag_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/cwl/api/v1/runs", params={"dag_id": dag_id}).json()["runs"]
    return found


def component(server: Server, *names: str) -> psutil.Process:
    """Return the process of the server that one of these names is in the command of."""

    def found() -> psutil.Process | None:
        for child in psutil.Process(server.pid).children():
            with suppress(psutil.Error):
                if any(name in " ".join(child.cmdline()) for name in names):
                    return child
        return None

    return wait_for(found, 60, f"the process {names[0]}")


def test_files_that_are_half_copied_do_not_start_and_whole_ones_start_once(
    server: Server, incoming: Path, workflow: str
) -> None:
    with server.client() as client:
        (incoming / "half_R1.txt").write_text("one\n")
        (incoming / "half_R2.txt.part").write_text("tw")
        (incoming / "link_R1.txt").symlink_to("/etc/passwd")
        waiting = wait_for(
            lambda: state if (state := state_of(client, workflow, "half"))["state"] == "incomplete" else None,
            60,
            "that the set is seen",
        )
        assert waiting["missing"] == ["half_R2.txt"]
        assert "link to what lies outside" in folder_of(client, workflow)["refused"]["link_R1.txt"]
        assert runs_of(client, workflow) == []

        with (incoming / "half_R2.txt").open("w") as slowly:
            for line in ("two\n", "three\n"):
                slowly.write(line)
                slowly.flush()
                wait_for(lambda: state_of(client, workflow, "half")["state"] == "changing", 60, "that it changes")
        started = wait_for(
            lambda: state if (state := state_of(client, workflow, "half"))["state"] == "started" else None,
            60,
            "its start",
        )
        run = server.wait_for_run(client, workflow, started["run_id"])
        assert run["state"] == "success", run
        outputs = client.get(f"{API}/{workflow}/runs/{started['run_id']}/outputs").json()
        assert outputs["joined"]["basename"] == "half.txt"
        joined = local_path(outputs["joined"])
        assert joined is not None
        assert joined.read_text() == "one\ntwo\nthree\n"
        assert len(runs_of(client, workflow)) == 1


def test_killed_servers_lose_no_set_and_start_none_twice(server: Server, incoming: Path, workflow: str) -> None:
    names = [f"kill{number}" for number in range(6)]
    with server.client() as client:
        before = len(runs_of(client, workflow))
    for number, name in enumerate(names):
        for half in (1, 2):
            (incoming / f"{name}_R{half}.txt").write_text(name)
        if number == 2:
            os.kill(component(server, "triggerer").pid, signal.SIGKILL)
        if number in (1, 4):
            with server.client() as client:
                wait_for(lambda name=name: state_of(client, workflow, name)["state"], 90, f"that {name} is seen")
            os.kill(component(server, "api-server", "api_server").pid, signal.SIGKILL)
            wait_for(lambda: _is_up(server), 120, "the API server")

    def all_started() -> bool:
        with suppress(httpx.HTTPError), server.client() as client:
            return all(state_of(client, workflow, name)["state"] == "started" for name in names)
        return False

    wait_for(all_started, 180, "the start of all sets")
    with server.client() as client:
        runs = runs_of(client, workflow)
        assert len(runs) == before + len(names), [run["run_id"] for run in runs]
        for run in runs:
            assert server.wait_for_run(client, workflow, run["run_id"])["state"] == "success"


def _is_up(server: Server) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{server.url}/cwl/api/v1/health", trust_env=False, timeout=10).is_success
    return False
