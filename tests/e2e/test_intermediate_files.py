"""A run needs little room: what its tasks have read goes while it runs, and who comes back for it is told."""

from __future__ import annotations

import json
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e

STEPS = 6
SIZE = 2_000_000
# Each step reads all of its input, says that it has, and waits for its gate. The last can't be opened at first.
SCRIPT = (
    "cat $(inputs.file.path) >/dev/null && touch $(inputs.place)/read$(inputs.number);"
    " while [ ! -e $(inputs.place)/open$(inputs.number) ]; do sleep 0.05; done;"
    f" [ ! -e $(inputs.place)/broken$(inputs.number) ] && head -c {SIZE} /dev/zero"
)
TOOL = {
    "class": "CommandLineTool",
    "requirements": {"ShellCommandRequirement": {}},
    "arguments": [{"shellQuote": False, "valueFrom": SCRIPT}],
    "inputs": {"place": "string", "number": "int", "file": "File"},
    "outputs": {"out": "stdout"},
    "stdout": "big",
}


def chain(steps: int) -> dict[str, Any]:
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "inputs": {"place": "string", "file": "File"},
        "outputs": {"out": {"type": "File", "outputSource": f"s{steps}/out"}},
        "steps": {
            f"s{number}": {
                "run": TOOL,
                "in": {
                    "place": "place",
                    "number": {"default": number},
                    "file": f"s{number - 1}/out" if number > 1 else "file",
                },
                "out": ["out"],
            }
            for number in range(1, steps + 1)
        },
    }


class Chain:
    """A run of the chain on a server, whose steps go on when the test lets them."""

    def __init__(self, client: httpx.Client, server: Server, place: Path) -> None:
        self.client, self.server, self.place = client, server, place
        self.dag_id = f"chain-{uuid.uuid4().hex[:8]}"
        self.run_id = f"run-{uuid.uuid4().hex[:8]}"
        self.tmp = server.home / "cwl/tmp" / self.dag_id / self.run_id
        document = json.dumps(chain(STEPS)).encode()
        answer = client.post("/cwl/api/v1/workflows", files={"files": (f"{self.dag_id}.cwl", document)})
        assert answer.status_code in (200, 201), answer.text
        given = client.post("/cwl/api/v1/inputs", params={"name": "small.txt"}, content=b"small")
        given.raise_for_status()
        job = {"place": str(place), "file": given.json()}
        body = {"run_id": self.run_id, "job": job}
        client.post(f"/cwl/api/v1/workflows/{self.dag_id}/runs", json=body).raise_for_status()

    def wait_for_step(self, number: int) -> None:
        wait_for((self.place / f"read{number}").exists, 120, f"the start of step {number}")

    def open(self, number: int) -> None:
        (self.place / f"open{number}").touch()

    def made(self) -> set[str]:
        """The steps whose output of full size is on the disk, wherever in the folder of the run."""
        return {
            path.relative_to(self.tmp).parts[0]
            for path in self.tmp.rglob("*")
            if not path.is_symlink() and path.is_file() and path.stat().st_size == SIZE
        }

    def wait_for_room(self, *left: str) -> None:
        wait_for(lambda: self.made() <= set(left), 60, f"the removal of all but {left}")
        assert self.made() == set(left)

    def lease_of(self, number: int) -> dict[str, Any]:
        folder = self.server.home / "cwl/tmp/.control/runs" / self.dag_id / self.run_id
        found: dict[str, Any] = json.loads(next(folder.glob(f"s{number}.-1.*.lease")).read_text())
        return found

    def clear(self, *tasks: str) -> None:
        body: dict[str, Any] = {"dag_run_id": self.run_id, "task_ids": tasks, "only_failed": False}
        body |= {"include_downstream": True, "dry_run": False}
        self.client.post(f"/api/v2/dags/{self.dag_id}/clearTaskInstances", json=body).raise_for_status()

    def ended(self) -> dict[str, Any]:
        return self.server.wait_for_run(self.client, self.dag_id, self.run_id)


def test_a_chain_never_keeps_more_than_what_it_reads(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    run = Chain(client, server, tmp_path)
    for number in range(1, STEPS):
        run.wait_for_step(number)
        run.wait_for_room(*[f"s{number - 1}"] if number > 1 else [])
        if number == 3:  # the try that comes after a kill finds its input, too
            (tmp_path / "read3").unlink()
            os.kill(run.lease_of(3)["pid"], signal.SIGKILL)
            run.wait_for_step(3)
            assert run.made() == {"s2"}
        run.open(number)
    (tmp_path / f"broken{STEPS}").touch()
    run.wait_for_step(STEPS)
    run.wait_for_room(f"s{STEPS - 1}")
    run.open(STEPS)
    assert run.ended()["state"] == "failed"
    assert run.made() == {f"s{STEPS - 1}"}

    run.clear(f"s{STEPS - 2}")  # further back than its files are
    told = run.ended()["error"]
    assert f"s{STEPS - 2} needs big, which the task s{STEPS - 3} has made, and which is gone" in told
    assert f"Clear s{STEPS - 3}, too" in told
    assert "No such file" not in told

    (tmp_path / f"broken{STEPS}").unlink()
    run.clear("s1")
    ended = run.ended()
    assert ended["state"] == "success", ended
    assert Path(ended["outputs"]["out"]["path"]).stat().st_size == SIZE
    wait_for(lambda: not run.tmp.exists(), 60)
    server.remove(client, f"/cwl/api/v1/workflows/{run.dag_id}")


def test_a_failed_task_that_is_cleared_goes_on_with_its_input(
    client: httpx.Client, server: Server, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / f"broken{STEPS}").touch()
    for number in range(1, STEPS + 1):
        (tmp_path / f"open{number}").touch()
    run = Chain(client, server, tmp_path)
    assert run.ended()["state"] == "failed"
    (tmp_path / f"broken{STEPS}").unlink()
    run.clear(f"s{STEPS}")
    ended = run.ended()
    assert ended["state"] == "success", ended
    assert ended["outputs"]["out"]["size"] == SIZE
    server.remove(client, f"/cwl/api/v1/workflows/{run.dag_id}")
