"""A step that somebody has to agree to waits, without a worker, and runs or does not as they say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e
DOCUMENT = """
cwlVersion: v1.2
class: Workflow
$namespaces: {cwl-ui: "https://w3id.org/cwl-ui-plugin#"}
inputs: {text: string}
outputs: {out: {type: File, outputSource: use/out}}
steps:
  make:
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs: {text: {type: string, inputBinding: {}}}
      outputs: {out: stdout}
      stdout: made.txt
    in: {text: text}
    out: [out]
  use:
    label: Use it
    hints:
      cwl-ui:Approval: {message: "Is {{ run_id }} [fine](http://example.com)?"%s}
    run: {class: CommandLineTool, baseCommand: cat, inputs: {f: {type: File, inputBinding: {}}}, outputs: {out: stdout}}
    in: {f: make/out}
    out: [out]
"""
WAITING = ("awaiting_input", "deferred")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as open_client:
        yield open_client


class Run:
    """A run of its own workflow that has come to its approval, unless that ends by itself."""

    def __init__(self, server: Server, client: httpx.Client, folder: Path, more: str = "") -> None:
        self.server, self.client = server, client
        self.dag_id = f"approval-{uuid.uuid4().hex[:8]}"
        path = folder / f"{self.dag_id}.cwl"
        path.write_text(DOCUMENT % more)
        server.command("upload", path)
        self.address = f"/cwl/api/v1/workflows/{self.dag_id}/runs"
        client.post(self.address, json={"run_id": "r", "job": {"text": "hello"}}).raise_for_status()

    def shown(self) -> dict[str, Any]:
        return dict(self.client.get(f"{self.address}/r").json())

    def step(self, task_id: str) -> dict[str, Any]:
        return next((step for step in self.shown()["steps"] if step["task_id"] == task_id), {"state": ""})

    def wait(self) -> dict[str, Any]:
        """Return the approval once it waits, and Airflow knows that its process has ended.

        An answer that comes sooner, which nobody's can, makes Airflow's scheduler take the end of the one process for
        that of the next, and try the task again: it then asks once more.
        """
        found = wait_for(lambda: step if (step := self.step("use.approval"))["state"] in WAITING else None, 120)
        log, ended = self.server.home / "logs" / "scheduler.log", f"dag_id={self.dag_id}, task_id=use.approval,"
        wait_for(lambda: f"TaskInstance Finished: {ended}" in log.read_text(errors="replace"), 60, "the scheduler")
        return found

    @property
    def hitl(self) -> str:
        return f"/api/v2/dags/{self.dag_id}/dagRuns/r/taskInstances/use.approval/-1/hitlDetails"

    def answer(self, option: str, client: httpx.Client | None = None, **params: str) -> httpx.Response:
        body = {"chosen_options": [option], "params_input": params}
        return (client or self.client).patch(self.hitl, json=body)

    def ended(self) -> dict[str, Any]:
        return self.server.wait_for_run(self.client, self.dag_id, "r")


def test_a_step_runs_once_it_is_approved_and_the_run_tells_by_whom(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    run = Run(server, client, tmp_path)
    waiting = run.wait()
    assert waiting["state"] == "awaiting_input"
    question = client.get(run.hitl).json()
    assert question["subject"] == "Run the step Use it?"
    assert "    Is {{ run_id }} [fine](http://example.com)?" in question["body"]
    assert "* `make/out`: `made.txt` (6 B)" in question["body"]
    assert run.step("use")["state"] == "no_status"
    listed = client.get("/cwl/api/v1/runs", params={"dag_id": run.dag_id, "shown_state": "waiting"}).json()["runs"]
    assert [item["run_id"] for item in listed] == ["r"]
    page = client.get(f"/pluginsv2/cwl/run?dag_id={run.dag_id}&run_id=r").text
    assert "waits for approval" in page
    run.answer("Approve", reason="looks good").raise_for_status()
    ended = run.ended()
    assert ended["state"] == "success", ended
    answer = run.step("use.approval")["approval"]
    assert (answer["answer"], answer["by"], answer["reason"]) == ("approved", server.user, "looks good")
    assert answer["at"]


def test_a_rejected_step_and_what_follows_do_not_run(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    run = Run(server, client, tmp_path)
    run.wait()
    run.answer("Reject", reason="too <b>few</b> reads").raise_for_status()
    ended = run.ended()
    assert ended["state"] == "failed"
    assert f"Rejected by {server.user}: too <b>few</b> reads" in ended["error"]
    states = {step["task_id"]: step["state"] for step in ended["steps"]}
    assert (states["use.approval"], states["use"], states["CWLJobGatherer"]) == (
        "failed",
        "upstream_failed",
        "upstream_failed",
    )
    assert run.step("use.approval")["approval"]["answer"] == "rejected"


def test_only_assignees_may_answer(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    run = Run(server, client, tmp_path, ", assignees: [somebody-else]")
    run.wait()
    assert run.answer("Approve").status_code == 403
    assert run.step("use.approval")["state"] == "awaiting_input"
    client.post(f"{run.address}/r/stop", json={}).raise_for_status()


@pytest.mark.parametrize("word", ["success", "skipped"])
def test_whoever_sets_the_state_of_the_question_has_approved_nothing(
    server: Server, client: httpx.Client, tmp_path: Path, word: str
) -> None:
    run = Run(server, client, tmp_path, ", assignees: [somebody-else]")
    run.wait()
    task = run.hitl.removesuffix("/-1/hitlDetails")
    client.patch(task, json={"new_state": word}).raise_for_status()
    ended = run.ended()
    assert ended["state"] == "failed", ended
    assert "Nobody has approved this step" in ended["error"]
    assert not run.step("use")["command"]


@pytest.mark.parametrize(("word", "state"), [("approve", "success"), ("reject", "failed")])
def test_without_an_answer_in_time_the_document_says_what_it_is(
    server: Server, client: httpx.Client, tmp_path: Path, word: str, state: str
) -> None:
    run = Run(server, client, tmp_path, f", timeout: 3, on_timeout: {word}")
    ended = run.ended()
    assert ended["state"] == state, ended
    if state == "failed":
        assert "nobody answered within 3 seconds" in ended["error"]
    assert run.step("use.approval")["approval"]["by"] is None


def test_a_run_that_waits_is_stopped_and_no_answer_starts_it_again(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    run = Run(server, client, tmp_path)
    run.wait()
    stopped = client.post(f"{run.address}/r/stop", json={})
    assert stopped.status_code == 200, stopped.text
    assert "use.approval" in stopped.json()["stopped"]
    run.answer("Approve")
    ended = run.ended()
    assert (ended["state"], ended["reason"]) == ("failed", "stopped")
    assert {step["state"] for step in ended["steps"] if step["task_id"].startswith("use")} == {"failed"}


def test_a_step_that_was_chosen_asks_from_then_on(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    run = Run(server, client, tmp_path)
    run.wait()
    approvals = f"/cwl/api/v1/workflows/{run.dag_id}/approvals"
    assert client.put(approvals, json={"steps": ["nowhere"]}).status_code == 400
    chosen = client.put(approvals, json={"steps": ["make"]})
    assert chosen.json() == {"chosen": ["make"], "documented": ["use"], "gone": [], "problem": None}, chosen.text
    run.answer("Approve").raise_for_status()
    assert run.ended()["state"] == "success"
    assert "make.approval" not in {step["task_id"] for step in run.shown()["steps"]}

    client.post(run.address, json={"run_id": "s", "job": {"text": "hello"}}).raise_for_status()

    def asked() -> bool:
        steps = client.get(f"{run.address}/s").json()["steps"]
        states = {step["task_id"]: step["state"] for step in steps}
        return states.get("make.approval") == "awaiting_input" and states["make"] == "no_status"

    wait_for(asked, 120)
    client.post(f"{run.address}/s/stop", json={}).raise_for_status()
    assert client.put(approvals, json={"steps": []}).json()["chosen"] == []
