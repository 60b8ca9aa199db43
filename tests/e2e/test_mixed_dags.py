"""The examples of Dags that have CWL in them: the outputs are those of cwltool, whichever way a document runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import DAG_FILE_ID, ROOT, Server, wait_for

pytestmark = pytest.mark.e2e
EXAMPLES = ROOT / "examples"
OTHERS = """
from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, task
from cwl_ui_plugin import CWLTaskGroup
from cwl_ui_plugin.operators import CwlRunOperator

TEXT = {"class": "File", "basename": "t.txt", "contents": "a\\n"}

with DAG("cwl_wrong_values", schedule=None, is_paused_upon_creation=False):
    @task
    def words():
        return "many"

    @task
    def somewhere():
        return [{"class": "File", "path": "/etc/hostname"}]

    CWLTaskGroup("wrong_type", workflow="count-lines.cwl", job={"texts": [TEXT], "at_least": words()})
    CWLTaskGroup("not_allowed", workflow="count-lines.cwl", job={"texts": somewhere()})
    CWLTaskGroup("allowed", workflow="count-lines.cwl", job={"texts": ["/etc/passwd"]}, input_roots=["/etc"])
    CwlRunOperator(task_id="run", workflow_dag_id="word-count", job={"text": 3}, retries=0)

with DAG("cwl_skipped", schedule=None, is_paused_upon_creation=False):
    never = ShortCircuitOperator(
        task_id="never", python_callable=lambda: False, ignore_downstream_trigger_rules=False
    )
    group = CWLTaskGroup("group", workflow="count-lines.cwl", job={"texts": [TEXT]})
    never >> group

    @task
    def after(report):
        return report

    after(group.output["report"])

with DAG("cwl_follows", schedule=None, is_paused_upon_creation=False):
    CwlRunOperator(
        task_id="run", workflow_dag_id="slow-for-dags", poke_interval=1, stop_on_kill=True, retries=0
    )

with DAG("cwl_stays", schedule=None, is_paused_upon_creation=False):
    CwlRunOperator(task_id="run", workflow_dag_id="slow-for-dags", poke_interval=1, retries=0)

with DAG("cwl_group_stops", schedule=None, is_paused_upon_creation=False):
    CWLTaskGroup("slow", workflow_dag_id="slow-for-dags")
"""
SLOW = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sleep, "600"]
inputs: {}
outputs: []
"""
Run = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def _dag_files(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The server's Dag folder has the examples; it goes on without them afterwards."""
    dags = server.home / "dags"
    slow = tmp_path_factory.mktemp("slow") / "slow-for-dags.cwl"
    slow.write_text(SLOW)
    server.command("upload", EXAMPLES / "word-count.cwl", slow)
    names = [path.name for path in sorted((EXAMPLES / "dags").iterdir()) if path.suffix == ".cwl"]
    files = [path.name for path in sorted((EXAMPLES / "dags").glob("*.py"))]
    for name in (*names, *files):
        shutil.copy(EXAMPLES / "dags" / name, dags)
    (dags / "cwl_others.py").write_text(OTHERS)
    look_for_dag_files(server)
    yield
    for name in (*names, *files, "cwl_others.py"):
        (dags / name).unlink()


@pytest.fixture
def run(server: Server, client: httpx.Client) -> Run:
    """Start a run of a Dag and wait for its end; return ``{"state", "run_id", "tasks"}``."""

    def run(dag_id: str) -> dict[str, Any]:
        run_id = start(client, dag_id)
        state = wait_for(lambda: ended(client, dag_id, run_id), 240, f"the end of {dag_id}")
        return {"state": state, "run_id": run_id, "tasks": states(client, dag_id, run_id)}

    return run


def look_for_dag_files(server: Server) -> None:
    """Have the Dag processor look for new files now: to parse a file that it knows it first refreshes the folder."""
    with server.client() as client:
        known = wait_for(lambda: found(client.get(f"/api/v2/dags/{DAG_FILE_ID}")), 60, "the Dag of the Dag file")
        answer = client.put(f"/api/v2/parseDagFile/{known['file_token']}")
        assert answer.status_code in (201, 409), answer.text


def found(answer: httpx.Response) -> dict[str, Any] | None:
    return dict(answer.json()) if answer.status_code == 200 else None


def start(client: httpx.Client, dag_id: str) -> str:
    wait_for(lambda: client.get(f"/api/v2/dags/{dag_id}").status_code == 200, 120, f"the Dag {dag_id}")
    run_id = f"mixed-{uuid.uuid4().hex[:8]}"
    answer = client.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"dag_run_id": run_id, "logical_date": None})
    assert answer.status_code == 200, answer.text
    return run_id


