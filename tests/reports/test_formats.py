"""Reports as the receivers of each generation expect them: field by field, and nothing lost when the format changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support import strict_receivers
from support.receiver import Receiver, receiver
from support.run_facts import at, run, task

from cwl_ui_plugin.reports import formats, predecessors, task_logs
from cwl_ui_plugin.reports.due import Known, Report, RunFacts, deletion, due_reports
from cwl_ui_plugin.reports.errors import BadTarget
from cwl_ui_plugin.reports.stopped import Stopped
from cwl_ui_plugin.services.settings import report_delivery
from cwl_ui_plugin.signing.keys import KeyPair

ALGORITHM = "RS256"
ACCEPTED = {"1.0": strict_receivers.PARSER, "1.2": strict_receivers.CWL_AIRFLOW}
FILE = {"class": "File", "basename": "out.tar.gz", "location": "file:///out.tar.gz", "size": 1025}


@contextmanager
def portal_of(form: str, pair: KeyPair | None = None) -> Iterator[Receiver]:
    """A receiver that refuses what its generation did not know."""
    with receiver() as portal:
        portal.public_key = pair.public if pair else None
        portal.checks = strict_receivers.strict(ACCEPTED[form], "satellite/v1")
        yield portal


def built(facts: RunFacts, form: str, known: Known | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Return what is sent of a run, each checked."""
    found = [
        formats.build(report, form, report_id="i", sequence=1) for report in due_reports(facts, known or Known())[0]
    ]
    reports = [report for report in found if report is not None]
    for route, payload in reports:
        strict_receivers.check(ACCEPTED[form], route, payload)
    return reports


