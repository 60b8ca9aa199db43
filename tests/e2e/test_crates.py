"""Runs as research objects: a real run as a crate that the tools of others take."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from support.airflow_server import Server

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".build/crate-tools/bin/python"
LEFT_OPEN = {
    *("process-run-crate-0.5_3.2:", "process-run-crate-0.5_4.1:", "process-run-crate-0.5_5.1:"),  # of tools
    *("process-run-crate-0.5_11.1:",),  # a step may have no outputs
    *("ro-crate-1.1_22.3:", "ro-crate-1.1_30.2:", "ro-crate-1.1_30.3:"),  # organizations
    *("ro-crate-1.1_28.1:",),  # whether what is elsewhere can be had
}
"""What is recommended, and not known of a run: addresses, versions of tools, organizations."""
WORKFLOW: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "class": "Workflow",
    "label": "Words of texts",
    "requirements": {"ScatterFeatureRequirement": {}, "SubworkflowFeatureRequirement": {}},
    "inputs": {"texts": "File[]", "greeting": {"type": "string", "default": "hello"}, "code": "int"},
    "outputs": {
        "counts": {"type": "File[]", "outputSource": "count/words"},
        "all": {"type": "Directory", "outputSource": "inner/folder"},
    },
    "steps": {
        "count": {
            "run": {
                "class": "CommandLineTool",
                "baseCommand": ["wc", "-w"],
                "inputs": {"text": "File"},
                "stdin": "$(inputs.text.path)",
                "stdout": "$(inputs.text.nameroot).words.txt",
                "outputs": {"words": {"type": "stdout"}},
            },
            "scatter": "text",
            "in": {"text": "texts"},
            "out": ["words"],
        },
        "inner": {
            "run": {
                "class": "Workflow",
                "inputs": {"files": "File[]", "greeting": "string"},
                "outputs": {"folder": {"type": "Directory", "outputSource": "collect/folder"}},
                "steps": {
                    "collect": {
                        "run": {
                            "class": "CommandLineTool",
                            "baseCommand": ["sh", "-c", 'mkdir all && cp "$@" all && echo $0 > all/greeting.txt'],
                            "inputs": {
                                "greeting": {"type": "string", "inputBinding": {"position": 1}},
                                "files": {"type": "File[]", "inputBinding": {"position": 2}},
                            },
                            "outputs": {"folder": {"type": "Directory", "outputBinding": {"glob": "all"}}},
                        },
                        "in": {"files": "files", "greeting": "greeting"},
                        "out": ["folder"],
                    }
                },
            },
            "in": {"files": "count/words", "greeting": "greeting"},
            "out": ["folder"],
        },
        "check": {
            "run": {
                "class": "CommandLineTool",
                "baseCommand": ["sh", "-c", "exit $0"],
                "inputs": {"code": {"type": "int", "inputBinding": {"position": 1}}},
                "outputs": [],
            },
            "in": {"code": "code"},
            "out": [],
        },
    },
}


@pytest.fixture(scope="module")
def dag_id(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A workflow with two runs that have ended: ``good`` and ``bad``."""
    document = tmp_path_factory.mktemp("crates") / "words-of-texts.cwl"
    document.write_text(json.dumps(WORKFLOW))
    server.command("upload", document)
    with server.client() as client:
        texts = [
            {"class": "File", "basename": name, "contents": text}
            for name, text in (("a b.txt", "one two"), ("ä.txt", "three"))
        ]
        for run_id, code, state in (("good", 0, "success"), ("bad", 3, "failed")):
            body = {"run_id": run_id, "job": {"texts": texts, "code": code}}
            answer = client.post("/cwl/api/v1/workflows/words-of-texts/runs", json=body)
            assert answer.status_code == 201, answer.text
            assert server.wait_for_run(client, "words-of-texts", run_id)["state"] == state
    return "words-of-texts"


def checked(client: httpx.Client, dag_id: str, run_id: str, folder: Path, **query: str) -> tuple[Any, dict[str, Any]]:
    """Return what the tools of others find in the crate of a run, and the entities of that by their ids."""
    answer = client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/crate", params=query)
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(folder)
    told = folder.with_suffix(".json")
    command = [TOOLS, ROOT / "tests/support/check_crate.py", folder, told]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    return json.loads(told.read_text()), {entity["@id"]: entity for entity in graph}


@pytest.mark.parametrize("data", ["true", "false"])
def test_a_crate_is_valid_and_can_be_read(client: httpx.Client, dag_id: str, tmp_path: Path, data: str) -> None:
    found, entities = checked(client, dag_id, "good", tmp_path, data=data, logs=data)
    issues = sorted({issue for issues in found["issues"].values() for issue in issues})
    assert not [issue for issue in issues if issue.startswith("REQUIRED")]
    assert {issue.split()[1] for issue in issues} <= LEFT_OPEN
    assert (tmp_path / "outputs/all/greeting.txt").exists() == (data == "true")
    for step in ("count", "check", "inner", "inner/run/collect"):
        assert f"step: packed.cwl#{step}\n" in found["report"]
    actions = [entity for entity in entities.values() if entity["@type"] == "CreateAction"]
    assert {action["actionStatus"] for action in actions} == {"http://schema.org/CompletedActionStatus"}
    assert entities["#task-count-0"]["description"].startswith("wc -w")


def test_a_run_that_failed_says_in_its_crate_where(client: httpx.Client, dag_id: str, tmp_path: Path) -> None:
    found, entities = checked(client, dag_id, "bad", tmp_path, data="true")
    issues = {issue for issues in found["issues"].values() for issue in issues}
    assert not [issue for issue in issues if issue.startswith("REQUIRED")]
    assert entities["#run-bad"]["actionStatus"].endswith("/FailedActionStatus")
    assert "exit code 3" in entities["#task-check"]["error"]


def test_it_is_saved_by_the_command(server: Server, dag_id: str, tmp_path: Path) -> None:
    target = tmp_path / "run.zip"
    server.command("crate", dag_id, "good", "--no-data", "-o", target)
    with zipfile.ZipFile(target) as archive:
        assert "ro-crate-metadata.json" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith("outputs/")]


def test_a_crate_that_is_imported_makes_the_same_files(
    server: Server, client: httpx.Client, dag_id: str, tmp_path: Path
) -> None:
    target = tmp_path / "run.crate.zip"
    server.command("crate", dag_id, "good", "-o", target)
    with target.open("rb") as file:
        form = {"dag_id": "words-again"}
        imported = client.post("/cwl/api/v1/crates", data=form, files={"file": (target.name, file)}, timeout=300)
    assert imported.status_code == 201, imported.text
    made = imported.json()
    assert made["left_out"] == []
    body = {"run_id": "again", "job": made["job"]}
    assert client.post(f"/cwl/api/v1/workflows/{made['dag_id']}/runs", json=body).status_code == 201
    assert server.wait_for_run(client, made["dag_id"], "again")["state"] == "success"

    def checksums(dag_id: str, run_id: str) -> dict[str, str]:
        files = f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/files"
        names = [file["path"] for file in client.get(files).json()]
        return {name: hashlib.sha256(client.get(f"{files}/{quote(name)}").content).hexdigest() for name in names}

    assert checksums(made["dag_id"], "again") == checksums(dag_id, "good")
    assert len(checksums(dag_id, "good")) == 5
