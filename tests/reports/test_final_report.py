"""What the last report of a run says of its tasks: why each failed, when it ran, what it printed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.run_facts import at, run, task

from cwl_ui_plugin.reports.final_report import MAX_FAILED, moment_text, run_end, seconds_between


def failed(task_id: str, index: int = -1, **error: Any) -> Any:
    return replace(task(task_id, 0, 1, "failed", error=error or None), map_index=index)


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (failed("a", message="exit code 3", stderr="no such gene"), "a: exit code 3\nno such gene"),
        (failed("a", message="exit code 3"), "a: exit code 3"),
        (failed("a", stderr="no such gene"), "a: failed\nno such gene"),
        (failed("a"), "a: failed"),
        (failed("a", 0, message="m"), "a[0]: m"),
        (failed("a", 12, message="m"), "a[12]: m"),
    ],
)
def test_each_failed_task_has_its_message_and_the_end_of_what_it_printed(made: Any, line: str) -> None:
    other = task("b", 0, 1, "upstream_failed")
    assert run_end(run(made, other, failed("c", message="x"), state="failed"))["error"] == f"{line}\nc: x"


def test_a_run_that_failed_without_a_failed_task_was_set_so() -> None:
    assert run_end(run(task("a", 0, 1), state="failed"))["error"] == "The run was set to failed."


def test_a_run_that_succeeds_has_no_error_whatever_its_tasks_say() -> None:
    told = run_end(run(failed("a", message="m", stderr="s"), state="success"))
    assert told["error"] == ""
    assert told["logs"] == {"a": "s"}


def test_all_failed_tasks_up_to_the_bound_are_described() -> None:
    many = [failed("s", number, message="m") for number in range(MAX_FAILED)]
    lines = run_end(run(*many, state="failed"))["error"].splitlines()
    assert lines == [f"s[{number}]: m" for number in range(MAX_FAILED)]
    one_more = run_end(run(*many, failed("z"), state="failed"))["error"].splitlines()
    assert one_more == [*lines, "1 more tasks failed."]


def test_logs_are_of_tasks_with_an_error_even_if_they_printed_nothing() -> None:
    told = run_end(run(failed("a", 1, message="m"), failed("b"), task("c", 0, 1), state="failed"))
    assert told["logs"] == {"a[1]": ""}


def test_earlier_tries_are_not_told_of_at_the_end() -> None:
    tries = (replace(failed("a", message="of the first"), is_last=False), task("a", 2, 3, try_number=2))
    told = run_end(run(*tries, state="failed"))
    assert (told["logs"], list(told["statistics"]["steps"])) == ({}, ["a"])
    assert told["statistics"]["steps"]["a"]["state"] == "success"
    assert "of the first" not in told["error"]


def test_the_statistics_say_when_everything_began_and_ended() -> None:
    used: Any = {"cpu_seconds": 2.5, "taken_over": True, "asked_cores": 4, "asked_ram": 1, "command": ["x"]}
    done = replace(task("a", 0.5, 2, statistics=used), map_index=0)
    never = replace(task("b", 0, 1, "upstream_failed"), started=None)
    assert run_end(run(done, never, state="failed"))["statistics"] == {
        "version": "1.1",
        "total": {"start_date": at(0).isoformat(), "end_date": at(100).isoformat(), "duration": 100.0},
        "steps": {
            "a[0]": {
                "start_date": at(0.5).isoformat(),
                "end_date": at(2).isoformat(),
                "duration": 1.5,
                "state": "success",
                "cpu_seconds": 2.5,
            },
            "b": {"start_date": "", "end_date": at(1).isoformat(), "duration": None, "state": "upstream_failed"},
        },
    }


def test_a_moment_that_is_missing_makes_no_duration() -> None:
    assert seconds_between(at(1), at(2.2504)) == 1.25
    assert seconds_between(at(2), at(2)) == 0
    assert seconds_between(None, at(1)) is None
    assert seconds_between(at(1), None) is None
    assert moment_text(None) == ""
