"""What steps asked for and used, over several runs: no number where nothing was measured."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.stored import push, set_run, set_task, spread

from cwl_ui_plugin.dags import names
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.monitoring import resource_report
from cwl_ui_plugin.services.monitoring.resource_report import StepUse, as_csv, report
from cwl_ui_plugin.services.triggering import triggers

MIB = 1 << 20
USED = {"seconds": 10.0, "cpu_seconds": 12.0, "peak_memory_bytes": 3000 * MIB, "asked_cores": 8.0, "asked_ram": 32768.0}


def use(dag_id: str, run_id: str, task: str = "sort", **more: Any) -> None:
    push(dag_id, run_id, task, names.RETURN_KEY, {names.STATISTICS_KEY: {**USED, **more}})
    set_task(dag_id, run_id, task, state="success", duration=12.0, pool_slots=8)
    set_run(dag_id, run_id, "success")


def of(dag_id: str, run_id: str, task: str = "sort", runs: int = 10) -> StepUse:
    return next(step for step in report(dag_id, run_id, runs).steps if step.task_id == task)


def other_run(dag_id: str) -> str:
    run_id = f"run-{uuid.uuid4()}"
    triggers.trigger(dag_id, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    return run_id


def test_a_step_that_asked_for_too_much_gets_a_suggestion(workflow: str, run_id: str) -> None:
    use(workflow, run_id)
    found = of(workflow, run_id)
    assert (found.asked_cores, found.asked_ram, found.cores, found.max_memory) == (8, 32768, 1.2, 3000 * MIB)
    assert found.hint == "It asked for 32.0 GiB of memory and used 2.9 GiB at most. It asked for 8 cores and used 1.2."
    assert found.suggestion == "ResourceRequirement:\n  coresMin: 2\n  ramMin: 3840"


def test_slots_that_cores_did_not_use_are_idle(workflow: str, run_id: str) -> None:
    use(workflow, run_id)
    found = report(workflow, run_id)
    assert (found.slot_seconds, found.wasted_slot_seconds) == (96.0, 84.0)


def test_what_fits_is_left_alone(workflow: str, run_id: str) -> None:
    use(workflow, run_id, asked_cores=1.0, asked_ram=4096.0, peak_memory_bytes=3000 * MIB, cpu_seconds=9.0)
    assert (of(workflow, run_id).hint, of(workflow, run_id).suggestion) == (None, None)


@pytest.mark.parametrize("more", [{"seconds": 0.4}, {"reused": True}, {"taken_over": True, "reused": True}])
def test_what_was_not_measured_has_no_numbers(workflow: str, run_id: str, more: dict[str, Any]) -> None:
    use(workflow, run_id, **more)
    found = of(workflow, run_id)
    assert (found.measured, found.not_measured, found.runs) == (0, 1, 0)
    assert (found.seconds, found.cores, found.memory, found.wasted_slot_seconds, found.hint) == (None,) * 5
    assert of(workflow, run_id, "count").not_measured == 0


def test_the_last_runs_that_succeeded_count(workflow: str, run_id: str) -> None:
    use(workflow, run_id)
    for memory, state in ((4000, "success"), (5000, "success"), (9000, "failed")):
        other = other_run(workflow)
        use(workflow, other, peak_memory_bytes=memory * MIB, seconds=20.0)
        set_run(workflow, other, state)
    found = of(workflow, run_id)
    assert (found.runs, found.measured, found.memory, found.max_memory) == (3, 3, 4000 * MIB, 5000 * MIB)
    assert (found.seconds, found.max_seconds) == (20.0, 20.0)
    assert of(workflow, run_id, runs=2).max_memory == 5000 * MIB
    assert of(workflow, run_id, runs=1).max_memory == 3000 * MIB


def test_elements_of_a_scatter_are_each_one_measurement(workflow: str, run_id: str) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    spread(workflow, run_id, "sort", 3)
    set_task(workflow, run_id, "sort", state="success")
    with create_session() as session:
        for index in range(3):
            value = {names.STATISTICS_KEY: {**USED, "seconds": 10.0 * (index + 1)}}
            key = {"dag_id": workflow, "run_id": run_id, "task_id": "sort", "map_index": index}
            XComModel.set(key=names.RETURN_KEY, value=value, session=session, serialize=False, **key)
    found = of(workflow, run_id)
    assert (found.measured, found.seconds, found.max_seconds) == (3, 20.0, 30.0)


def test_of_several_elements_side_by_side_no_need_is_known(workflow: str, run_id: str) -> None:
    use(workflow, run_id)
    set_task(workflow, run_id, "sort", _rendered_map_index="a … f")
    found = of(workflow, run_id)
    assert found.suggestion is None
    assert "side by side" in (found.hint or "")


def test_a_failed_step_counts_by_what_its_error_says(workflow: str, run_id: str) -> None:
    push(workflow, run_id, "sort", names.ERROR_KEY, {"message": "x", "used": USED})
    set_task(workflow, run_id, "sort", state="failed", duration=12.0)
    assert of(workflow, run_id).measured == 1


def test_memory_that_is_tight_is_told(workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(workflow, run_id, asked_ram=3072.0, asked_cores=1.0, cpu_seconds=9.0)
    original = resource_report._use
    asking = lambda step, found: original(replace(step, resources={"ram": 3072}), found)  # noqa: E731
    monkeypatch.setattr(resource_report, "_use", asking)
    assert "that is tight" in (of(workflow, run_id).hint or "")


def test_a_table_has_no_formulas(workflow: str, run_id: str, add: Callable[..., Any]) -> None:
    use(workflow, run_id)
    found = report(workflow, run_id)
    hostile = replace(found, steps=(replace(found.steps[0], label='=HYPERLINK("x")'), *found.steps[1:]))
    rows = list(csv.DictReader(io.StringIO(as_csv(hostile))))
    assert rows[0]["label"] == '\'=HYPERLINK("x")'
    assert (rows[0]["max_memory"], rows[1]["max_memory"]) == (str(3000 * MIB), "")


def test_a_run_that_is_not_there_is_not_found(workflow: str) -> None:
    with pytest.raises(NotFound):
        report(workflow, "other")