def last_progress(reports: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return [payload for route, payload in reports if route.endswith("progress")][-1]


@pytest.mark.parametrize("form", ["1.0", "1.2"])
def test_a_strict_receiver_takes_all_of_a_run(
    form: str, connection: Any, do_round: Any, ended_run: str, pair: KeyPair
) -> None:
    with portal_of(form, pair) as portal:
        connection(portal.port, pair.private, extra={"format": form})
        do_round()
        assert portal.refused == []
        progress = portal.of_run(ended_run, "progress")
        assert [(p["state"], p["progress"]) for p in progress] == [
            ("running", 25),
            ("running", 50),
            ("running", 75),
            ("running", 100),
            ("success", 100),
        ]
        assert portal.of_run(ended_run, "results")[0]["results"] == {"lines": 4}
        assert len(portal.of_run(ended_run, "status")) == 8
        assert report_delivery.delivery_state().waiting == 0


def test_reports_of_the_parsers_format_have_its_fields_only() -> None:
    facts = run(task("a", 0, 1), total=1, state="success", results={"out": FILE})
    assert built(facts, "1.0") == [
        ("status", {"state": "running", "dag_id": "d", "run_id": "r", "task_id": "a"}),
        ("status", {"state": "success", "dag_id": "d", "run_id": "r", "task_id": "a"}),
        ("progress", {"state": "running", "dag_id": "d", "run_id": "r", "progress": 100, "error": ""}),
        ("progress", {"state": "success", "dag_id": "d", "run_id": "r", "progress": 100, "error": ""}),
        (
            "results",
            {"dag_id": "d", "run_id": "r", "results": {"out": {"nameroot": "out.tar", "nameext": ".gz", **FILE}}},
        ),
    ]


@pytest.mark.parametrize(
    ("kind", "basename", "parts"),
    [("File", "a.", ("a", ".")), ("File", ".bashrc", (".bashrc", "")), ("Directory", "a.d", None)],
)
def test_names_are_split_as_cwltool_does(kind: str, basename: str, parts: tuple[str, str] | None) -> None:
    named = predecessors.with_name_parts([{"class": kind, "basename": basename}])[0]
    assert (named.get("nameroot"), named.get("nameext")) == (parts or (None, None))


def test_the_end_of_a_run_as_cwl_airflow_1_2_told_it() -> None:
    used: Any = {"output_bytes": 2049}
    facts = run(task("a", 0.5, 1.25, statistics=used), total=1, state="success", results={"out": [FILE]})
    assert last_progress(built(facts, "1.2")) == {
        "state": "success",
        "dag_id": "d",
        "run_id": "r",
        "progress": 100,
        "statistics": {
            "version": "1.0",
            "total": {
                "tmp_folder_size": 3,
                "outputs_folder_size": 2,
                "start_date": at(0).isoformat(),
                "end_date": 100.0,
            },
            "steps": {"a": {"tmp_folder_size": 3, "start_date": 0.5, "end_date": 1.25}},
        },
        "error": "",
        "logs": "",
    }


def test_a_failure_as_cwl_airflow_1_2_told_it() -> None:
    error: Any = {"message": "exit code 3", "stderr": "no such gene"}
    failed = task("b", 2, 3, "failed", error=error, log="/logs/b.log")
    never = task("c", 3, 3, "upstream_failed")
    facts = run(
        *(task("a", 0, 1, log="/logs/a.log"), task("z", 0, 1), failed, never),
        state="failed",
        upstream={"b": ["a"]},
    )
    told = last_progress(built(facts, "1.2"))
    assert told["error"] == "Workflow step(s) b failed. Contact support team"
    assert told["logs"] == {
        "failed_steps": {"b": {"airflow": "/logs/b.log", "cwl": "/logs/b.log"}},
        "previous_steps": {"a": {"airflow": "/logs/a.log", "cwl": "/logs/a.log"}},
    }
    assert "no such gene" in last_progress(built(facts, "1.0"))["error"]


def test_a_dag_that_can_not_be_read_keeps_no_report_from_being_made(
    connection: Any, do_round: Any, airflow: Any, workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagbag import DBDagBag

    def broken(*_arguments: object, **_options: object) -> None:
        raise TypeError("of another version")

    monkeypatch.setattr(DBDagBag, "get_dag_for_run", broken)
    with receiver() as portal:
        connection(portal.port, extra={"format": "1.2"})
        airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="failed", start_date=at(0), end_date=at(1))
        airflow.set_run(workflow, run_id, "failed")
        do_round()
        assert portal.of_run(run_id, "progress")[-1]["state"] == "failed"


@pytest.mark.parametrize("template", [None, "{{ dag_run.logical_date.isoformat() }}", "{{", "{{ ti.nothing() }}"])
def test_a_log_that_can_not_be_named_keeps_no_report_from_being_made(
    template: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With Airflow's own template the name of a folder gets too long: run_ids may have 250 characters."""
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    (tmp_path / "dag_id=d").mkdir()
    if template is not None:
        monkeypatch.setenv("AIRFLOW__LOGGING__LOG_FILENAME_TEMPLATE", template)
    monkeypatch.setattr(task_logs, "_upstream", lambda *_: {"b": ("a",)})
    facts = replace(run(task("a", 0, 1), task("b", 2, 3, "failed"), state="failed"), run_id="r" * 250)
    session: Any = None
    assert [found.log for found in task_logs.with_logs(facts, session).tasks] == ["", ""]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"stop": Stopped("ada", at(50))}, predecessors.STOPPED),
        ({}, predecessors.UNKNOWN),
    ],
)
def test_failures_without_a_failed_command_in_1_2(more: dict[str, Any], error: str) -> None:
    assert last_progress(built(run(task("a", 0, 1), state="failed", **more), "1.2"))["error"] == error


def test_a_missing_docker_is_told_as_in_1_2() -> None:
    error: Any = {"message": "Docker is not available for this tool, try --no-container"}
    facts = run(task("a", 0, 1, "failed", error=error), state="failed")
    assert last_progress(built(facts, "1.2"))["error"] == "Docker or Network problems. Contact support team"


