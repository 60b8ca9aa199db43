"""Which reports are due, from what the database says and what the receiver has acknowledged."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from cwl_ui_plugin.reports.due import Acknowledged, Report, RunFacts, TaskFact, due_reports

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def task(task_id: str, began: float, ended: float | None = None, state: str = "success", **more: Any) -> TaskFact:
    return TaskFact(
        task_id=task_id,
        map_index=-1,
        try_number=more.pop("try_number", 1),
        state="running" if ended is None else state,
        started=at(began),
        ended=at(ended) if ended is not None else None,
        **more,
    )


def run(*tasks: TaskFact, state: str = "running", total: int = 4, **more: Any) -> RunFacts:
    return RunFacts(
        dag_id="d",
        run_id="r",
        run_key=1,
        state=state,
        started=at(0),
        ended=at(100) if state != "running" else None,
        clear_number=more.pop("clear_number", 0),
        total=total,
        tasks=tasks,
        **more,
    )


def told(reports: list[Report]) -> list[tuple[Any, ...]]:
    return [
        (report.route, report.payload.get("task_id"), report.payload.get("state"), report.payload.get("progress"))
        for report in reports
    ]


def test_a_run_is_told_in_the_order_in_which_it_happened() -> None:
    reports = due_reports(run(task("b", 2), task("a", 0, 1)), Acknowledged())
    assert told(reports) == [
        ("status", "a", "running", None),
        ("status", "a", "success", None),
        ("progress", None, "running", 25),
        ("status", "b", "running", None),
    ]


def test_what_is_acknowledged_is_not_told_again() -> None:
    facts = run(task("a", 0, 1), task("b", 2))
    reports = due_reports(facts, Acknowledged())
    for number, report in enumerate(reports, start=1):
        assert told(due_reports(facts, report.after)) == told(reports[number:]) or number == 2
    assert due_reports(facts, reports[-1].after) == []


def test_a_report_that_was_sent_but_not_acknowledged_is_sent_again_as_it_was() -> None:
    facts = run(task("a", 0, 1))
    first, again = due_reports(facts, Acknowledged()), due_reports(facts, Acknowledged())
    assert [report.payload["report_id"] for report in first] == [report.payload["report_id"] for report in again]
    assert len({report.payload["report_id"] for report in first}) == len(first)


def test_acknowledgement_between_the_two_reports_of_an_end_repeats_both() -> None:
    facts = run(task("a", 0, 1))
    _start, status, progress = due_reports(facts, Acknowledged())
    assert told(due_reports(facts, status.after)) == told([status, progress])


def test_a_success_ends_with_progress_100_and_the_results() -> None:
    facts = run(task("a", 0, 1), state="success", total=1, results={"out": 7})
    progress, results = due_reports(facts, Acknowledged())[-2:]
    assert (progress.payload["progress"], progress.payload["state"], progress.payload["error"]) == (100, "success", "")
    assert progress.payload["statistics"]["total"]["duration"] == 100
    assert results.route == "results"
    assert results.payload["results"] == {"out": 7}


def test_progress_stays_below_100_until_the_run_has_succeeded() -> None:
    assert told(due_reports(run(task("a", 0, 1), total=1), Acknowledged()))[-1] == ("progress", None, "running", 99)


def test_a_failure_says_which_step_why_and_what_it_printed() -> None:
    error = {"message": "exit code 3", "stderr": "no such sample"}
    reports = due_reports(run(task("align", 0, 1, "failed", error=error), state="failed"), Acknowledged())
    assert [report.route for report in reports] == ["status", "status", "progress"]
    last = reports[-1].payload
    assert last["state"] == "failed"
    assert "align: exit code 3" in last["error"]
    assert "no such sample" in last["error"]
    assert last["logs"] == {"align": "no such sample"}


def test_each_try_is_told() -> None:
    tries = (task("a", 0, 1, "up_for_retry"), task("a", 2, 3, try_number=2))
    states = [(p.payload["try_number"], p.payload["state"]) for p in due_reports(run(*tries), Acknowledged())[:4]]
    assert states == [(1, "running"), (1, "up_for_retry"), (2, "running"), (2, "success")]


def test_a_task_that_never_started_has_an_end_only() -> None:
    failed = replace(task("b", 0, 1, "upstream_failed"), started=None)
    assert told(due_reports(run(failed), Acknowledged())) == [("status", "b", "upstream_failed", None)]


def test_a_cleared_run_begins_anew_and_tells_only_what_is_new() -> None:
    first = run(task("a", 0, 1), task("b", 2, 3, "failed"), state="failed", total=2)
    known = due_reports(first, Acknowledged())[-1].after
    again = run(
        task("a", 0, 1), task("b", 2, 3, "up_for_retry"), task("b", 110, 111, try_number=2), total=2, clear_number=1
    )
    assert told(due_reports(again, known)) == [
        ("status", "b", "running", None),
        ("status", "b", "success", None),
        ("progress", None, "running", 50),
    ]


def test_acknowledged_survives_its_text() -> None:
    known = due_reports(run(task("a", 0, 1), state="success"), Acknowledged())[-1].after
    assert Acknowledged.from_json(known.to_json()) == known
