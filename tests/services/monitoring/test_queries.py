"""What is shown of a run is what Airflow's database says."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import triggers


def test_a_new_run_shows_the_steps_in_the_workflows_order(workflow: str, run_id: str) -> None:
    run = queries.get_run(workflow, run_id)
    assert [step.task_id for step in run.steps] == ["CWLJobDispatcher", "sort", "count", "CWLJobGatherer"]
    assert [step.label for step in run.steps[1:3]] == ["Step sort", "Step count"]
    assert {step.state for step in run.steps} == {"no_status"}
    assert (run.progress, run.error, run.outputs, run.job) == (0, None, None, {"text": "x"})
    assert run.version is not None


def test_a_run_that_succeeded_has_outputs_and_statistics(workflow: str, run_id: str, airflow: Any) -> None:
    for task in ("CWLJobDispatcher", "sort", "CWLJobGatherer"):
        airflow.set_task(workflow, run_id, task, state="success")
    airflow.set_task(workflow, run_id, "count", state="skipped")
    statistics = {"command": ["sort", "x"], "exit_code": 0, "seconds": 1.5, "cpu_seconds": 1.0, "peak_memory_bytes": 9}
    airflow.push(workflow, run_id, "sort", "return_value", {"cwl:main#sort/out": [1], "cwl:statistics": statistics})
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"lines": 3})
    assert queries.get_run(workflow, run_id).progress == 99  # the run has not ended yet
    airflow.set_run(workflow, run_id, "success")

    run = queries.get_run(workflow, run_id)
    assert run.summary.state == "success"
    assert (run.progress, run.outputs, run.error) == (100, {"lines": 3}, None)
    step = next(step for step in run.steps if step.task_id == "sort")
    assert (step.command, step.exit_code, step.peak_memory_bytes) == (("sort", "x"), 0, 9)


def test_a_run_that_failed_says_which_step_and_why(workflow: str, run_id: str, airflow: Any) -> None:
    ended = datetime.now(timezone.utc)
    airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="success")
    airflow.set_task(workflow, run_id, "sort", state="failed", end_date=ended)
    airflow.set_task(workflow, run_id, "count", state="failed", end_date=ended + timedelta(seconds=1))
    error = {"message": "Exit code 3", "kind": "permanentFail", "exit_code": 3, "stderr": "no such file"}
    airflow.push(workflow, run_id, "sort", "cwl_error", error)
    airflow.set_run(workflow, run_id, "failed")

    run = queries.get_run(workflow, run_id)
    assert run.error == "Step sort: Exit code 3"
    step = next(step for step in run.steps if step.task_id == "sort")
    assert (step.error, step.exit_code, step.stderr) == ("Exit code 3", 3, "no such file")
    assert run.progress == 25


def test_an_error_of_an_earlier_try_is_no_error_of_a_step_that_succeeded(
    workflow: str, run_id: str, airflow: Any
) -> None:
    airflow.push(workflow, run_id, "sort", "cwl_error", {"message": "old", "exit_code": 1, "stderr": ""})
    airflow.set_task(workflow, run_id, "sort", state="success")
    step = next(step for step in queries.get_run(workflow, run_id).steps if step.task_id == "sort")
    assert step.error is None


def test_a_run_keeps_showing_the_version_it_started_with(
    workflow: str, run_id: str, add: Callable[..., StoredVersion]
) -> None:
    before = queries.get_run(workflow, run_id).version
    after = add(workflow, "changed", ("other",)).digest
    assert queries.get_run(workflow, run_id).version == before != after


def test_runs_are_listed_newest_first_and_filtered(workflow: str, run_id: str, airflow: Any) -> None:
    newest = triggers.trigger(workflow, conf={"job": {"text": "y"}}, user="eve", via=triggers.REST).run_id
    airflow.set_run(workflow, run_id, "failed")
    page = queries.list_runs([workflow])
    assert [run.run_id for run in page.items] == [newest, run_id]
    assert page.total == 2
    assert [run.user for run in page.items] == ["eve", "ada"]
    assert [run.run_id for run in queries.list_runs([workflow], state="failed").items] == [run_id]
    second = queries.list_runs([workflow], limit=1, offset=1)
    assert ([run.run_id for run in second.items], second.total) == ([run_id], 2)
    assert queries.list_runs([]).total == 0
    with pytest.raises(BadRequest):
        queries.list_runs(state="sleeping")


def test_runs_of_other_dags_are_not_listed(other_dag: str) -> None:
    assert queries.list_runs([other_dag]).total == 0


def test_the_number_of_queries_does_not_grow_with_the_list(workflow: str, statements: list[str]) -> None:
    def count() -> int:
        statements.clear()
        queries.list_runs([workflow])
        return len(statements)

    for _ in range(2):
        triggers.trigger(workflow, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    few = count()
    for _ in range(8):
        triggers.trigger(workflow, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    assert count() == few <= 6


def test_a_run_is_shown_with_few_queries(workflow: str, run_id: str, statements: list[str]) -> None:
    statements.clear()
    queries.get_run(workflow, run_id)
    assert len(statements) <= 7, statements


def test_a_run_that_does_not_exist_is_not_found(workflow: str) -> None:
    with pytest.raises(NotFound):
        queries.get_run(workflow, f"never-{uuid.uuid4()}")
    with pytest.raises(NotFound):
        queries.get_run("never", "never")


def test_a_look_for_news_reads_the_tasks_of_one_run_only(workflow: str, run_id: str) -> None:
    from airflow.settings import get_engine
    from sqlalchemy import event

    sent: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        sent.append((statement, parameters))

    engine = get_engine()
    event.listen(engine, "before_cursor_execute", listen)
    try:
        queries.run_stamp(workflow, run_id)
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    ((statement, parameters),) = [one for one in sent if "FROM task_instance" in one[0]]
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert any("run_id=?" in str(row) for row in plan), plan