def test_a_run_that_never_began_has_no_statistics_in_1_2() -> None:
    facts = run(task("a", 0, 1, "failed"), state="failed")
    told = last_progress(built(RunFacts(**{**vars(facts), "started": None}), "1.2"))
    assert told["statistics"] == ""


@pytest.mark.parametrize("form", ["1.0", "1.2"])
def test_a_scattered_step_is_one_task_for_receivers_of_the_predecessors(form: str) -> None:
    def element(number: int, began: float, ended: float | None = None, state: str = "success", **more: Any) -> Any:
        return type(task("s", 0))(**{**vars(task("s", began, ended, state, **more)), "map_index": number})

    def states(facts: RunFacts, known: Known) -> list[str]:
        return [payload["state"] for route, payload in built(facts, form, known) if "status" in route]

    first = run(element(0, 0, 2), element(1, 1), element(2, 1))
    assert states(first, Known()) == ["running"]
    known = due_reports(first, Known())[1]
    retried = run(element(0, 0, 2), element(1, 1, 3, "up_for_retry"), element(2, 1, 3))
    assert states(retried, known) == ["up_for_retry"]
    known = due_reports(retried, known)[1]
    last = run(element(0, 0, 2), element(1, 4, 5, try_number=2), element(2, 1, 3))
    assert states(last, known) == ["running", "success"]
    broken = run(element(0, 0, 2), element(1, 4, 5, "failed", try_number=2), element(2, 4, 6, "failed", try_number=2))
    assert states(broken, known)[-1] == "failed"
    assert states(broken, known).count("failed") == 1


@pytest.mark.parametrize("form", ["1.0", "1.2"])
def test_a_run_that_was_deleted_is_told_in_each_format(form: str) -> None:
    told = formats.build(deletion("d", "r", Known(progress=40), at(1)), form, report_id="i", sequence=1)
    assert told is not None
    assert (told[1]["state"], told[1]["progress"], told[1].get("statistics", "")) == ("failed", 40, "")


def test_a_format_that_changes_counts_for_what_is_built_from_then_on(
    connection: Any, do_round: Any, workflow: str, run_id: str, airflow: Any
) -> None:
    with receiver() as portal:
        gone = portal.port
    connection(gone, extra={"format": "1.2"})
    airflow.set_run(workflow, run_id, "running")
    airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="running", start_date=at(0), try_number=1)
    do_round()
    with receiver(gone) as portal:
        connection(gone)
        airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="success", end_date=at(1))
        do_round.again()
        assert portal.paths[0] == "/satellite/v1/airflow/status"
        assert set(portal.reports[0][1]) == {"state", "dag_id", "run_id", "task_id"}
        assert portal.paths[1] == "/satellite/v1/status"
        assert portal.reports[1][1]["sequence"] == 2


def test_reports_wait_for_a_format_that_is_known(connection: Any, do_round: Any, ended_run: str) -> None:
    with portal_of("1.2") as portal:
        connection(portal.port, extra={"format": "1.3"})
        do_round()
        assert portal.paths == []
        assert "no '1.3'" in str(report_delivery.delivery_state().problem)
        assert "no '1.3'" in report_delivery.send_test_report(sees_answer=True).message
        shown = report_delivery.reports_of(portal_dag(ended_run), ended_run, limit=500)
        assert all("for_predecessors" not in report.payload for report in shown.items)

        connection(portal.port, extra={"format": "1.2"})
        do_round.again()
        assert portal.refused == []
        assert portal.of_run(ended_run, "results")


def test_reports_that_waited_for_a_format_may_be_ours_in_the_end(
    connection: Any, do_round: Any, ended_run: str
) -> None:
    with receiver() as portal:
        connection(portal.port, extra={"format": "1.3"})
        do_round()
        connection(portal.port)
        do_round.again()
        told = portal.of_run(ended_run)
        assert [report["sequence"] for report in told] == list(range(1, len(told) + 1))
        assert not any("for_predecessors" in report for report in told)


