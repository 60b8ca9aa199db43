"""What a user sees when something is wrong: a clear message, and nothing created."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from pathlib import Path

import httpx
import pytest
from support.airflow_server import Server

pytestmark = pytest.mark.e2e

FAILING = """
cwlVersion: v1.2
class: Workflow
inputs: {text: string}
outputs: {out: {type: File, outputSource: after/out}}
steps:
  align:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments: [{shellQuote: false, valueFrom: "echo 'no such sample: <b>$(inputs.text)</b>' >&2; exit 7"}]
      inputs: {text: string}
      outputs: {out: stdout}
    in: {text: text}
    out: [out]
  after:
    run: {class: CommandLineTool, baseCommand: cat, inputs: {file: File}, outputs: {out: stdout}}
    in: {file: align/out}
    out: [out]
"""
TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: cat\ninputs: {file: File}\noutputs: {out: stdout}\n"


def upload(client: httpx.Client, name: str, content: bytes, **fields: str) -> httpx.Response:
    return client.post("/cwl/api/v1/workflows", files={"files": (name, content)}, data=fields)


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("UP", ".."), content)
    return buffer.getvalue()


def test_a_step_that_fails_says_why_on_every_face(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "failing.cwl"
    path.write_text(FAILING)
    server.command("upload", path)
    run_id = f"failing-{uuid.uuid4()}"
    run = {"run_id": run_id, "job": {"text": "A1"}}
    client.post("/cwl/api/v1/workflows/failing/runs", json=run).raise_for_status()
    ended = server.wait_for_run(client, "failing", run_id)

    assert ended["state"] == "failed"
    assert "align" in ended["error"]
    assert "7" in ended["error"]
    steps = {step["task_id"]: step for step in ended["steps"]}
    assert steps["align"]["exit_code"] == 7
    assert "no such sample: <b>A1</b>" in steps["align"]["stderr"]
    assert steps["after"]["state"] == "upstream_failed"

    page = client.get("/pluginsv2/cwl/run", params={"dag_id": "failing", "run_id": run_id})
    assert "no such sample: &lt;b&gt;A1&lt;/b&gt;" in page.text

    job = tmp_path / "job.json"
    job.write_text(json.dumps({"text": "A1"}))
    result = server.command("run", "--quiet", path, job, "--outdir", tmp_path / "out", check=False)
    assert result.returncode == 1
    assert "no such sample" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "status", "word"),
    [
        ("a.cwl", b"inputs: [", 422, "a.cwl"),
        ("a.cwl", b"hello: world", 422, "CWL"),
        ("a.cwl", b"", 422, "empty"),
        ("a.cwl", b"\xff\xfe\x00", 422, "a.cwl"),
        ("a.cwl", TOOL.replace("v1.2", "v3.0").encode(), 422, "v1.0, v1.1, v1.2"),
        ("a.cwl", TOOL.replace("baseCommand", "baseComand").encode(), 422, "baseComand"),
        ("a.cwl", TOOL.encode() + b"doc: {$include: /etc/passwd}\n", 422, "/etc/passwd"),
        ("a.zip", b"no zip", 400, "zip"),
        ("a.zip", zipped(UP__a=TOOL), 400, ".."),
        ("a.cwl", b"#" + b"x" * (33 * 1024 * 1024), 413, "max_upload_size"),
    ],
    ids=[
        "broken YAML",
        "no CWL",
        "empty",
        "no text",
        "version",
        "CWL error",
        "include",
        "no zip",
        "zip slip",
        "too large",
    ],
)
def test_an_upload_that_can_not_be_used_is_explained_and_not_stored(
    client: httpx.Client, name: str, content: bytes, status: int, word: str
) -> None:
    answer = upload(client, name, content, dag_id="refused")
    assert answer.status_code == status, answer.text
    assert word in answer.text
    assert "Traceback" not in answer.text
    assert "root:" not in answer.text
    assert client.get("/cwl/api/v1/workflows/refused").status_code == 404


@pytest.mark.parametrize("dag_id", ["../x", "a b", "clean_dag_run", "x" * 300, "ä/ö"])
def test_a_name_that_is_not_allowed_is_refused(client: httpx.Client, dag_id: str) -> None:
    assert upload(client, "a.cwl", TOOL.encode(), dag_id=dag_id).status_code in (400, 409)


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced(client: httpx.Client) -> None:
    assert upload(client, "taken.cwl", TOOL.encode()).status_code == 201
    refused = upload(client, "taken.cwl", TOOL.encode() + b"label: new\n")
    assert refused.status_code == 409
    assert "replace" in refused.text.lower()
    assert upload(client, "taken.cwl", TOOL.encode() + b"label: new\n", replace="true").status_code == 201


def test_an_input_file_that_is_not_there_creates_no_run(client: httpx.Client) -> None:
    upload(client, "needs-file.cwl", TOOL.encode())
    run = {"run_id": "r", "job": {"file": {"class": "File", "location": "gone.txt"}}}
    answer = client.post("/cwl/api/v1/workflows/needs-file/runs", json=run)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["input"] == "file"
    assert "gone.txt" in answer.json()["problems"][0]["message"]
    assert client.get("/cwl/api/v1/workflows/needs-file/runs/r").status_code == 404


PASSING = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {ShellCommandRequirement: {}}
arguments: [{shellQuote: false, valueFrom: "mkdir $(inputs.place)/first && exit 75; echo done"}]
temporaryFailCodes: [75]
permanentFailCodes: [1]
inputs: {place: string}
outputs: {out: {type: stdout}}
stdout: out.txt
"""


def test_a_temporary_failure_is_tried_again(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    assert upload(client, "passing.cwl", PASSING.encode()).status_code == 201
    run = {"run_id": "twice", "job": {"place": str(tmp_path)}}
    client.post("/cwl/api/v1/workflows/passing/runs", json=run).raise_for_status()
    ended = server.wait_for_run(client, "passing", "twice")
    assert ended["state"] == "success", ended
    assert {step["task_id"]: step["try_number"] for step in ended["steps"]}["passing"] == 2