def ended(client: httpx.Client, dag_id: str, run_id: str) -> str | None:
    state = str(client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json()["state"])
    return state if state in ("success", "failed") else None


def states(client: httpx.Client, dag_id: str, run_id: str) -> dict[str, str]:
    found = client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 100}).json()
    return {item["task_id"]: item["state"] for item in found["task_instances"]}


def xcom(client: httpx.Client, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
    address = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
    answer = client.get(address, params={"deserialize": False, "stringify": False})
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


def by_cwltool(document: Path, job: dict[str, Any], folder: Path) -> dict[str, Any]:
    (folder / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "cwltool", "--quiet", "--outdir", folder, document, folder / "job.json"]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def told(file: dict[str, Any]) -> tuple[str, str, int]:
    return file["basename"], file["checksum"], file["size"]


def test_a_group_between_python_tasks_gives_what_cwltool_gives(run: Run, client: httpx.Client, tmp_path: Path) -> None:
    dag_id = "workflow_in_a_dag"
    result = run(dag_id)
    assert result["state"] == "success", result
    texts = [
        {"class": "File", "basename": "one.txt", "contents": "a\nb\n"},
        {"class": "File", "basename": "two.txt", "contents": "c\n"},
    ]
    expected = by_cwltool(EXAMPLES / "dags/count-lines.cwl", {"texts": texts}, tmp_path)
    outputs = xcom(client, dag_id, result["run_id"], "count.CWLJobGatherer")
    assert outputs["counts"] == expected["counts"] == [2, 1]
    assert told(outputs["report"]) == told(expected["report"])
    assert xcom(client, dag_id, result["run_id"], "count.CWLJobGatherer", "counts") == [2, 1]
    assert xcom(client, dag_id, result["run_id"], "read") == "0 lines\n"
    other = xcom(client, dag_id, result["run_id"], "again.count.CWLJobGatherer")["report"]
    assert Path(other["path"]).parent != Path(outputs["report"]["path"]).parent
    assert Path(outputs["report"]["path"]).read_text() == "3 lines\n"


def test_its_intermediate_files_go_and_its_outputs_stay(run: Run, server: Server, client: httpx.Client) -> None:
    dag_id = "workflow_in_a_dag"
    run_id = run(dag_id)["run_id"]
    folder = server.home / "cwl/tmp" / dag_id / run_id
    wait_for(lambda: not folder.exists(), 60, f"the removal of {folder}")
    assert Path(xcom(client, dag_id, run_id, "count.CWLJobGatherer")["report"]["path"]).exists()


def test_it_is_no_cwl_dag(run: Run, client: httpx.Client) -> None:
    run_id = run("workflow_in_a_dag")["run_id"]
    listed = client.get("/cwl/api/v1/workflows").json()["workflows"]
    assert "workflow_in_a_dag" not in [item["dag_id"] for item in listed]
    for address in (f"/pluginsv2/cwl/runs/workflow_in_a_dag/{run_id}", "/pluginsv2/cwl/runs"):
        assert client.get(address).status_code < 500
    assert client.get(f"/cwl/api/v1/workflows/workflow_in_a_dag/runs/{run_id}").status_code in (200, 404)


def test_tools_as_single_tasks(run: Run, client: httpx.Client) -> None:
    result = run("tool_in_a_dag")
    assert result["state"] == "success", result
    assert xcom(client, "tool_in_a_dag", result["run_id"], "read") == [[2, 2], ["A", "B"]]


def test_runs_of_an_uploaded_workflow(run: Run, client: httpx.Client) -> None:
    result = run("run_from_a_dag")
    assert result["state"] == "success", result
    assert xcom(client, "run_from_a_dag", result["run_id"], "read") == [3, 3]
    name = xcom(client, "run_from_a_dag", result["run_id"], "count", "cwl_run_id")
    found = client.get(f"/cwl/api/v1/workflows/word-count/runs/{name}").json()
    assert found["state"] == "success"
    links = client.get(f"/api/v2/dags/run_from_a_dag/dagRuns/{result['run_id']}/taskInstances/count/links").json()[
        "extra_links"
    ]
    assert links["CWL run"].endswith(f"/dags/word-count/runs/{name}")


def test_values_that_do_not_fit_are_refused_by_the_name_of_their_input(run: Run, client: httpx.Client) -> None:
    dag_id = "cwl_wrong_values"
    result = run(dag_id)
    assert result["state"] == "failed"
    wanted = {
        "wrong_type.CWLJobDispatcher": ("at_least", "int"),
        "not_allowed.CWLJobDispatcher": ("texts[0]", "/etc/hostname", "input_roots"),
        "run": ("text", "File"),
    }
    for task_id, words in wanted.items():
        message = xcom(client, dag_id, result["run_id"], task_id, "cwl_error")["message"]
        assert all(word in message for word in words), message
    assert result["tasks"]["allowed.CWLJobGatherer"] == "success"


def test_a_group_behind_a_task_that_says_no_is_skipped(run: Run) -> None:
    result = run("cwl_skipped")
    assert result["state"] == "success", result
    # What counts the elements of a scatter has to say that there are none, or Airflow could not map over them.
    others = {"never", "group.count.scatter"}
    assert {state for task_id, state in result["tasks"].items() if task_id not in others} == {"skipped"}


def test_a_task_that_is_killed_takes_its_run_along(server: Server, client: httpx.Client) -> None:
    run_id = start(client, "cwl_follows")
    instance = f"/api/v2/dags/cwl_follows/dagRuns/{run_id}/taskInstances/run"
    name = f"cwl_follows~{run_id}~run"
    there = f"/api/v2/dags/slow-for-dags/dagRuns/{name}/taskInstances/slow-for-dags"
    wait_for(lambda: client.get(there).json().get("state") == "running", 120, "the command of the run")
    answer = client.patch(instance, json={"new_state": "failed"})
    assert answer.status_code == 200, answer.text
    wait_for(lambda: ended(client, "slow-for-dags", name) == "failed", 120, "the stop of the run")
    stopped = server.wait_for_run(client, "slow-for-dags", name)
    assert stopped["state"] == "failed", stopped


def test_a_cleared_task_waits_for_the_run_that_is_alive(server: Server, client: httpx.Client) -> None:
    run_id = start(client, "cwl_stays")
    name = f"cwl_stays~{run_id}~run"
    there = f"/api/v2/dags/slow-for-dags/dagRuns/{name}/taskInstances/slow-for-dags"
    wait_for(lambda: client.get(there).json().get("state") == "running", 120, "the command of the run")
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["run"], "only_failed": False}
    answer = client.post("/api/v2/dags/cwl_stays/clearTaskInstances", json=body)
    assert answer.status_code == 200, answer.text
    instance = f"/api/v2/dags/cwl_stays/dagRuns/{run_id}/taskInstances/run"

    def is_tried_again() -> bool:
        now = client.get(instance).json()
        return now["try_number"] == 2 and now["state"] == "running"

    wait_for(is_tried_again, 120, "the second try")
    # Not its XCom: Airflow calls a try running before it removes what the try before has pushed, and a run that is
    # stopped in between is none that the second try goes on with.
    wait_for(lambda: "was started before" in client.get(f"{instance}/logs/2").text, 180, "the run of the second try")
    assert xcom(client, "cwl_stays", run_id, "run", "cwl_run_id") == name
    assert client.get(there).json()["state"] == "running"
    runs = client.get("/api/v2/dags/slow-for-dags/dagRuns", params={"limit": 100}).json()["dag_runs"]
    assert [run["dag_run_id"] for run in runs if run["dag_run_id"].startswith(f"cwl_stays~{run_id}")] == [name]
    server.command("stop", "slow-for-dags", name)
    wait_for(lambda: ended(client, "cwl_stays", run_id) == "failed", 180, "the end of the task")
    assert "Stopped by" in xcom(client, "cwl_stays", run_id, "run", "cwl_error")["message"]


def test_a_run_with_a_group_is_stopped_like_any_other(server: Server, client: httpx.Client) -> None:
    dag_id = "cwl_group_stops"
    run_id = start(client, dag_id)
    wait_for(
        lambda: states(client, dag_id, run_id).get("slow.slow-for-dags") == "running", 120, "the command of the group"
    )
    conf = {"remove_dag_id": dag_id, "remove_run_id": run_id}
    stop_id = f"stop-{run_id}"
    body = {"dag_run_id": stop_id, "logical_date": None, "conf": conf}

    def created() -> bool:  # on SQLite, Airflow answers 500 where somebody else writes for long
        return client.post("/api/v2/dags/clean_dag_run/dagRuns", json=body).status_code in (200, 409)

    wait_for(created, 60, "the run that stops the other")
    assert wait_for(lambda: ended(client, "clean_dag_run", stop_id), 120, "the stop") == "success"
    assert ended(client, dag_id, run_id) == "failed"
    assert not (server.home / "cwl/tmp" / dag_id / run_id).exists()
