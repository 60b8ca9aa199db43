"""A portal's view: a signed trigger, verified reports, outputs; and every way of getting it wrong."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from support.airflow_server import Server, wait_for
from support.receiver import Receiver, receiver

pytestmark = pytest.mark.e2e

WORKFLOW = """
cwlVersion: v1.2
class: Workflow
label: Shout and count
requirements: {InlineJavascriptRequirement: {}}
inputs: {text: string, shout: {type: boolean, default: true}}
outputs:
  counted: {type: File, outputSource: count/lines}
  shouted: {type: "File?", outputSource: shout/out}
steps:
  write:
    run:
      class: CommandLineTool
      baseCommand: [printf, "%s\\n"]
      inputs: {text: {type: string, inputBinding: {}}}
      outputs: {out: {type: stdout}}
      stdout: text.txt
    in: {text: text}
    out: [out]
  shout:
    when: $(inputs.shout)
    run:
      class: CommandLineTool
      baseCommand: [tr, a-z, A-Z]
      inputs: {file: {type: File}, shout: boolean}
      stdin: $(inputs.file.path)
      outputs: {out: {type: stdout}}
      stdout: shouted.txt
    in: {file: write/out, shout: shout}
    out: [out]
  count:
    run:
      class: CommandLineTool
      baseCommand: [wc, -l]
      inputs: {file: File}
      stdin: $(inputs.file.path)
      outputs: {lines: {type: stdout}}
      stdout: lines.txt
    in: {file: write/out}
    out: [lines]
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, server: Server) -> tuple[str, str]:
    """A key pair made by the product's own command."""
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    server.command("keys", "generate", path)
    return path.read_text(), Path(f"{path}.pub").read_text()


