"""What receivers of CWL-Airflow 1.2 were told at the end of a run: sizes, times, categories of errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.run_facts import at, run, task

from cwl_ui_plugin.reports import predecessors
from cwl_ui_plugin.reports.predecessors import STEPS_FAILED, end_of, with_name_parts


def written(task_id: str, began: float, ended: float, size: int | None, index: int = -1) -> Any:
    used: Any = {"output_bytes": size}
    return replace(task(task_id, began, ended, statistics=used), map_index=index)


def failed(task_id: str, message: str = "", stderr: str = "") -> Any:
    error: Any = {"message": message, "stderr": stderr}
    return task(task_id, 0, 1, "failed", error=error)


def statistics(*tasks: Any, **more: Any) -> Any:
    return end_of(run(*tasks, state="success", **more))["statistics"]


def test_sizes_are_whole_kilobytes_and_a_scattered_step_is_one() -> None:
    elements = (written("s", 3, 9, 1024, 0), written("s", 2, 5, 1, 1))
    told = statistics(written("a", 0.5, 1, 1025), *elements, written("n", 0, 1, None), task("z", 0, 1))
    assert told["steps"] == {
        "a": {"tmp_folder_size": 2, "start_date": 0.5, "end_date": 1.0},
        "s": {"tmp_folder_size": 2, "start_date": 2.0, "end_date": 9.0},
        "n": {"tmp_folder_size": 0, "start_date": 0.0, "end_date": 1.0},
        "z": {"tmp_folder_size": 0, "start_date": 0.0, "end_date": 1.0},
    }
    assert told["total"]["tmp_folder_size"] == 4


def test_what_never_began_or_was_tried_again_has_no_times() -> None:
    first = replace(written("a", 0, 1, 4096), is_last=False)
    told = statistics(first, written("a", 2, 3, 1), replace(task("b", 0, 1), started=None), task("c", 4))
    assert told["steps"] == {"a": {"tmp_folder_size": 1, "start_date": 2.0, "end_date": 3.0}}


def test_the_sizes_of_all_files_of_the_outputs_count() -> None:
    file: Any = {"class": "File", "size": 1000}
    results = {
        "one": file,
        "many": [file, {"class": "Directory", "size": 10**6, "listing": [file]}],
        "nested": {"deep": ({**file, "secondaryFiles": [file]},)},
        "unknown": {"class": "File", "size": None},
        "text": "File",
    }
    assert statistics(task("a", 0, 1), results=results)["total"]["outputs_folder_size"] == 5
    assert statistics(task("a", 0, 1))["total"]["outputs_folder_size"] == 0


@pytest.mark.parametrize("missing", ["started", "ended"])
def test_without_a_start_or_an_end_there_is_nothing_to_count_from(missing: str) -> None:
    facts = replace(run(task("a", 0, 1), state="success"), **{missing: None})  # type: ignore[arg-type]
    assert end_of(facts)["statistics"] == ""


def test_the_times_of_the_whole_run() -> None:
    total = statistics(task("a", 0, 1))["total"]
    assert (total["start_date"], total["end_date"]) == (at(0).isoformat(), 100.0)


@pytest.mark.parametrize(
    ("tasks", "error"),
    [
        ([failed("b"), failed("a")], STEPS_FAILED.format("b, a")),
        ([failed("s", "x"), failed("s", "y")], STEPS_FAILED.format("s")),
        (
            [failed("a", stderr="docker: Error response from daemon: no space"), failed("b", "exit code 1")],
            f"Docker problems. Contact support team. {STEPS_FAILED.format('a, b')}",
        ),
        (
            [failed("a", stderr="You have reached your pull rate limit.")],
            "Docker pull limit reached. Restart in 6 hours",
        ),
        ([task("a", 0, 1, "failed")], STEPS_FAILED.format("a")),
        ([task("a", 0, 1, "upstream_failed")], predecessors.UNKNOWN),
    ],
)
def test_a_failure_is_of_a_category(tasks: list[Any], error: str) -> None:
    assert end_of(run(*tasks, state="failed"))["error"] == error


def test_a_success_has_no_error_and_no_logs() -> None:
    told = end_of(run(failed("a"), state="success"))
    assert (told["error"], told["logs"]) == ("", "")


def test_logs_are_of_what_failed_and_of_what_succeeded_before_it() -> None:
    tasks = [replace(failed("c"), log="/c"), task("a", 0, 1, log="/a"), task("b", 0, 1, "skipped", log="/b"),
             task("x", 0, 1, log="/x"), task("n", 0, 1)]  # fmt: skip
    told = end_of(run(*tasks, state="failed", upstream={"c": ["a", "b", "n"], "x": ["x"]}))["logs"]
    assert told == {
        "failed_steps": {"c": {"airflow": "/c", "cwl": "/c"}},
        "previous_steps": {"a": {"airflow": "/a", "cwl": "/a"}, "n": {}},
    }


def test_names_are_split_everywhere_and_what_a_file_says_itself_counts() -> None:
    file: Any = {"class": "File", "basename": "a.b.txt"}
    named = {"nameroot": "a.b", "nameext": ".txt", **file}
    assert with_name_parts({"x": [file, ({"y": file},)], "n": 3, "s": "a.txt"}) == {
        "x": [named, [{"y": named}]],
        "n": 3,
        "s": "a.txt",
    }
    own = {**file, "nameroot": "mine"}
    assert with_name_parts(own) == {**own, "nameext": ".txt"}
    assert with_name_parts({"class": "File", "basename": 3}) == {"class": "File", "basename": 3}
