"""A run that is not there goes as one that is: its tasks in order, their states, what it leaves."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import pytest
from support.run_facts import at

from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
from cwl_ui_plugin.reports.simulated_outputs import CONTENT, simulated_outputs
from cwl_ui_plugin.reports.simulated_tasks import SimulatedTask, step_names, tasks_of
from cwl_ui_plugin.reports.simulation import SECONDS, Course, reports_of


def step(name: str, *upstream: str, task_id: str = "", **more: Any) -> Step:
    where = {"full_id": f"#{name}", "task_id": task_id or name, "document": f"step-{name}"}
    return Step(id=name, **where, tool="CommandLineTool", tool_name=name, upstream=upstream, **more)


def plan(*steps: Step, outputs: tuple[Parameter, ...] = ()) -> Plan:
    return Plan("Workflow", "v1.2", "main.cwl", None, None, (), outputs, steps)


CHAIN = plan(step("a"), step("b", "a"))


def upstream(made: list[SimulatedTask]) -> dict[str, set[str]]:
    return {task.task_id: set(task.upstream) for task in made}


def told(of: Plan, *, elements: int = 2, **course: Any) -> list[tuple[Any, ...]]:
    """What the reports of a run say: the task, its state, and how many seconds after the start."""
    found = []
    for report, moment in reports_of("d", "r", tasks_of(of, elements), Course(**course), at(0)):
        payload: Any = report.payload
        about = payload.get("task_id", report.route)
        found.append((about, payload.get("state"), (moment - at(0)).total_seconds()))
    return found


def states(found: list[tuple[Any, ...]]) -> dict[str, list[str]]:
    by_task: dict[str, list[str]] = defaultdict(list)
    for about, state, _seconds in found:
        if about not in ("progress", "results"):
            by_task[about].append(state)
    return by_task


def test_tasks_come_after_those_whose_outputs_they_read() -> None:
    made = tasks_of(plan(step("a"), step("b"), step("c", "a", "b"), step("d")), 2)
    assert upstream(made) == {
        "CWLJobDispatcher": set(),
        "a": {"CWLJobDispatcher"},
        "b": {"CWLJobDispatcher"},
        "c": {"a", "b"},
        "d": {"CWLJobDispatcher"},
        "CWLJobGatherer": {"c", "d"},
    }
    assert [task.is_command for task in made] == [False, True, True, True, True, False]
    assert [task.step for task in made] == ["", "a", "b", "c", "d", ""]


def test_a_workflow_without_steps_has_its_ends() -> None:
    assert upstream(tasks_of(plan(), 2)) == {"CWLJobDispatcher": set(), "CWLJobGatherer": {"CWLJobDispatcher"}}


def test_a_scattered_step_has_its_elements_between_two_tasks() -> None:
    made = tasks_of(plan(step("s", scatter=("x",)), step("t", "s")), 3)
    assert upstream(made)["t"] == {"s.gather"}
    assert upstream(made)["s.gather"] == {"s"}
    assert upstream(made)["s"] == {"s.scatter"}
    indexes = {task.task_id: list(task.map_indexes) for task in made}
    assert indexes["s"] == [0, 1, 2]
    assert indexes["s.scatter"] == indexes["s.gather"] == indexes["t"] == [-1]


def test_a_subworkflow_has_its_steps_between_two_tasks() -> None:
    inner = (step("x", task_id="w.x"), step("y", "x", task_id="w.y"), step("z", task_id="w.z"))
    of = plan(step("w", steps=inner), step("t", "w"))
    made = tasks_of(of, 2)
    assert upstream(made)["w.x"] == upstream(made)["w.z"] == {"w.inputs"}
    assert upstream(made)["w.y"] == {"w.x"}
    assert upstream(made)["w"] == {"w.y", "w.z"}
    assert upstream(made)["t"] == {"w"}
    assert [task.task_id for task in made if task.is_command] == ["w.x", "w.y", "w.z", "t"]
    assert step_names(of) == ["w", "w.x", "w.y", "w.z", "t"]


def test_a_run_that_goes_well_takes_so_long_for_each_task() -> None:
    found = told(CHAIN)
    assert states(found) == {name: ["running", "success"] for name in ("CWLJobDispatcher", "a", "b", "CWLJobGatherer")}
    running = [seconds for about, state, seconds in found if state == "running" and about != "progress"]
    assert running == [0, SECONDS, 2 * SECONDS, 3 * SECONDS]
    assert found[-2:] == [("progress", "success", 4 * SECONDS), ("results", None, 4 * SECONDS)]


def test_what_needs_a_failed_step_does_not_run_and_the_rest_does() -> None:
    found = told(plan(step("a"), step("b", "a"), step("c", "b"), step("d")), fail=["a"])
    assert states(found)["a"] == ["running", "failed"]
    assert states(found)["b"] == states(found)["c"] == states(found)["CWLJobGatherer"] == ["upstream_failed"]
    assert states(found)["d"] == ["running", "success"]
    assert found[-1][:2] == ("progress", "failed")


def test_a_step_that_is_tried_again_fails_once_or_in_the_end() -> None:
    assert states(told(CHAIN, retry=["a"]))["a"] == ["running", "up_for_retry", "running", "success"]
    assert states(told(CHAIN, retry=["a"], fail=["a"]))["a"] == ["running", "up_for_retry", "running", "failed"]
    assert told(CHAIN, retry=["a"])[-1][2] == 5 * SECONDS


def test_a_skipped_step_keeps_no_other_from_running() -> None:
    found = states(told(CHAIN, skip=["a"]))
    assert (found["a"], found["b"]) == (["running", "skipped"], ["running", "success"])


def test_a_stop_fails_what_runs_and_what_has_not_begun() -> None:
    found = told(plan(step("a"), step("s", "a", scatter=("x",)), step("t", "s")), stop_at="s")
    assert states(found)["a"] == ["running", "success"]
    assert states(found)["s"] == ["running", "running", "failed", "failed"]
    assert states(found)["t"] == states(found)["CWLJobGatherer"] == states(found)["s.gather"] == ["failed"]
    assert found[-1][:2] == ("progress", "failed")


def last_payload(of: Plan, **course: Any) -> Any:
    return list(reports_of("d", "r", tasks_of(of, 2), Course(**course), at(0)))[-1][0].payload


def test_the_end_says_who_stopped_it_why_it_failed_or_what_it_has_made() -> None:
    assert last_payload(CHAIN, stop_at="a", user="ada")["error"] == "Stopped by ada."
    failure = last_payload(CHAIN, fail=["b"])
    assert failure["error"] == "b: The command of b ended with the exit code 1.\nb: simulated failure"
    assert failure["logs"] == {"b": "b: simulated failure"}
    assert last_payload(CHAIN, results={"out": 1})["results"] == {"out": 1}


def test_the_statistics_are_of_commands_and_empty_for_skipped_ones() -> None:
    reports = [report.payload for report, _at in reports_of("d", "r", tasks_of(CHAIN, 2), Course(skip=["b"]), at(0))]
    (statistics,) = [payload["statistics"] for payload in reports if "statistics" in payload]  # type: ignore[typeddict-item]
    steps: Any = statistics["steps"]  # type: ignore[index]
    assert "exit_code" not in steps["CWLJobDispatcher"]
    shown = ("exit_code", "seconds", "cpu_seconds", "peak_memory_bytes", "output_bytes", "reused")
    assert [steps["a"][name] for name in shown] == [0, SECONDS, SECONDS / 2, 8 * 2**20, 1024, False]
    assert [steps["b"][name] for name in shown] == [None, 0, 0, 0, 0, False]


def test_elements_count_for_the_progress() -> None:
    made = tasks_of(plan(step("s", scatter=("x",))), 3)
    reports = [report.payload for report, _at in reports_of("d", "r", made, Course(), at(0))]
    progress = [payload["progress"] for payload in reports if "progress" in payload]  # type: ignore[typeddict-item]
    assert progress[-1] == 100
    assert progress == sorted(progress)
    assert 57 in progress, "four of seven tasks: two before the elements, and two of them"


FILE = {
    "class": "File",
    "location": "file:///run/f.txt",
    "basename": "f.txt",
    "size": len(CONTENT),
    "checksum": f"sha1${hashlib.sha1(CONTENT).hexdigest()}",
}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("boolean", True),
        ("int", 1),
        ("long", 1),
        ("float", 0.5),
        ("double", 0.5),
        ("string", "simulated"),
        ("Any", "simulated"),
        ("null", None),
        (["null", "int"], 1),
        (["null"], None),
        ("File", FILE),
        ("stdout", FILE),
        ("stderr", FILE),
        ({"type": "array", "items": "int"}, [1]),
        ({"type": "enum", "symbols": ["x", "y"]}, "x"),
        ({"type": "enum", "symbols": []}, None),
        ({"type": "record", "fields": [{"name": "f", "type": "File"}, {"name": "n", "type": "int"}]},
         {"f": FILE, "n": 1}),
        ("Directory", {
            "class": "Directory",
            "location": "file:///run/f",
            "basename": "f",
            "listing": [{**FILE, "location": "file:///run/f/f.txt"}],
        }),
    ],
)  # fmt: skip
def test_an_output_has_something_of_its_type(kind: Any, value: object) -> None:
    assert simulated_outputs(plan(outputs=(Parameter("f", kind),)), "/run") == {"f": value}
