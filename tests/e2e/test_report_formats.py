"""Real runs, reported to receivers of the predecessors that refuse what their generation did not know."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import strict_receivers
from support.airflow_server import Server, wait_for
from support.receiver import Receiver, receiver
from support.reported import WORKFLOW

pytestmark = pytest.mark.e2e
DAG_ID = "reported"
DEADLINE = 120
ACCEPTED = {"1.0": strict_receivers.PARSER, "1.2": strict_receivers.CWL_AIRFLOW}
OURS = "cwl-ui-plugin"
FORMATS = (OURS, *ACCEPTED)
Ask = Callable[..., str]


@pytest.fixture(scope="module")
def workflow(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("reported") / f"{DAG_ID}.cwl"
    path.write_text(WORKFLOW)
    server.command("upload", path)
    return DAG_ID


@contextmanager
def reported_to(server: Server, form: str, folder: Path) -> Iterator[Receiver]:
    """A receiver that takes one format only, with signatures, to which the server reports."""
    key = folder / "key.pem"
    server.command("keys", "generate", key)
    with receiver() as listening, server.client() as client:
        listening.public_key = Path(f"{key}.pub").read_text()
        if form in ACCEPTED:
            listening.checks = strict_receivers.strict(ACCEPTED[form], "satellite")
        connection = {
            "connection_id": "process_report",
            "conn_type": "http",
            "host": "127.0.0.1",
            "port": listening.port,
            "extra": json.dumps({"endpoint": "satellite", "format": form}),
        }
        client.post("/api/v2/connections", json=connection).raise_for_status()
        variable = {"key": "process_report_private_key", "value": key.read_text()}
        client.post("/api/v2/variables", json=variable).raise_for_status()
        yield listening
        server.remove(client, "/api/v2/variables/process_report_private_key", "/api/v2/connections/process_report")


@pytest.fixture
def portal(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Receiver]:
    """A receiver of the format that the test is given."""
    with reported_to(server, request.param, tmp_path) as listening:
        yield listening


@pytest.fixture
def start(client: httpx.Client, workflow: str) -> Ask:
    def start(**job: Any) -> str:
        run_id = f"reported-{uuid.uuid4()}"
        body = {"run_id": run_id, "job": job}
        client.post(f"/cwl/api/v1/workflows/{workflow}/runs", json=body).raise_for_status()
        return run_id

    return start


def end_of(portal: Receiver, run_id: str) -> dict[str, Any]:
    """Wait for the report of the end of a run."""

    def ended() -> dict[str, Any] | None:
        assert portal.refused == []
        return next((p for p in portal.of_run(run_id, "progress") if p["state"] != "running"), None)

    return wait_for(ended, DEADLINE, f"the report of the end of {run_id}")  # type: ignore[no-any-return]


@pytest.mark.parametrize("portal", FORMATS, indirect=True)
def test_success_and_failure_and_the_same_simulated(
    portal: Receiver, server: Server, start: Ask, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    good, bad = start(), start(code=3)
    succeeded, failed = end_of(portal, good), end_of(portal, bad)
    assert (succeeded["state"], succeeded["progress"], succeeded["error"]) == ("success", 100, "")
    results = wait_for(lambda: portal.of_run(good, "results"), DEADLINE, "the results")[0]["results"]
    assert failed["state"] == "failed"
    assert "wait" in failed["error"]
    assert portal.of_run(bad, "results") == []
    form = request.node.callspec.params["portal"]
    if form != OURS:
        assert_old(portal, good, results)
    if form == "1.2":
        assert_logs(failed)

    document, outputs = tmp_path / f"{DAG_ID}.cwl", tmp_path / "out.json"
    document.write_text(WORKFLOW)
    outputs.write_text(json.dumps(results))
    receiver_of = ("--url", f"http://127.0.0.1:{portal.port}", "--endpoint", "satellite", "--format", form)
    simulate = ("report-simulate", document, *receiver_of, "-k", tmp_path / "key.pem", "--skip", "skip")
    server.command(*simulate, "--run-id", "simulated-good", "--results", outputs)
    server.command(*simulate, "--run-id", "simulated-bad", "--fail", "wait")
    assert portal.refused == []
    assert all_told(portal, "simulated-good") == all_told(portal, good)
    assert all_told(portal, "simulated-bad") == all_told(portal, bad)


def assert_old(portal: Receiver, run_id: str, results: dict[str, Any]) -> None:
    """What both predecessors told of a run that succeeded."""
    assert [(file["nameroot"], file["nameext"]) for file in results["written"]] == [("one", ".txt"), ("two", ".txt")]
    running = [p["progress"] for p in portal.of_run(run_id, "progress")][:-1]
    assert running == sorted(running)
    assert running[-1] == 100
    told = [s["state"] for s in portal.of_run(run_id, "status") if s["task_id"] == "write"]
    assert told == ["running", "success"]


def assert_logs(failed: dict[str, Any]) -> None:
    """What CWL-Airflow 1.2 told of a run that failed."""
    assert set(failed["logs"]["failed_steps"]) == {"wait"}
    assert set(failed["logs"]["previous_steps"]) == {"write.gather"}
    for files in (*failed["logs"]["failed_steps"].values(), *failed["logs"]["previous_steps"].values()):
        assert Path(files["airflow"]).is_file()
    assert {"CWLJobDispatcher", "write"} <= set(failed["statistics"]["steps"])


@pytest.mark.parametrize("portal", FORMATS, indirect=True)
def test_a_stop_by_clean_dag_run_and_the_reports_about_itself(
    portal: Receiver, start: Ask, client: httpx.Client
) -> None:
    run_id, stop_id = start(seconds=600), f"stop-{uuid.uuid4()}"

    def waits() -> bool:
        told = portal.of_run(run_id, "status")
        return any((s["task_id"], s["state"]) == ("wait", "running") for s in told)

    wait_for(waits, DEADLINE, "the step that waits")
    conf = {"remove_dag_id": DAG_ID, "remove_run_id": run_id}
    body = {"dag_run_id": stop_id, "conf": conf, "logical_date": None}
    client.post("/api/v2/dags/clean_dag_run/dagRuns", json=body).raise_for_status()
    assert end_of(portal, run_id)["state"] == "failed"
    stopped = end_of(portal, stop_id)
    assert (stopped["dag_id"], stopped["state"], stopped["progress"]) == ("clean_dag_run", "success", 100)
    assert [s["task_id"] for s in portal.of_run(stop_id, "status")] == ["clean_dag_run"] * 2
    assert wait_for(lambda: portal.of_run(stop_id, "results"), DEADLINE, "its results")[0]["results"] in ({}, "")


IDENTITY = (
    "dag_id",
    "task_id",
    "map_index",
    "try_number",
    "state",
    "reason",
    "version",
    "class",
    "basename",
    "checksum",
)
"""What agrees between a real run and a simulated one to the letter; of the rest, kind and fields do."""


def told(value: Any, name: str = "") -> Any:
    """Return what a report says but for times, ids, figures and wording."""
    if isinstance(value, dict):
        return {key: told(item, key) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [told(item) for item in value]
    if name in IDENTITY or value in ("", None):
        return value
    return "number" if isinstance(value, (int, float)) else "text"


def all_told(portal: Receiver, run_id: str) -> Counter[str]:
    return Counter(json.dumps([route, told(p)]) for route, p in portal.reports if p["run_id"] == run_id)