def portal_dag(run_id: str) -> str:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        return str(session.query(DagRun.dag_id).filter_by(run_id=run_id).scalar())


@pytest.mark.parametrize("form", ["1.0", "1.2"])
def test_the_test_report_is_of_the_format(form: str, connection: Any) -> None:
    with receiver() as portal:
        connection(portal.port, extra={"format": form})
        assert report_delivery.send_test_report(sees_answer=True).ok
        assert portal.paths == ["/satellite/v1/" + {"1.0": "", "1.2": "airflow/"}[form] + "status"]
        assert set(portal.reports[0][1]) == {"state", "dag_id", "run_id", "task_id"}


@pytest.mark.parametrize(
    ("value", "name"), [(None, "cwl-ui-plugin"), ("parser", "1.0"), (1.2, "1.2"), (" 1.0 ", "1.0")]
)
def test_names_of_formats(value: object, name: str) -> None:
    assert formats.format_named(value) == name


@pytest.mark.parametrize("value", ["2", "1.2.11", ["1.2"], True])
def test_other_names_are_refused_with_the_ones_that_there_are(value: object) -> None:
    with pytest.raises(BadTarget, match=r"the formats are cwl-ui-plugin, 1\.0, 1\.2"):
        formats.format_named(value)


def test_what_a_receiver_is_told_by_headers_stays(connection: Any, do_round: Any, ended_run: str) -> None:
    """The predecessors sent all of the extra as headers."""
    with receiver() as portal:
        connection(portal.port, extra={"X-Api-Key": "k", "proxies": "no", "bad name": "x", "X-Broken": "a\nb"})
        do_round()
        assert portal.headers[0]["X-Api-Key"] == "k"
        assert not {"proxies", "bad name", "X-Broken", "endpoint"} & set(portal.headers[0])


def test_a_results_text_that_looks_like_ours_is_left_alone() -> None:
    payload = json.dumps({"results": {"x": '"for_predecessors"'}})
    assert formats.settled("results", payload, "1.2") == ("results", payload)


@pytest.mark.parametrize("form", ["cwl-ui-plugin", "1.0", "1.2"])
@pytest.mark.parametrize("state", ["success", "failed"])
def test_the_dag_that_stops_runs_is_reported_itself(
    form: str, state: str, connection: Any, do_round: Any, airflow: Any, stopping_run: str, pair: KeyPair
) -> None:
    times = {"start_date": at(0), "end_date": at(0) + timedelta(seconds=2)}
    airflow.set_task("clean_dag_run", stopping_run, "clean_dag_run", state=state, try_number=1, **times)
    airflow.set_run("clean_dag_run", stopping_run, state)
    with portal_of(form, pair) if form in ACCEPTED else receiver() as portal:
        portal.public_key = pair.public
        connection(portal.port, pair.private, extra={"format": form})
        do_round()
        assert portal.refused == []
        ended = portal.of_run(stopping_run, "progress")[-1]
        assert (ended["dag_id"], ended["state"]) == ("clean_dag_run", state)
        assert ended["progress"] == (100 if state == "success" else 0)
        statuses = portal.of_run(stopping_run, "status")
        assert [(s["task_id"], s["state"]) for s in statuses] == [
            ("clean_dag_run", "running"),
            ("clean_dag_run", state),
        ]
        if form == "1.2":
            assert ended["statistics"] == ""
        results = [report["results"] for report in portal.of_run(stopping_run, "results")]
        assert results == ([] if state == "failed" else [""] if form == "1.0" else [{}])


def test_an_unformatted_report_keeps_the_state_of_an_element() -> None:
    report = Report("status", {"state": "success", "dag_id": "d", "run_id": "r", "task_id": "s"}, None)  # type: ignore[typeddict-item]
    stored = formats.build(report, None, report_id="i", sequence=1)
    assert stored is not None
    route, text = formats.settled(stored[0], json.dumps(stored[1]), "1.2")
    assert (route, json.loads(text)["state"]) == ("airflow/status", "success")
