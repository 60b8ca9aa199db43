"""``cwl-ui-plugin report-simulate``: a run that is not there, told as one that is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import strict_receivers
from support.receiver import Receiver, answering, receiver
from support.reported import WORKFLOW

from cwl_ui_plugin.cli import report_simulate
from cwl_ui_plugin.cli.main import main
from cwl_ui_plugin.cwl.plan import Plan

Send = Callable[..., int]
ACCEPTED = {"1.0": strict_receivers.PARSER, "1.2": strict_receivers.CWL_AIRFLOW}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "reported.cwl"
    path.write_text(WORKFLOW)
    return path


@pytest.fixture(scope="module")
def plan(document: Path) -> Plan:
    return report_simulate._plan(str(document))


@pytest.fixture
def portal() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


@pytest.fixture
def send(document: Path, plan: Plan, portal: Receiver, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Simulate with options, without compiling each time."""
    monkeypatch.setattr(report_simulate, "_plan", lambda _file: plan)

    def simulate(*options: object) -> int:
        url = f"http://127.0.0.1:{portal.port}"
        return main(["report-simulate", str(document), "--url", url, "--run-id", "r", *map(str, options)])

    return simulate


def statuses(portal: Receiver, task_id: str) -> list[str]:
    return [report["state"] for report in portal.of_run("r", "status") if report["task_id"] == task_id]


def last_progress(portal: Receiver) -> dict[str, Any]:
    return portal.of_run("r", "progress")[-1]


def test_a_run_from_a_document_alone(document: Path, portal: Receiver) -> None:
    assert main(["report-simulate", str(document), "--url", f"http://127.0.0.1:{portal.port}/satellite"]) == 0
    assert {"/satellite/status", "/satellite/progress", "/satellite/results"} == set(portal.paths)
    assert [report["sequence"] for _route, report in portal.reports] == list(range(1, len(portal.reports) + 1))
    assert len({report["report_id"] for _route, report in portal.reports}) == len(portal.reports)
    assert {report["dag_id"] for _route, report in portal.reports} == {"reported"}


@pytest.mark.parametrize("form", ["1.0", "1.2"])
@pytest.mark.parametrize(
    "options",
    [[], ["--fail", "wait"], ["--fail", "write", "--elements", "3"], ["--retry", "wait"], ["--stop-at", "wait"]],
)
def test_strict_receivers_take_each_course(form: str, options: list[str], send: Send, portal: Receiver) -> None:
    portal.checks = strict_receivers.strict(ACCEPTED[form], "satellite/v1")
    assert send("--format", form, "--endpoint", "satellite/v1/", *options) == 0
    assert portal.refused == []
    assert last_progress(portal)["state"] == ("failed" if set(options) & {"--fail", "--stop-at"} else "success")


def test_a_failure_keeps_what_needs_it_from_running(send: Send, portal: Receiver) -> None:
    assert send("--fail", "write") == 0
    assert statuses(portal, "write") == ["running", "running", "failed", "failed"]
    assert statuses(portal, "wait") == statuses(portal, "CWLJobGatherer") == ["upstream_failed"]
    assert statuses(portal, "skip") == ["running", "success"]
    told = last_progress(portal)
    assert told["state"] == "failed"
    assert "write[1]: " in told["error"]
    assert told["logs"]["write[0]"]
    assert portal.of_run("r", "results") == []


def test_a_retry(send: Send, portal: Receiver) -> None:
    assert send("--retry", "wait") == 0
    assert statuses(portal, "wait") == ["running", "up_for_retry", "running", "success"]
    tries = [report["try_number"] for report in portal.of_run("r", "status") if report["task_id"] == "wait"]
    assert tries == [1, 1, 2, 2]
    assert last_progress(portal)["progress"] == 100


def test_a_stop(send: Send, portal: Receiver) -> None:
    assert send("--stop-at", "wait") == 0
    told = last_progress(portal)
    assert (told["state"], told["reason"], told["error"]) == ("failed", "stopped", "Stopped by simulated.")
    assert statuses(portal, "wait") == ["running", "failed"]
    assert statuses(portal, "CWLJobGatherer") == ["failed"]


def test_a_skipped_step_and_elements(send: Send, portal: Receiver) -> None:
    assert send("--skip", "skip", "--elements", "5") == 0
    assert statuses(portal, "skip") == ["running", "skipped"]
    assert statuses(portal, "write").count("success") == 5
    assert last_progress(portal)["statistics"]["steps"]["skip"]["exit_code"] is None
    assert last_progress(portal)["statistics"]["steps"]["write[4]"]["exit_code"] == 0


def test_results_of_ones_own_and_other_routes(send: Send, portal: Receiver, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"written": [], "left_out": null}')
    assert send("--results", tmp_path / "out.json", "--route-prefix", "old/api") == 0
    assert set(portal.paths) == {"/old/api/status", "/old/api/progress", "/old/api/results"}
    assert portal.of_run("r", "results")[0]["results"] == {"written": [], "left_out": None}


def test_what_is_refused_is_shown_and_ends_with_1(
    send: Send, portal: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    portal.mood = lambda payload: answering(400, b"no such field") if "results" in payload else None
    assert send() == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (printed[-1]["status"], printed[-1]["answer"]) == (400, "no such field")
    assert {line["status"] for line in printed[:-1]} == {200}
    assert set(printed[0]) == {"url", "payload", "status", "answer"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fail", "nowhere"], "there is no such step; the steps are"),
        (["--format", "3"], "it is cwl-ui-plugin, 1.0 or 1.2"),
        (["--elements", "0"], "from 1 to 1000"),
        (["--results", "/nowhere.json"], "/nowhere.json can't be read"),
        (["-k", "/nowhere.pem"], "/nowhere.pem can't be read"),
        (["--url", "http://127.0.0.1:1"], "is it running"),
    ],
)
def test_what_is_wrong_is_said(
    options: list[str], message: str, send: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(*options) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_report_server_verifies_what_is_simulated(document: Path, tmp_path: Path) -> None:
    key, command = tmp_path / "key.pem", [sys.executable, "-m", "cwl_ui_plugin.cli.main"]
    subprocess.run([*command, "keys", "generate", str(key)], check=True, capture_output=True)
    serve = [*command, "report-server", "--port", "0", "--public-key", f"{key}.pub"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            simulate = [*command, "report-simulate", str(document), "--url", url, "-k", str(key), "--format", "1.2"]
            done = subprocess.run(simulate, check=True, capture_output=True, text=True)
            sent = [json.loads(line)["payload"] for line in done.stdout.splitlines()]
            taken = [json.loads(server.stdout.readline()) for _report in sent]
        finally:
            server.kill()
    assert [entry["payload"] for entry in taken] == sent
    assert {entry["verified"] for entry in taken} == {"yes"}


def test_it_needs_no_airflow(document: Path, portal: Receiver) -> None:
    code = f"""import sys
from cwl_ui_plugin.cli.main import main
assert main(["report-simulate", {str(document)!r}, "--url", "http://127.0.0.1:{portal.port}"]) == 0
assert not {{"airflow", "sqlalchemy", "cwltool"}} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
