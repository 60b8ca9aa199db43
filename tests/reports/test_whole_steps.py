"""The state of a scattered step, as receivers of the predecessors are told it, from what its elements do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.run_facts import task

from cwl_ui_plugin.reports.whole_steps import WholeSteps


def element(number: int, try_number: int = 1, task_id: str = "s") -> Any:
    return replace(task(task_id, 0), map_index=number, try_number=try_number)


def steps(size: int, **told: str) -> WholeSteps:
    """A scattered step ``s`` of so many elements, and what was told of them: ``e0_1`` is the first try of the first."""
    keys = {f"s|{key[1:].replace('_', '|')}": state for key, state in told.items()}
    return WholeSteps([element(number) for number in range(size)], keys)


def test_a_task_that_is_not_mapped_is_told_as_it_is() -> None:
    whole = WholeSteps([task("a", 0)], {"a|-1|1": "running"})
    assert whole.after(task("a", 0), "running") == "running"
    assert whole.after(task("a", 0), "running") == "running"


def test_a_step_runs_from_its_first_element_until_its_last_has_ended() -> None:
    whole = steps(2)
    assert [
        whole.after(element(0), "running"),
        whole.after(element(1), "running"),
        whole.after(element(0), "success"),
        whole.after(element(1), "success"),
    ] == ["running", None, None, "success"]


def test_an_element_that_has_ended_before_the_others_begin_ends_nothing() -> None:
    whole = steps(2, e0_1="success")
    assert whole.after(element(1), "running") is None
    assert whole.after(element(1), "success") == "success"


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ("skipped", "skipped", "skipped"),
        ("skipped", "success", "success"),
        ("success", "failed", "failed"),
        ("failed", "up_for_retry", "failed"),
        ("failed", "upstream_failed", "failed"),
        ("upstream_failed", "up_for_retry", "upstream_failed"),
        ("success", "up_for_retry", "up_for_retry"),
    ],
)
def test_the_worst_of_its_elements_counts(first: str, second: str, state: str) -> None:
    for one, other in ((first, second), (second, first)):
        whole = steps(2, e0_1="running", e1_1="running")
        told = [whole.after(element(0), one), whole.after(element(1), other)]
        assert next(found for found in reversed(told) if found) == state


def test_the_last_try_of_an_element_counts_however_late_an_earlier_one_is_told() -> None:
    whole = steps(1, e0_1="up_for_retry")
    assert whole.after(element(0, 2), "running") == "running"
    assert whole.after(element(0, 1), "failed") is None
    assert whole.after(element(0, 2), "success") == "success"
    assert whole.after(element(0, 10), "failed") == "failed"


def test_a_state_that_is_told_again_of_the_same_try_replaces_the_one_before() -> None:
    whole = steps(2, e0_1="failed", e1_1="success")
    assert whole.after(element(0), "success") == "success"


def test_what_was_told_goes_on_where_it_was() -> None:
    assert steps(2, e0_1="running").after(element(1), "running") is None
    assert steps(2, e0_1="success", e1_1="running").after(element(1), "success") == "success"


def test_steps_do_not_meet_and_names_may_have_any_character() -> None:
    tasks = [element(0, task_id="a|b"), element(0, task_id="c")]
    whole = WholeSteps(tasks, {"a|b|0|1": "failed", "d|0|1": "failed", "c|-1|1": "failed"})
    assert whole.after(element(0, task_id="c"), "running") == "running"
    assert whole.after(element(0, task_id="a|b"), "failed") is None
    assert whole.after(element(0, 2, task_id="a|b"), "success") == "success"
