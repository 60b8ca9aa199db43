"""What a workflow delivers starts other Dags of Airflow."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import LISTENED_DAG_ID, LISTENER_DAG_ID, Server, wait_for

from cwl_ui_plugin.cwl.files import local_path

pytestmark = pytest.mark.e2e

COUNT = """
cwlVersion: v1.2
class: Workflow
inputs: {text: string, code: {type: int, default: 0}, until: {type: string, default: /}}
outputs:
  counts: {type: File, outputSource: count/out}
  nothing: {type: "File?", outputSource: count/nothing}
  old: {type: File, outputSource: count/out}
steps:
  count:
    in: {text: text, code: code, until: until}
    out: [out, nothing]
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      inputs: {text: string, code: int, until: string}
      arguments:
      - shellQuote: false
        valueFrom: |
          while [ ! -e '$(inputs.until)' ]; do sleep 0.2; done; printf %s '$(inputs.text)' | wc -c; exit $(inputs.code)
      outputs:
        out: {type: stdout}
        nothing: {type: "File?", outputBinding: {glob: nothing-at-all}}
      stdout: counts.txt
"""


@pytest.fixture(scope="module")
def counting(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The dag_id of a workflow that counts, with one output that is null."""
    path = tmp_path_factory.mktemp("wf") / "counting.cwl"
    path.write_text(COUNT)
    server.command("upload", path, "--dag-id", LISTENED_DAG_ID)
    return LISTENED_DAG_ID


def text_of(file: dict[str, Any]) -> str:
    path = local_path(file)
    assert path is not None
    return path.read_text()


def start(client: httpx.Client, dag_id: str, **job: Any) -> str:
    run_id = f"run-{uuid.uuid4()}"
    answer = client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json={"run_id": run_id, "job": job})
    assert answer.is_success, answer.text
    return run_id


def events_of(client: httpx.Client, dag_id: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v2/assets/events", params={"source_dag_id": dag_id, "limit": 100})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["asset_events"]
    return found


def runs_of(client: httpx.Client, dag_id: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/v2/dags/{dag_id}/dagRuns", params={"order_by": "id"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["dag_runs"]
    return found


def test_a_plain_dag_starts_and_reads_what_was_delivered(server: Server, client: httpx.Client, counting: str) -> None:
    listener = LISTENER_DAG_ID
    wait_for(lambda: client.get(f"/api/v2/dags/{listener}").status_code == 200, 60, "the Dag that listens")
    failed = start(client, counting, text="x", code=3)
    assert server.wait_for_run(client, counting, failed)["state"] == "failed"
    good = start(client, counting, text="four")
    assert server.wait_for_run(client, counting, good)["state"] == "success"

    ended = wait_for(lambda: [run for run in runs_of(client, listener) if run["state"] == "success"], 120, "its run")
    assert [run["run_type"] for run in ended] == ["asset_triggered"]
    path = f"/api/v2/dags/{listener}/dagRuns/{ended[0]['dag_run_id']}/taskInstances/told/xcomEntries/return_value"
    (told,) = client.get(path, params={"deserialize": "true"}).raise_for_status().json()["value"]
    uri, dag_id, run_id, task_id, extra = told
    assert (uri, dag_id, run_id, task_id) == (f"cwl://{counting}/counts", counting, good, "CWLJobGatherer")
    outputs = client.get(f"/cwl/api/v1/workflows/{counting}/runs/{good}/outputs").json()
    delivered = outputs["counts"]
    assert {name: extra[name] for name in ("location", "checksum", "size")} == {
        name: delivered[name] for name in ("location", "checksum", "size")
    }
    assert text_of(extra).strip() == "4"
    assert (extra["dag_id"], extra["run_id"], extra["output"]) == (counting, good, "counts")

    emitted = events_of(client, counting)
    assert {event["source_run_id"] for event in emitted} == {good}
    assert sorted(event["uri"] for event in emitted) == [f"cwl://{counting}/counts", f"cwl://{counting}/old"]
    assets = client.get("/api/v2/assets", params={"uri_pattern": f"cwl://{counting}/%", "limit": 100}).json()["assets"]
    producers = {asset["uri"]: [task["task_id"] for task in asset["producing_tasks"]] for asset in assets}
    assert producers[f"cwl://{counting}/counts"] == ["CWLJobGatherer"]


def test_a_run_of_an_earlier_version_delivers_an_output_that_the_newest_has_no_more(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    dag_id = f"changing-{uuid.uuid4().hex[:8]}"
    (tmp_path / "wf.cwl").write_text(COUNT)
    server.command("upload", tmp_path / "wf.cwl", "--dag-id", dag_id)
    run_id = start(client, dag_id, text="x", until=str(tmp_path / "go"))
    gone = f"cwl://{dag_id}/old"
    (tmp_path / "wf.cwl").write_text(COUNT.replace("  old: {type: File, outputSource: count/out}\n", ""))
    server.command("upload", tmp_path / "wf.cwl", "--dag-id", dag_id, "--replace")

    def is_inactive() -> bool:
        params = {"uri_pattern": gone, "only_active": "true"}
        return client.get("/api/v2/assets", params=params).json()["total_entries"] == 0

    wait_for(is_inactive, 120, "that Airflow takes the asset for inactive")
    (tmp_path / "go").touch()
    run = server.wait_for_run(client, dag_id, run_id)
    assert run["state"] == "success", run
    assert {event["uri"] for event in events_of(client, dag_id)} == {f"cwl://{dag_id}/counts"}


TAKE = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs:
  counted: {type: File, inputBinding: {}}
  label: {type: string, default: none}
outputs: {out: {type: stdout}}
stdout: taken.txt
"""


def test_a_workflow_starts_when_another_has_delivered_and_is_given_its_output(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    first, second = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("makes", "takes"))
    (tmp_path / "makes.cwl").write_text(COUNT)
    (tmp_path / "takes.cwl").write_text(TAKE)
    server.command("upload", tmp_path / "makes.cwl", "--dag-id", first)
    server.command("upload", tmp_path / "takes.cwl", "--dag-id", second)
    path = f"/cwl/api/v1/workflows/{second}/schedule"

    wrong = {"kind": "assets", "settings": {"inputs": {"label": f"cwl://{first}/counts"}}}
    refused = client.put(path, json=wrong)
    assert refused.status_code == 422, refused.text
    assert f"The output 'counts' of '{first}' is File; the input is string" in refused.text

    right = {"kind": "assets", "settings": {"inputs": {"counted": f"cwl://{first}/counts"}}}
    answer = client.put(path, json=right)
    assert answer.status_code == 200, answer.text
    made = start(client, first, text="12345")
    assert server.wait_for_run(client, first, made)["state"] == "success"
    run = wait_for(lambda: runs_of(client, second), 90, "the run of the second workflow")[0]
    assert run["run_type"] == "asset_triggered"
    ended = server.wait_for_run(client, second, run["dag_run_id"])
    assert ended["state"] == "success", ended
    outputs = client.get(f"/cwl/api/v1/workflows/{second}/runs/{run['dag_run_id']}/outputs").json()
    assert text_of(outputs["out"]).strip() == "5"

    (tmp_path / "makes.cwl").write_text(COUNT.replace("  counts: {type: File, outputSource: count/out}\n", ""))
    server.command("upload", tmp_path / "makes.cwl", "--dag-id", first, "--replace")
    shown = client.get(path).json()
    assert f"The workflow '{first}' has no output 'counts'" in shown["problem"]
