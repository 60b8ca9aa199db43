"""Which reports are due, from what the database says and what there are reports of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.run_facts import at, run, task

from cwl_ui_plugin.reports.due import Known, Report, RunFacts, deletion, due_reports, tells_of_an_end
from cwl_ui_plugin.reports.stopped import Stopped


def due(facts: RunFacts, known: Known | None = None) -> list[Report]:
    return due_reports(facts, known or Known())[0]


def known_after(facts: RunFacts, known: Known | None = None) -> Known:
    return due_reports(facts, known or Known())[1]


def told(reports: list[Report]) -> list[tuple[Any, ...]]:
    return [
        (report.route, report.payload.get("task_id"), report.payload.get("state"), report.payload.get("progress"))
        for report in reports
    ]


def test_a_run_is_told_in_the_order_in_which_it_happened() -> None:
    assert told(due(run(task("b", 2), task("a", 0, 1)))) == [
        ("status", "a", "running", None),
        ("status", "a", "success", None),
        ("progress", None, "running", 25),
        ("status", "b", "running", None),
    ]


def test_what_was_told_is_not_told_again() -> None:
    first, second = run(task("a", 0)), run(task("a", 0, 1), task("b", 2))
    known = known_after(first)
    assert due(first, known) == []
    assert told(due(second, known)) == [
        ("status", "a", "success", None),
        ("progress", None, "running", 25),
        ("status", "b", "running", None),
    ]
    assert due(second, known_after(second, known)) == []


def test_a_success_ends_with_progress_100_and_the_results() -> None:
    facts = run(task("a", 0, 1), state="success", total=1, results={"out": 7})
    progress, results = due(facts)[-2:]
    assert (progress.payload["progress"], progress.payload["state"], progress.payload["error"]) == (100, "success", "")
    assert progress.payload["statistics"]["total"]["duration"] == 100
    assert results.route == "results"
    assert results.payload["results"] == {"out": 7}


def test_the_statistics_have_what_the_tool_used_and_wrote() -> None:
    used = {"command": ["sort"], "cpu_seconds": 2.5, "peak_memory_bytes": 9, "output_bytes": 1234}
    facts = run(replace(task("a", 0, 1), statistics=used), state="success", total=1)
    (progress,) = [report for report in due(facts) if "statistics" in report.payload]
    told_of = progress.payload["statistics"]["steps"]["a"]
    assert {key: told_of.get(key) for key in used} == {**used, "command": None}, "a command may have secrets"
    assert told_of["duration"] > 0


def test_progress_stays_below_100_until_the_run_has_succeeded() -> None:
    assert told(due(run(task("a", 0, 1), total=1)))[-1] == ("progress", None, "running", 99)


def test_progress_never_falls_when_a_scattered_step_unfolds() -> None:
    known = known_after(run(task("a", 0, 1), total=2))
    assert told(due(run(task("a", 0, 1), task("b", 2, 3), total=10), known))[-1] == ("progress", None, "running", 50)


def test_a_failure_says_which_step_why_and_what_it_printed() -> None:
    error = {"message": "exit code 3", "stderr": "no such sample"}
    reports = due(run(task("align", 0, 1, "failed", error=error), state="failed"))
    assert [report.route for report in reports] == ["status", "status", "progress"]
    last = reports[-1].payload
    assert last["state"] == "failed"
    assert "align: exit code 3" in last["error"]
    assert "no such sample" in last["error"]
    assert last["logs"] == {"align": "no such sample"}


def test_the_error_of_a_run_is_bounded() -> None:
    failed = [task(f"t{number}", 0, 1, "failed", error={"message": "m", "stderr": "s"}) for number in range(300)]
    last = due(run(*failed, state="failed", total=300))[-1].payload
    assert last["error"].endswith("280 more tasks failed.")
    assert len(last["logs"]) == 20


def test_each_try_is_told() -> None:
    tries = (task("a", 0, 1, "up_for_retry", is_last=False), task("a", 2, 3, try_number=2))
    states = [(p.payload["try_number"], p.payload["state"]) for p in due(run(*tries))[:4]]
    assert states == [(1, "running"), (1, "up_for_retry"), (2, "running"), (2, "success")]


def test_a_task_that_never_started_has_an_end_only() -> None:
    failed = replace(task("b", 0, 1, "upstream_failed"), started=None)
    assert told(due(run(failed))) == [("status", "b", "upstream_failed", None)]


def test_a_cleared_run_begins_anew_and_tells_only_what_is_new() -> None:
    known = known_after(run(task("a", 0, 1), task("b", 2, 3, "failed"), state="failed", total=2))
    again = run(
        task("a", 0, 1),
        task("b", 2, 3, "failed", is_last=False),
        task("b", 110, 111, try_number=2),
        total=2,
        clear_number=1,
    )
    assert told(due(again, known)) == [
        ("status", "b", "running", None),
        ("status", "b", "success", None),
        ("progress", None, "running", 99),
    ]


def test_a_task_that_is_set_to_another_state_by_hand_is_told_again() -> None:
    known = known_after(run(task("a", 0, 1, "failed"), state="failed"))
    by_hand = run(task("a", 0, 1, "success"), state="failed")
    assert told(due(by_hand, known)) == [("status", "a", "success", None)], "the run is over: it makes no progress"
    back = run(task("a", 0, 1, "failed"), state="failed")
    assert told(due(back, known_after(by_hand, known))) == [("status", "a", "failed", None)]


def test_a_run_that_is_set_to_another_state_by_hand_is_told_again() -> None:
    known = known_after(run(task("a", 0, 1), state="failed"))
    assert [report.route for report in due(run(task("a", 0, 1), state="success"), known)] == ["progress", "results"]


def test_a_cleared_task_that_failed_upstream_keeps_its_earlier_end() -> None:
    known = known_after(run(task("b", 2, 3), state="success"))
    history = task("b", 2, 3, is_last=False)
    now = replace(task("b", 2, 3, "upstream_failed"), started=None)
    facts = run(history, now, state="failed", clear_number=1)
    assert told(due(facts, known))[0] == ("status", "b", "upstream_failed", None)
    assert due(facts, known_after(facts, known)) == []


def test_a_cleared_task_that_is_skipped_again_has_been_skipped_once() -> None:
    """Nobody has looked since: both are of one try."""
    history = task("b", 2, 3, "skipped", is_last=False)
    now = replace(task("b", 2, 9, "skipped"), started=None)
    facts = run(history, now, clear_number=1)
    assert [entry[2] for entry in told(due(facts)) if entry[0] == "status"] == ["running", "skipped"]
    assert due(facts, known_after(facts)) == []


def test_an_end_that_is_older_than_its_start_comes_after_it() -> None:
    assert [entry[2] for entry in told(due(run(task("a", 5, 1, "failed"))))] == ["running", "failed"]


def test_known_survives_its_text() -> None:
    known = known_after(run(task("a", 0, 1), state="success"))
    assert Known.from_json(known.to_json()) == known


def test_an_end_is_one_whatever_moment_airflow_writes_for_it() -> None:
    ended = run(task("a", 0, 1, "failed"), state="failed")
    assert due(replace(ended, ended=at(107)), known_after(ended)) == []


def test_a_run_that_is_set_to_go_on_and_ends_at_once_has_not_ended_again() -> None:
    ended = run(task("a", 0, 1, "failed"), state="failed")
    reopened = known_after(replace(ended, state="running", ended=None), known_after(ended))
    assert due(replace(ended, ended=at(107)), reopened) == []


def test_a_run_that_is_set_to_go_on_so_that_a_task_starts_ends_again() -> None:
    first = task("a", 0, 1, "failed")
    ended = run(first, state="failed")
    reopened = known_after(replace(ended, state="running", ended=None), known_after(ended))
    again = run(replace(first, is_last=False), task("a", 110, 111, "failed", try_number=2), state="failed")
    assert told(due(again, reopened)) == [
        ("status", "a", "running", None),
        ("status", "a", "failed", None),
        ("progress", None, "failed", 0),
    ]
    assert due(again, known_after(again, reopened)) == []


def test_an_end_that_an_earlier_version_has_told_is_not_told_again() -> None:
    ended = run(task("a", 0, 1, "failed"), state="failed")
    text = known_after(ended).to_json().replace('"failed|0"', '"failed|2026-01-01T00:01:40+00:00|0"')
    assert due(ended, Known.from_json(text)) == []


def test_the_fields_of_each_report() -> None:
    facts = run(replace(task("a", 1, 2, try_number=3), map_index=4), state="success", total=1, results={"out": 7})
    begun, done, progress, end, results = [report.payload for report in due(facts)]
    about = {"dag_id": "d", "run_id": "r"}
    of_task = {**about, "task_id": "a", "map_index": 4, "try_number": 3}
    assert begun == {**of_task, "state": "running", "timestamp": at(1).isoformat()}
    assert done == {**of_task, "state": "success", "timestamp": at(2).isoformat()}
    assert progress == {**about, "state": "running", "progress": 99, "error": "", "timestamp": at(2).isoformat()}
    assert end["timestamp"] == at(100).isoformat()
    assert set(end) == {*progress, "statistics", "logs"}
    assert results == {**about, "results": {"out": 7}, "timestamp": at(100).isoformat()}


@pytest.mark.parametrize(
    ("made", "is_stopped"),
    [
        (task("a", 0, 50, "failed"), True),
        (task("a", 0, 51, "failed"), True),
        (task("a", 0, 49, "failed"), False),
        (replace(task("a", 0, 49, "failed"), started=None), True),
        (replace(task("a", 0, 51, "failed"), ended=None), False),
        (task("a", 0, 51, "success"), False),
        (task("a", 0, 51, "failed", is_last=False), False),
    ],
)
def test_which_tries_a_stop_has_ended(made: Any, is_stopped: bool) -> None:
    facts = run(made, state="failed", stop=Stopped("ada", at(50)))
    assert facts.was_stopped(made) is is_stopped
    assert not replace(facts, stop=None).was_stopped(made)
    (status, *_rest) = [report.payload for report in due(facts) if report.payload.get("state") == made.state]
    assert ("reason" in status) is is_stopped


def test_the_end_of_a_run_that_was_deleted() -> None:
    report = deletion("d", "r", Known(progress=40), at(7))
    assert report.route == "progress"
    assert report.payload == {
        "state": "failed",
        "dag_id": "d",
        "run_id": "r",
        "progress": 40,
        "error": "The run was deleted before its end.",
        "statistics": {},
        "logs": {},
        "timestamp": at(7).isoformat(),
    }


def test_a_run_is_told_from_one_before_it_by_when_it_was_made() -> None:
    known = known_after(run(task("a", 0), created="2026-01-01"))
    assert known.is_of("2026-01-01")
    assert not known.is_of("2026-01-02")
    assert Known().is_of("2026-01-02"), "an earlier version has not written it down"


@pytest.mark.parametrize(("ends", "is_told"), [({"state": "success"}, True), ({"state": "failed"}, True), ({}, False)])
def test_an_end_is_among_reports(ends: dict[str, str], is_told: bool) -> None:
    assert tells_of_an_end(due(run(task("a", 0, 1, "failed"), **ends))) is is_told  # type: ignore[arg-type]


def test_a_stop_is_no_new_end_of_a_run_that_a_task_begins_late() -> None:
    stopped = run(task("a", 0, 1, "failed"), state="failed", stop=Stopped("ada", at(1)))
    reopened = known_after(replace(stopped, state="running", ended=None), known_after(stopped))
    late = replace(stopped, tasks=(*stopped.tasks, task("b", 110, 111, "failed")))
    assert told(due(late, reopened)) == [("status", "b", "running", None), ("status", "b", "failed", None)]


def test_skipped_tasks_are_done_and_an_earlier_try_is_not() -> None:
    facts = run(task("a", 0, 1, "skipped"), task("b", 2, 3, is_last=False), task("b", 4, try_number=2), total=4)
    assert [entry[3] for entry in told(due(facts)) if entry[0] == "progress"] == [25, 25]
