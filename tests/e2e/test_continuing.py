"""Going on after a failure, on a real server: what was done is not done again, which a log of what ran proves."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import Server

pytestmark = pytest.mark.e2e


def step(log: Path, name: str, script: str, source: str, **more: Any) -> dict[str, Any]:
    tool = {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-ec", f"echo {name}-$1 >>{log}; {script}", "sh"],
        "inputs": {"text": {"type": "string", "inputBinding": {}}, "file": "File?"},
        "outputs": {"out": "stdout"},
        "stdout": "out.txt",
    }
    return {"run": tool, "in": {"text": "text", "file": source} if source else {"text": "text"}, "out": ["out"], **more}


def document(log: Path, last: str) -> str:
    scattered = step(log, "each", "echo $1", "first/out", scatter="text")
    scattered["in"]["text"] = {"default": ["a", "b", "c"]}
    steps = {
        "first": step(log, "first", "echo 1", ""),
        "each": scattered,
        "last": step(log, "last", last, "first/out"),
    }
    steps["last"]["run"]["inputs"]["all"] = "File[]"
    steps["last"]["in"]["all"] = "each/out"
    return json.dumps(
        {
            "cwlVersion": "v1.2",
            "class": "Workflow",
            "requirements": {"ScatterFeatureRequirement": {}},
            "inputs": {"text": "string"},
            "outputs": {"out": {"type": "File", "outputSource": "last/out"}},
            "steps": steps,
        }
    )


def ran(log: Path) -> list[str]:
    """Return what has run since it was asked last."""
    found = sorted(log.read_text().split())
    log.unlink()
    return found


def upload(server: Server, folder: Path, dag_id: str, content: str) -> None:
    path = folder / f"{dag_id}.cwl"
    path.write_text(content)
    server.command("upload", path, "--dag-id", dag_id, "--replace")


def test_what_was_done_is_not_done_again(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    log, gate, dag_id = tmp_path / "ran.log", tmp_path / "gate", f"goes-on-{uuid.uuid4().hex[:8]}"
    upload(server, tmp_path, dag_id, document(log, f"test -e {gate}"))
    runs = f"/cwl/api/v1/workflows/{dag_id}/runs"
    client.post(runs, json={"run_id": "one", "job": {"text": "x"}}).raise_for_status()
    assert server.wait_for_run(client, dag_id, "one")["state"] == "failed"
    assert ran(log) == ["each-a", "each-b", "each-c", "first-x", "last-x"]

    # The workflow was wrong: a mended version takes over all that did not change.
    upload(server, tmp_path, dag_id, document(log, "echo mended"))
    told = server.command("continue", dag_id, "one", "--fix").stdout.split()
    mended = server.wait_for_run(client, dag_id, told[-1])
    assert (mended["state"], mended["continued_from"]) == ("success", "one")
    assert ran(log) == ["last-x"]
    states = {(one["task_id"], one["map_index"]): one["taken_over"] for one in mended["steps"]}
    assert all(states[key] for key in [("first", -1), ("each", 0), ("each", 1), ("each", 2)])
    assert not states["last", -1]

    # Only the surroundings were wrong: the same run goes on.
    gate.touch()
    assert "2 tasks run again" in server.command("continue", dag_id, "one").stdout
    assert server.wait_for_run(client, dag_id, "one")["state"] == "success"
    assert ran(log) == ["last-x"]
    assert client.post(f"{runs}/one/continue").status_code == 409
    found = client.get(f"{runs}/one/resources", params={"format": "csv"})
    assert found.text.startswith("task_id,label,runs")
