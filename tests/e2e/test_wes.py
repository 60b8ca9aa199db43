"""GA4GH WES on a real server, by a client of its own and by one that others wrote."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conformance import run_suite, write_runner
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / ".build/wes-tools/bin/wes-client"
RUNNER = ROOT / "tests/support/wes_runner.py"
WES = "/ga4gh/wes/v1"
GOING = ("QUEUED", "INITIALIZING", "RUNNING")
SCRIPT = """
cat "$1"; echo to-stderr >&2; mkdir made; cp "$1" made/; sleep "$2"; exit "$3"
"""
TOOL = """cwlVersion: v1.2
class: CommandLineTool
requirements:
  InitialWorkDirRequirement:
    listing: [{entryname: run.sh, entry: {$include: ../scripts/run.sh}}]
baseCommand: [sh, run.sh]
inputs:
  file: {type: File, inputBinding: {position: 1}}
  seconds: {type: int, default: 0, inputBinding: {position: 2}}
  code: {type: int, default: 0, inputBinding: {position: 3}}
outputs:
  all: stdout
  folder: {type: Directory, outputBinding: {glob: made}}
stdout: all.txt
"""
FILES = {"tools/show.cwl": TOOL, "scripts/run.sh": SCRIPT, "data/of mine.txt": "hello"}


@pytest.fixture
def wes(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        client.base_url = httpx.URL(f"{server.url}{WES}")
        yield client


def start(wes: httpx.Client, **inputs: Any) -> str:
    params = {"file": {"class": "File", "location": "data/of mine.txt"}, **inputs}
    fields = {
        "workflow_type": "CWL",
        "workflow_type_version": "v1.2",
        "workflow_url": "tools/show.cwl",
        "workflow_params": json.dumps(params),
        "tags": json.dumps({"of": "a test"}),
    }
    parts: list[Any] = [(name, (None, text)) for name, text in fields.items()]
    parts += [("workflow_attachment", (name, text)) for name, text in FILES.items()]
    answer = wes.post("/runs", files=parts)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["run_id"])


def state(wes: httpx.Client, run_id: str) -> str:
    return str(wes.get(f"/runs/{run_id}/status").json()["state"])


def ended(wes: httpx.Client, run_id: str) -> dict[str, Any]:
    wait_for(lambda: state(wes, run_id) not in GOING, what=f"the end of {run_id}")
    log: dict[str, Any] = wes.get(f"/runs/{run_id}").json()
    return log


def test_a_run_from_attachments_to_outputs(wes: httpx.Client) -> None:
    log = ended(wes, start(wes))
    assert log["state"] == "COMPLETE", wes.get(log["run_log"]["stderr"]).text
    assert log["run_log"]["exit_code"] == 0
    assert log["request"]["tags"] == {"of": "a test"}
    assert wes.get(log["outputs"]["all"]["location"]).text == "hello"
    (inner,) = log["outputs"]["folder"]["listing"]
    assert wes.get(inner["location"]).text == "hello"
    archive = wes.get(log["outputs"]["folder"]["location"]).content
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist() == ["made/of mine.txt"]
    assert json.loads(wes.get(log["run_log"]["stdout"]).text).keys() == {"all", "folder"}
    assert "to-stderr" in wes.get(log["run_log"]["stderr"]).text
    (task,) = wes.get(log["task_logs_url"]).json()["task_logs"]
    assert wes.get(task["stderr"]).text == "to-stderr\n"
    assert task["cmd"][:2] == ["sh", "run.sh"]
    crate = zipfile.ZipFile(io.BytesIO(wes.get(f"/runs/{log['run_id']}/ro-crate").content))
    assert "ro-crate-metadata.json" in crate.namelist()
    nobody = httpx.get(log["outputs"]["all"]["location"], trust_env=False)
    assert nobody.status_code == 401


def test_a_command_that_fails(wes: httpx.Client) -> None:
    log = ended(wes, start(wes, code=3))
    assert (log["state"], log["run_log"]["exit_code"], log["outputs"]) == ("EXECUTOR_ERROR", 3, {})
    assert "to-stderr" in wes.get(log["run_log"]["stderr"]).text


def test_a_long_run_is_canceled(wes: httpx.Client) -> None:
    run_id = start(wes, seconds=3600)
    wait_for(lambda: state(wes, run_id) == "RUNNING", what="its beginning")
    assert wes.post(f"/runs/{run_id}/cancel").json() == {"run_id": run_id}
    assert state(wes, run_id) == "CANCELED"


@pytest.mark.skipif(not CLIENT.exists() and not os.environ.get("CI"), reason="make test installs wes-client")
def test_wes_client_is_a_cwl_runner(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It sends paths of inputs: they have to be where the server finds them."""
    suite = server.home / "cwl" / "inputs" / f"wes-{uuid.uuid4()}"
    shutil.copytree(ROOT / "tests/conformance", suite)
    request.addfinalizer(lambda: shutil.rmtree(suite))
    runner = write_runner(
        tmp_path / "wes-client",
        *("env", f"WES_URL={server.url}", f"WES_TOKEN={server.token()}", f"WES_CLIENT={CLIENT}"),
        *(sys.executable, RUNNER),
    )
    chosen = "cl_optional_inputs_missing,cl_optional_bindings_provided"
    results = run_suite(suite / "conformance_tests.yaml", runner, tmp_path, jobs=2, only=chosen)
    assert set(results.values()) == {"passed"}, (tmp_path / "wes-client.log").read_text()
