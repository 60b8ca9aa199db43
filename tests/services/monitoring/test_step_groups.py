"""Tasks are folded into the steps of the workflow, and nothing that has gone wrong is folded away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.stored import BEGAN

from cwl_ui_plugin.services.monitoring.step_groups import StepLine, fold, group_steps, state_of_all
from cwl_ui_plugin.services.run_models import ApprovalAnswer, StepState
from cwl_ui_plugin.views.timeline import timeline

ORDER = (
    "CWLJobDispatcher",
    "first",
    "outer.inputs",
    "outer.each.scatter",
    "outer.each",
    "outer.each.gather",
    "outer.last",
    "outer",
    "end.approval",
    "end",
    "CWLJobGatherer",
)


def step(task_id: str, state: str = "success", map_index: int = -1, **more: Any) -> StepState:
    at = BEGAN + timedelta(seconds=10 * ORDER.index(task_id))
    has_run = state not in ("not_run", "no_status", "waits")
    values: dict[str, Any] = {
        "task_id": task_id,
        "label": task_id,
        "map_index": map_index,
        "state": state,
        "shown_state": state,
        "step": task_id.rpartition(".")[0] or task_id,
        "try_number": 1,
        "started_at": at.isoformat() if has_run else None,
        "ended_at": (at + timedelta(seconds=10)).isoformat() if has_run and state != "running" else None,
        "seconds": 10.0 if has_run else None,
    }
    return StepState(**{**values, **more})


def run(**states: str) -> list[StepState]:
    """The tasks of a run; ``first="failed"`` is for the task of that name, with ``__`` for dots."""
    given = {name.replace("__", "."): state for name, state in states.items()}
    tasks = [step(task_id, given.get(task_id, "success")) for task_id in ORDER]
    place = ORDER.index("outer.each")
    elements = [replace(tasks[place], map_index=index, element=f"e{index}") for index in range(3)]
    return [*tasks[:place], *elements, *tasks[place + 1 :]]


def lines(**states: str) -> list[StepLine]:
    return fold(group_steps(run(**states)))


def told(**states: str) -> dict[str, str]:
    return {line.label: line.state for line in lines(**states)}


def test_there_is_a_line_for_each_step_in_the_workflows_order() -> None:
    found = lines()
    assert [(line.label, line.depth) for line in found] == [
        ("first", 0),
        ("outer", 0),
        ("outer.each", 1),
        ("outer.last", 1),
        ("end", 0),
    ]
    assert [group.task_id for group in found[2].helpers] == ["outer.each.scatter", "outer.each.gather"]
    assert [line.is_subworkflow for line in found] == [False, True, False, False, False]
    assert (found[1].seconds, found[2].seconds) == (60.0, 30.0)


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ({"outer__each__scatter": "failed", "outer__each": "not_run"}, {"outer.each": "failed", "outer": "failed"}),
        ({"outer__each__gather": "running"}, {"outer.each": "running", "outer": "running"}),
        ({"outer__last": "failed", "outer": "not_run"}, {"outer": "failed", "outer.each": "success"}),
        ({"outer__last": "waits", "outer": "no_status"}, {"outer": "waits", "outer.last": "waits"}),
        ({"end__approval": "awaiting_input", "end": "no_status"}, {"end": "awaiting_input"}),
        ({"outer__each__scatter": "success", "outer__each": "no_status"}, {"outer.each": "running"}),
    ],
)
def test_a_line_says_what_is_worst_of_its_tasks(states: dict[str, str], shown: dict[str, str]) -> None:
    found = told(**states)
    assert {name: found[name] for name in shown} == shown


def test_a_helper_that_failed_is_named() -> None:
    found = {line.label: line for line in lines(outer__each__scatter="failed", outer__each="not_run")}
    failed = found["outer.each"].failed_helper
    assert failed
    assert failed.subject == "outer.each: its scatter elements could not be made"
    assert found["first"].failed_helper is None


def test_first_and_last_task_show_only_what_goes_wrong_with_them() -> None:
    for state in ("success", "running", "no_status", "waits", "not_run", "stopped"):
        assert set(told(CWLJobDispatcher=state, CWLJobGatherer=state)) == set(told())
    assert told(CWLJobDispatcher="failed")["The inputs were not accepted"] == "failed"
    assert told(CWLJobGatherer="failed")["The outputs could not be delivered"] == "failed"
    assert told(CWLJobGatherer="up_for_retry")["Delivering the outputs"] == "up_for_retry"


def test_an_approval_stands_with_its_step() -> None:
    asked = ApprovalAnswer(BEGAN.isoformat(), (), None, None, None, None)
    tasks = [replace(task, approval=asked) if task.task_id == "end.approval" else task for task in run()]
    approval = fold(group_steps(tasks))[-1].approval
    assert approval
    assert approval.task_id == "end.approval"


def test_the_timeline_begins_and_ends_with_all_tasks_and_draws_steps() -> None:
    groups = group_steps(run())
    drawn = timeline(fold(groups), groups, BEGAN.isoformat(), (BEGAN + timedelta(seconds=110)).isoformat())
    assert drawn
    assert [line.label for line in drawn.lines] == ["first", "outer", "outer.each", "outer.last", "end"]
    assert drawn.ticks[-1] == (1.0, 110.0)
    assert len(drawn.lines[1].bars) == 1, "a subworkflow is one bar, from its inputs to its outputs"
    assert drawn.lines[1].bars[0].width == pytest.approx(1000 * 60 / 110)
    assert len(drawn.lines[2].bars) == 3


@pytest.mark.parametrize(
    ("states", "all_of_them"),
    [
        (["success", "failed", "running"], "failed"),
        (["success", "stopped", "not_run"], "stopped"),
        (["success", "waits"], "waits"),
        (["success", "no_status"], "running"),
        (["success", "skipped"], "success"),
        (["skipped"], "skipped"),
        ([], "no_status"),
    ],
)
def test_the_state_of_several(states: list[str], all_of_them: str) -> None:
    assert state_of_all(states) == all_of_them
