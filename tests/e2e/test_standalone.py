"""A standalone server keeps running, whatever dies of it, and is nobody's but its user's."""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
import psutil
import pytest
from support.airflow_server import Server, wait_for
from support.processes import is_living

pytestmark = pytest.mark.e2e
COMPONENTS = {
    "scheduler": "airflow_process scheduler",
    "dag-processor": "airflow_process dag-processor",
    "triggerer": "airflow_process triggerer",
    "api-server": "airflow api_server",
}
LISTENING = "0A"
OTHERS = 0o077
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
inputs: {gate: string, text: File}
outputs: {out: {type: File, outputSource: second/out}}
steps:
  first:
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'until test -e "$0"; do sleep 0.1; done; setsid sleep 1; cat "$1"']
      arguments: [$(inputs.gate), $(inputs.text.path)]
      inputs: {gate: string, text: File}
      outputs: {out: stdout}
      stdout: first.txt
    in: {gate: gate, text: text}
    out: [out]
  second:
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs: {text: {type: File, inputBinding: {}}}
      outputs: {out: stdout}
      stdout: second.txt
    in: {text: first/out}
    out: [out]
"""


@pytest.fixture(scope="module")
def loose(mortal: Server) -> Server:
    """A server that was started where everybody may read and write what programs make, with the workflow."""
    with mortal.client() as client:
        files = {"files": ("lasting.cwl", WORKFLOW.encode())}
        assert client.post("/cwl/api/v1/workflows", files=files).status_code == 201
    return mortal


def start_run(server: Server, run_id: str, gate: Path) -> None:
    """Start a run, whose first step waits until there is the file ``gate``."""
    with server.client() as client:
        sent = client.post("/cwl/api/v1/inputs", params={"name": "in.txt"}, content=b"text\n")
        assert sent.status_code == 201, sent.text
        job = {"gate": str(gate), "text": {"class": "File", "location": sent.json()["location"]}}
        answer = client.post("/cwl/api/v1/workflows/lasting/runs", json={"run_id": run_id, "job": job})
        assert answer.status_code == 201, answer.text


def component(server: Server, name: str) -> psutil.Process | None:
    for child in psutil.Process(server.pid).children():
        if COMPONENTS[name] in " ".join(words_of(child)):
            return child
    return None


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def waiting_at(gate: Path) -> psutil.Process | None:
    """Return the process of a step that waits there."""
    return next((process for process in psutil.process_iter() if words_of(process)[3:4] == [str(gate)]), None)


def last_restart(server: Server) -> dict[str, str] | None:
    try:
        health = httpx.get(f"{server.url}/cwl/api/v1/health", trust_env=False, timeout=30).json()
    except httpx.HTTPError:
        return None
    return health["restarts"][-1] if health["restarts"] else None


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_dies_while_a_run_goes_on_is_started_again_and_the_run_ends_well(
    loose: Server, name: str, tmp_path: Path
) -> None:
    run_id, gate = f"without-{name}", tmp_path / "gate"
    start_run(loose, run_id, gate)
    step = wait_for(lambda: waiting_at(gate), 120, "the first step")
    killed = wait_for(lambda: component(loose, name), 10, name)
    started = [process for process in killed.children(recursive=True) if os.getsid(process.pid) == killed.pid]
    killed.kill()
    wait_for(lambda: (other := component(loose, name)) and other != killed, 120, f"another {name}")
    assert not [process for process in started if is_living(process)]
    if name == "scheduler":
        wait_for(lambda: not is_living(step), 60, "the end of what its tasks have left")
    told = wait_for(lambda: last_restart(loose), 120, "the health")
    assert (told["component"], told["exit_code"]) == (name, "-9")
    gate.touch()
    with loose.client() as client:
        run = loose.wait_for_run(client, "lasting", run_id, 300)
        assert run["state"] == "success", run["error"]
        page = client.get("/pluginsv2/cwl/runs").text
    assert re.search(rf"The {name} died (once|\d+ times) in the last hour \(exit code -9\)", page)
    assert f"{name} ended with -9; it is started again" in loose.home.with_suffix(".log").read_text()


def test_nothing_listens_for_other_machines(loose: Server) -> None:
    sockets = {inode for process in psutil.Process(loose.pid).children(recursive=True) for inode in sockets_of(process)}
    own = [
        fields[1].partition(":")[0]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == LISTENING and fields[9] in sockets
    ]
    assert own
    assert set(own) == {"0100007F"}  # 127.0.0.1


def sockets_of(process: psutil.Process) -> list[str]:
    try:
        links = [str(entry.readlink()) for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
    except OSError:
        return []
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def test_nobody_else_may_read_what_is_in_its_home(loose: Server, tmp_path: Path) -> None:
    start_run(loose, "private", tmp_path)
    with loose.client() as client:
        assert loose.wait_for_run(client, "lasting", "private")["state"] == "success"
    assert loose.home.stat().st_mode & OTHERS == 0
    entries = [entry for entry in loose.home.rglob("*") if loose.home / "dags" not in entry.parents]
    kinds = ("second.txt", "in.txt", "airflow.db", "scheduler.log", "passwords.json")
    assert all(any(entry.name == kind for entry in entries) for kind in kinds)
    assert any("dag_id=lasting" in str(entry) for entry in entries)
    dags = loose.home / "dags"  # what the test has put there was there before
    assert [
        entry for entry in entries if entry != dags and entry.lstat().st_mode & OTHERS and not entry.is_symlink()
    ] == []
