"""What rows of tasks and of their earlier tries say: which try ran, which is the last, what became of those before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.run_facts import at

from cwl_ui_plugin.reports import facts
from cwl_ui_plugin.reports.due import RunFacts

START = at(0)


def row(state: str | None, *, task_id: str = "a", number: int = 1, began: float | None = None, **more: Any) -> Any:
    ended = more.pop("ended", None)
    return SimpleNamespace(
        task_id=task_id,
        map_index=more.pop("map_index", -1),
        try_number=number,
        state=state,
        start_date=at(began) if began is not None else None,
        end_date=at(ended) if ended is not None else None,
    )


def facts_of(instances: list[Any], earlier: list[Any], *, state: str = "running", clears: int | None = 0) -> RunFacts:
    run = SimpleNamespace(dag_id="d", run_id="r", id=7, state=state, start_date=START, end_date=None)
    run.clear_number, run.created_at = clears, at(-5)
    return facts._facts(run, instances, earlier, None)  # type: ignore[arg-type]


def tries(found: RunFacts) -> list[tuple[Any, ...]]:
    """Each try: its number, its state, whether it has run, whether it is the last."""
    return [(task.try_number, task.state, task.started is not None, task.is_last) for task in found.tasks]


def test_a_run_and_its_tasks() -> None:
    instances = [row("success", began=1, ended=2), row(None, task_id="b"), row("removed", task_id="c")]
    found = facts_of(instances, [], clears=None)
    assert (found.dag_id, found.run_id, found.run_key, found.state) == ("d", "r", 7, "running")
    assert (found.started, found.ended, found.clear_number, found.total) == (START, None, 0, 2)
    assert found.created == at(-5).isoformat()
    assert tries(found) == [(1, "success", True, True), (1, None, False, True), (1, "removed", False, True)]
    assert (found.tasks[0].started, found.tasks[0].ended) == (at(1), at(2))


def test_a_try_that_is_to_be_followed_is_told_once_though_it_is_in_the_history_already() -> None:
    found = facts_of([row("up_for_retry", began=1, ended=2)], [row("failed", began=1, ended=2)])
    assert tries(found) == [(1, "up_for_retry", True, True)]


@pytest.mark.parametrize(
    ("state", "clears", "told"),
    [
        ("failed", 0, "up_for_retry"),
        ("failed", 1, "failed"),
        ("success", 0, "success"),
        ("skipped", 0, "skipped"),
        ("upstream_failed", None, "up_for_retry"),
    ],
)
def test_what_became_of_an_earlier_try(state: str, clears: int | None, told: str) -> None:
    found = facts_of([row("running", number=2, began=3)], [row(state, began=1, ended=2)], clears=clears)
    assert tries(found) == [(1, told, True, False), (2, "running", True, True)]


def test_a_try_that_was_cleared_has_not_run_again_until_it_does() -> None:
    earlier = [row("success", began=1, ended=2)]
    waiting = facts_of([row(None, began=1, ended=2)], earlier, clears=1)
    assert tries(waiting) == [(1, "success", True, False), (1, None, False, True)]
    by_a_rule = facts_of([row("skipped", began=1, ended=2)], earlier, clears=1)
    assert tries(by_a_rule) == [(1, "success", True, False), (1, "skipped", False, True)]


def test_a_state_that_is_set_without_a_process_has_not_run() -> None:
    found = facts_of([row("failed", began=2, ended=2), row("success", task_id="b", ended=2)], [])
    assert tries(found) == [(1, "failed", False, True), (1, "success", False, True)]


def test_a_try_with_the_start_of_the_one_before_has_not_run() -> None:
    found = facts_of([row("failed", number=2, began=1, ended=9)], [row("failed", began=1, ended=2)])
    assert tries(found) == [(1, "up_for_retry", True, False), (2, "failed", False, True)]


def test_tasks_and_elements_that_begin_at_once_have_each_run() -> None:
    instances = [
        row("running", began=1, map_index=0),
        row("running", began=1, map_index=1),
        row("running", task_id="b", began=1),
    ]
    assert [task.started for task in facts_of(instances, []).tasks] == [at(1)] * 3


@pytest.mark.parametrize(
    ("state", "has_run"),
    [("running", True), ("success", True), ("upstream_failed", True), ("queued", False), ("deferred", False)],
)
def test_only_what_runs_or_has_ended_has_begun(state: str, has_run: bool) -> None:
    assert tries(facts_of([row(state, began=1)], [])) == [(1, state, has_run, True)]


def test_rows_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "RUNS_AT_ONCE", 2)
    numbers: Any = [1, 2, 3, 4, 5]
    assert list(facts.in_parts(numbers)) == [[1, 2], [3, 4], [5]]
    assert list(facts.in_parts([])) == []