@pytest.fixture(scope="module")
def workflow(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("wf") / "shout-and-count.cwl"
    path.write_text(WORKFLOW)
    server.command("upload", path)
    return "shout-and-count"


@pytest.fixture(scope="module")
def portal(server: Server, keys: tuple[str, str]) -> Iterator[Receiver]:
    """A portal that Airflow reports to, signed, and whose triggers must be signed."""
    private, public = keys
    with receiver() as listening, server.client() as client:
        listening.public_key = public
        connection = {
            "connection_id": "process_report",
            "conn_type": "http",
            "host": "127.0.0.1",
            "port": listening.port,
            "schema": "http",
            "extra": json.dumps({"endpoint": "satellite/v1/"}),
        }
        client.post("/api/v2/connections", json=connection).raise_for_status()
        variables = {"process_report_private_key": private, "jwt_backend_public_key": public}
        for key, value in variables.items():
            client.post("/api/v2/variables", json={"key": key, "value": value}).raise_for_status()
        yield listening
        server.remove(client, *(f"/api/v2/variables/{key}" for key in variables))
        server.remove(client, "/api/v2/connections/process_report")


def trigger(server: Server, dag_id: str, body: dict) -> httpx.Response:  # type: ignore[type-arg]
    url = f"{server.url}/api/experimental/dags/{dag_id}/dag_runs"
    return httpx.post(url, json=body, timeout=60, trust_env=False)


def test_a_signed_run_goes_through_and_every_report_is_verified(
    server: Server, client: httpx.Client, workflow: str, portal: Receiver, keys: tuple[str, str]
) -> None:
    run_id = f"signed-{uuid.uuid4()}"
    conf = json.dumps({"job": {"text": "hello"}})
    token = jwt.encode({"run_id": run_id, "conf": conf}, keys[0], algorithm="RS256")

    answer = trigger(server, workflow, {"run_id": run_id, "conf": conf, "check_payload": token})
    assert answer.status_code == 200, answer.text
    assert answer.json()["run_id"] == run_id
    run = server.wait_for_run(client, workflow, run_id)
    assert run["state"] == "success", run

    results = wait_for(lambda: portal.of_run(run_id, "results"), 30, "the report of the results")
    assert portal.refused == []
    counted = results[-1]["results"]["counted"]
    assert Path(counted["location"].removeprefix("file://")).read_text().split() == ["1"]
    shouted = results[-1]["results"]["shouted"]
    assert Path(shouted["location"].removeprefix("file://")).read_text() == "HELLO\n"

    progress = [payload["progress"] for payload in portal.of_run(run_id, "progress")]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    last = portal.of_run(run_id, "progress")[-1]
    assert last["state"] == "success"
    steps = last["statistics"]["steps"]
    assert [steps[name]["output_bytes"] for name in ("write", "shout", "count")] == [6, 6, 2]
    assert all(steps[name]["duration"] > 0 for name in ("write", "shout"))
    assert all(0 <= steps[name]["peak_memory_bytes"] < 50_000_000 for name in ("write", "shout"))  # 0: it was too short
    states = {(payload["task_id"], payload["state"]) for payload in portal.of_run(run_id, "status")}
    for task in ("CWLJobDispatcher", "write", "shout", "count", "CWLJobGatherer"):
        assert {(task, "running"), (task, "success")} <= states
    sequence = [payload["sequence"] for payload in portal.of_run(run_id)]
    assert sequence == sorted(set(sequence))


def test_a_skipped_step_is_skipped_in_airflow_and_its_output_is_null(
    server: Server, client: httpx.Client, workflow: str, portal: Receiver, keys: tuple[str, str]
) -> None:
    run_id = f"skipping-{uuid.uuid4()}"
    conf = json.dumps({"job": {"text": "hello", "shout": False}})
    token = jwt.encode({"run_id": run_id, "conf": conf}, keys[0], algorithm="RS256")
    assert trigger(server, workflow, {"run_id": run_id, "conf": conf, "token": token}).status_code == 200
    run = server.wait_for_run(client, workflow, run_id)

    assert run["state"] == "success", run
    assert {step["task_id"]: step["state"] for step in run["steps"]}["shout"] == "skipped"
    outputs = client.get(f"/cwl/api/v1/workflows/{workflow}/runs/{run_id}/outputs").json()
    assert outputs["shouted"] is None
    wait_for(lambda: portal.of_run(run_id, "results"), 30, "the report of the results")
    assert ("shout", "skipped") in {(p["task_id"], p["state"]) for p in portal.of_run(run_id, "status")}


@pytest.mark.parametrize("fault", ["missing", "garbage", "other key", "other run", "other conf", "unsigned algorithm"])
def test_a_signature_that_does_not_hold_creates_nothing(
    server: Server, client: httpx.Client, workflow: str, portal: Receiver, keys: tuple[str, str], fault: str
) -> None:
    run_id = f"forged-{uuid.uuid4()}"
    conf = json.dumps({"job": {"text": "hello"}})
    claims = {"run_id": run_id, "conf": conf}
    body: dict[str, str] = {"run_id": run_id, "conf": conf}
    if fault == "garbage":
        body["check_payload"] = "a.b.c"
    elif fault == "other key":
        body["check_payload"] = jwt.encode(claims, "s" * 64, algorithm="HS256")
    elif fault == "other run":
        body["check_payload"] = jwt.encode({**claims, "run_id": "x"}, keys[0], algorithm="RS256")
    elif fault == "other conf":
        body["check_payload"] = jwt.encode({**claims, "conf": "{}"}, keys[0], algorithm="RS256")
    elif fault == "unsigned algorithm":
        body["check_payload"] = jwt.encode(claims, None, algorithm="none")

    answer = trigger(server, workflow, body)

    assert answer.status_code == 403
    assert "Failed to verify data" in answer.text
    assert client.get(f"/cwl/api/v1/workflows/{workflow}/runs/{run_id}").status_code == 404


def test_each_bad_request_says_what_is_wrong(
    server: Server, workflow: str, portal: Receiver, keys: tuple[str, str]
) -> None:
    def signed(run_id: str, conf: object, dag_id: str = workflow) -> httpx.Response:
        token = jwt.encode({"run_id": run_id, "conf": conf}, keys[0], algorithm="RS256")
        return trigger(server, dag_id, {"run_id": run_id, "conf": conf, "check_payload": token})

    run_id = f"once-{uuid.uuid4()}"
    assert signed(run_id, {"job": {"text": "x"}}).status_code == 200
    assert signed(run_id, {"job": {"text": "x"}}).status_code == 409
    assert signed(f"r-{uuid.uuid4()}", {"job": {"text": "x"}}, "no-such-dag").status_code == 404
    assert signed(f"r-{uuid.uuid4()}", "not json").status_code == 400
    assert signed(f"r-{uuid.uuid4()}", [1]).status_code == 400
    missing = signed(f"r-{uuid.uuid4()}", {"job": {"shout": "yes"}})
    assert missing.status_code == 422
    assert {problem["input"] for problem in missing.json()["problems"]} == {"text", "shout"}
