"""What people are told of runs and of their tasks, where Airflow has no word for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.stored import BEGAN

from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.monitoring import expected_duration, queries, step_groups
from cwl_ui_plugin.services.monitoring.run_states import TaskEnd, shown_state, shown_task_state
from cwl_ui_plugin.services.run_models import RunFilter
from cwl_ui_plugin.services.stopping import stops

LATER = BEGAN + timedelta(seconds=9)


@pytest.mark.parametrize(
    ("state", "stopped", "waiting", "shown"),
    [
        ("failed", True, False, "stopped"),
        ("failed", False, False, "failed"),
        ("success", True, True, "success"),
        ("running", False, True, "waiting"),
        ("queued", False, False, "queued"),
    ],
)
def test_a_run_is_told_as_it_is(state: str, stopped: bool, waiting: bool, shown: str) -> None:
    assert shown_state(state, is_stopped=stopped, is_waiting=waiting) == shown


@pytest.mark.parametrize(
    ("state", "end", "stopped_at", "shown"),
    [
        ("failed", TaskEnd(BEGAN, LATER), None, "failed"),
        ("failed", TaskEnd(BEGAN, LATER), BEGAN + timedelta(seconds=1), "stopped"),
        ("failed", TaskEnd(LATER, LATER), BEGAN, "not_run"),
        ("failed", TaskEnd(BEGAN, LATER), LATER + timedelta(seconds=1), "failed"),
        ("failed", TaskEnd(BEGAN, LATER, may_go_on=True), LATER + timedelta(seconds=1), "stopped"),
        ("upstream_failed", TaskEnd(None, None), None, "not_run"),
        ("scheduled", TaskEnd(None, None), None, "waits"),
        ("success", TaskEnd(BEGAN, LATER), BEGAN, "success"),
    ],
)
def test_a_task_is_told_as_it_is(state: str, end: TaskEnd, stopped_at: datetime | None, shown: str) -> None:
    assert shown_task_state(state, end, stopped_at) == shown


@pytest.mark.usefixtures("no_supervisors")
def test_what_a_stop_ended_has_not_failed(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="success", start_date=BEGAN, end_date=BEGAN)
    airflow.set_task(workflow, run_id, "sort", state="running", start_date=BEGAN)
    stops.stop_run(workflow, run_id, user="eve")
    run = queries.get_run(workflow, run_id)
    assert (run.summary.state, run.summary.shown_state, run.summary.stopped_by) == ("failed", "stopped", "eve")
    assert {step.task_id: (step.state, step.shown_state) for step in run.steps} == {
        "CWLJobDispatcher": ("success", "success"),
        "sort": ("failed", "stopped"),
        "count": ("failed", "not_run"),
        "CWLJobGatherer": ("failed", "not_run"),
    }
    lines = step_groups.fold(step_groups.group_steps(run.steps))
    assert [(line.label, line.state) for line in lines] == [("Step sort", "stopped"), ("Step count", "not_run")]


def test_runs_are_filtered_by_what_people_are_told(workflow: str, run_id: str, airflow: Any) -> None:
    from cwl_ui_plugin.services.triggering import triggers

    def found(**wanted: Any) -> set[str]:
        return {run.run_id for run in queries.list_runs([workflow], wanted=RunFilter(**wanted)).items}

    def another(state: str) -> str:
        name = triggers.trigger(workflow, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST).run_id
        airflow.set_run(workflow, name, state)
        return name

    failed, running, asking = another("failed"), another("running"), another("running")
    airflow.set_task(workflow, asking, "sort", state="awaiting_input")
    stops.stop_run(workflow, run_id, user="eve")
    told = {run.run_id: run.shown_state for run in queries.list_runs([workflow]).items}
    assert told == {failed: "failed", running: "running", asking: "waiting", run_id: "stopped"}
    for name, state in told.items():
        assert found(shown_state=state) == {name}
    assert found(state="failed") == {failed, run_id}, "to Airflow a stopped run has failed"
    assert found(state="running") == {running, asking}
    assert found(state="stopped") == {run_id}
    assert found(state="waiting") == {asking}
    for wrong in ({"state": "sleeping"}, {"shown_state": "up_for_retry"}):
        with pytest.raises(BadRequest):
            found(**wrong)


def test_first_and_last_task_are_told_of_in_words(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="failed", start_date=BEGAN, end_date=LATER)
    airflow.push(workflow, run_id, "CWLJobDispatcher", "cwl_error", {"message": "text is missing"})
    for task in ("sort", "count", "CWLJobGatherer"):
        airflow.set_task(workflow, run_id, task, state="upstream_failed")
    airflow.set_run(workflow, run_id, "failed")
    run = queries.get_run(workflow, run_id)
    assert run.error == "The inputs were not accepted: text is missing"
    lines = step_groups.fold(step_groups.group_steps(run.steps))
    assert [(line.label, line.state) for line in lines] == [
        ("The inputs were not accepted", "failed"),
        ("Step sort", "not_run"),
        ("Step count", "not_run"),
    ]


def test_time_for_answers_is_not_expected_again(workflow: str, run_id: str, airflow: Any) -> None:
    """An earlier run of 100 s waited for 60 s for somebody, and worked meanwhile for 10 s of these."""
    from airflow.models.dagrun import DagRun
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from cwl_ui_plugin.services.triggering import triggers

    def at(seconds: int) -> datetime:
        return BEGAN + timedelta(seconds=seconds)

    earlier = triggers.trigger(workflow, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST).run_id
    airflow.set_task(workflow, earlier, "sort", state="success", start_date=at(0), end_date=at(30))
    airflow.set_task(workflow, earlier, "count", state="success", start_date=at(20), end_date=at(80))
    airflow.set_task(workflow, earlier, "CWLJobGatherer", state="success", start_date=at(80), end_date=at(100))
    with create_session() as session:
        values = {"_state": "success", "start_date": at(0), "end_date": at(100)}
        session.execute(update(DagRun).where(DagRun.run_id == earlier).values(values))
    assert expected_duration.expected_seconds(workflow, run_id) == 100
    with create_session() as session:
        asking = session.query(TaskInstance).filter_by(run_id=earlier, task_id="count").one()
        detail = HITLDetail(ti_id=asking.id, options=["Approve"], subject="?", created_at=at(20), responded_at=at(80))
        session.add(detail)
    assert expected_duration.expected_seconds(workflow, run_id) == 100 - 60 + 10
    assert expected_duration.seconds_waited(workflow, earlier) == 50
    assert datetime.now(timezone.utc) > BEGAN
