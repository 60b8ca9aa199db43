"""A task whose process dies, or its supervisor, is tried again; a failed run goes on when its task is cleared."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from support import tagged
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e

# The first try never ends by itself; a later one does.
HANGING = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {ShellCommandRequirement: {}}
arguments:
  - shellQuote: false
    valueFrom: "mkdir $(inputs.place)/first && setsid sleep 600; echo done"
inputs: {place: string}
outputs: {out: {type: stdout}}
stdout: out.txt
"""
RESUMED = """
cwlVersion: v1.2
class: Workflow
inputs: {repaired: string}
outputs: {out: {type: File, outputSource: third/out}}
steps:
  first:
    run: {class: CommandLineTool, baseCommand: [echo, kept], inputs: {}, outputs: {out: stdout}}
    in: {}
    out: [out]
  second:
    run:
      class: CommandLineTool
      baseCommand: [cat]
      inputs: {path: {type: string, inputBinding: {}}, file: {type: File, inputBinding: {}}}
      outputs: {out: stdout}
    in: {path: repaired, file: first/out}
    out: [out]
  third:
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs: {file: {type: File, inputBinding: {}}}
      outputs: {out: stdout}
    in: {file: second/out}
    out: [out]
"""
MANY = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'mkdir d; seq $0 | sed s,^,d/, | xargs touch']
inputs: {n: {type: int, inputBinding: {position: 1}}}
outputs: {d: {type: Directory, outputBinding: {glob: d}}}
"""
MANY_FILES = 3_000
"""So many that their delivery is seen while it goes on; each costs cwltool some milliseconds."""


@pytest.fixture
def client(impatient: Server) -> Iterator[httpx.Client]:
    with impatient.client() as open_client:
        yield open_client


def start(client: httpx.Client, name: str, document: str, job: dict[str, Any]) -> str:
    """Upload a document and run it; return the run_id."""
    fields = {"replace": "true"}
    answer = client.post("/cwl/api/v1/workflows", files={"files": (f"{name}.cwl", document.encode())}, data=fields)
    assert answer.status_code in (200, 201), answer.text
    run_id = f"{name}-{uuid.uuid4()}"
    client.post(f"/cwl/api/v1/workflows/{name}/runs", json={"run_id": run_id, "job": job}).raise_for_status()
    return run_id


@pytest.mark.parametrize("victim", ["task", "supervisor"])
def test_a_step_whose_process_is_killed_is_tried_again(
    client: httpx.Client, impatient: Server, tmp_path: Path, victim: str
) -> None:
    name = f"hanging-{victim}"
    run_id = start(client, name, HANGING, {"place": str(tmp_path)})
    mark = f"{name}/{run_id}/{name}"
    wait_for(lambda: any(process.command.startswith("sleep") for process in tagged.find(f"{mark}/-1/1")), 90)
    leases = impatient.home / "cwl" / "tmp" / ".control" / "runs" / name / run_id
    pid = json.loads((leases / f"{name}.-1.1.lease").read_text())["pid"]
    os.kill(pid if victim == "task" else psutil.Process(pid).ppid(), signal.SIGKILL)

    ended = impatient.wait_for_run(client, name, run_id)
    assert ended["state"] == "success", ended
    assert {step["task_id"]: step["try_number"] for step in ended["steps"]}[name] == 2
    assert tagged.find(mark) == []
    files = impatient.home / "cwl" / "tmp" / name / run_id
    wait_for(lambda: not files.exists() and not leases.exists(), 60)  # once the success is stored


def test_a_failed_run_goes_on_after_its_failed_task_is_cleared(
    client: httpx.Client, impatient: Server, tmp_path: Path
) -> None:
    repaired = tmp_path / "repaired.txt"
    run_id = start(client, "resumed", RESUMED, {"repaired": str(repaired)})
    failed = impatient.wait_for_run(client, "resumed", run_id)
    assert failed["state"] == "failed"
    assert failed["error"].startswith("second: Step second: ")
    assert "exit code 1: cat " in failed["error"]

    repaired.write_text("repaired\n")
    body = {"dag_run_id": run_id, "task_ids": ["second"], "include_downstream": True, "dry_run": False}
    client.post("/api/v2/dags/resumed/clearTaskInstances", json=body).raise_for_status()
    ended = impatient.wait_for_run(client, "resumed", run_id)
    assert ended["state"] == "success", ended
    tries = {step["task_id"]: step["try_number"] for step in ended["steps"]}
    assert (tries["first"], tries["second"]) == (1, 2)
    assert Path(ended["outputs"]["out"]["path"]).read_text() == "kept\nrepaired\n"
    wait_for(lambda: not (impatient.home / "cwl" / "tmp" / "resumed" / run_id).exists(), 60)


@pytest.mark.parametrize("moment", ["while it delivers", "when all is there"])
def test_a_gatherer_that_is_killed_delivers_again(client: httpx.Client, impatient: Server, moment: str) -> None:
    name = f"many-{moment.replace(' ', '-')}"
    run_id = start(client, name, MANY, {"n": MANY_FILES})
    folder = impatient.home / "cwl/outputs" / name / run_id
    tmp = impatient.home / "cwl/tmp"
    key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    record = tmp / ".control/deliveries" / f"{key}.record"

    def is_time() -> bool:
        if moment == "while it delivers":
            return any(folder.glob(".cwl-part-*"))
        return record.exists() and b'"digest"' in record.read_bytes()

    pid: list[int] = []
    deadline = time.monotonic() + 300
    while not (pid and is_time()):
        assert time.monotonic() < deadline, f"it never was {moment}"
        pid = pid or [json.loads(lease.read_text())["pid"] for lease in leases_of_gatherer(tmp, name, run_id)]
        time.sleep(0.0005)
    os.kill(pid[0], signal.SIGKILL)

    ended = impatient.wait_for_run(client, name, run_id)
    assert ended["state"] == "success", ended
    assert [path.name for path in folder.iterdir()] == ["d"]
    assert len(list((folder / "d").iterdir())) == MANY_FILES
    wait_for(lambda: not (tmp / name / run_id).exists(), 60)


def leases_of_gatherer(tmp: Path, name: str, run_id: str) -> list[Path]:
    return [*(tmp / ".control/runs" / name / run_id).glob("CWLJobGatherer.*.lease")]


BIG = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [head, -c, 40M, /dev/zero]
inputs: {}
outputs: {big: {type: stdout}}
stdout: big.bin
"""


@pytest.fixture
def small_disk(impatient: Server) -> Iterator[Path]:
    """The folder for outputs of a workflow, on a disk of 20 MB."""
    place = impatient.home / "cwl/outputs/big"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("disks can't be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_run_whose_disk_for_outputs_is_full_goes_on_when_there_is_room(
    client: httpx.Client, impatient: Server, small_disk: Path
) -> None:
    run_id = start(client, "big", BIG, {})

    def gatherer() -> dict[str, Any]:
        run = client.get(f"/cwl/api/v1/workflows/big/runs/{run_id}").json()
        return {step["task_id"]: step for step in run["steps"]}.get("CWLJobGatherer", {})

    wait_for(lambda: gatherer().get("state") == "up_for_retry" or (gatherer().get("try_number") or 0) > 1, 120)
    assert not (small_disk / run_id / "big.bin").exists()
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    ended = impatient.wait_for_run(client, "big", run_id)
    assert ended["state"] == "success", ended
    assert gatherer()["try_number"] > 1
    assert [path.name for path in (small_disk / run_id).iterdir()] == ["big.bin"]
    assert (small_disk / run_id / "big.bin").stat().st_size == 40 * 1024 * 1024
