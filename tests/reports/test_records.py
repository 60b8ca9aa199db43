"""What happens to runs in Airflow's database becomes reports: cleared, set by hand, deleted, retried."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.reports import records, reporter
from cwl_ui_plugin.reports.deleted import Deletions
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.settings import report_delivery

NOW = datetime.now(timezone.utc)
RECORDER, DELETIONS = records.Recorder(), Deletions()


@pytest.fixture(autouse=True)
def nowhere(connection: Any) -> None:
    """A receiver that is not there: what is recorded stays."""
    connection(1)


def told(dag_id: str, run_id: str) -> list[str]:
    """What the reports of a run say, in order."""
    DELETIONS.round(late=True)
    RECORDER.record_due(late=True)
    return told_now(dag_id, run_id)


def told_now(dag_id: str, run_id: str) -> list[str]:
    return [report.about for report in reversed(report_delivery.reports_of(dag_id, run_id, limit=500).items)]


def change_run(dag_id: str, run_id: str, action: Callable[[Any, Any], None]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        action(session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one(), session)


def clear(dag_id: str, run_id: str, *task_ids: str) -> None:
    from airflow.models.taskinstance import clear_task_instances

    def action(run: Any, session: Any) -> None:
        tasks = [task for task in run.get_task_instances(session=session) if task.task_id in task_ids]
        clear_task_instances(tasks, session)

    change_run(dag_id, run_id, action)


def delete(dag_id: str, run_id: str) -> None:
    change_run(dag_id, run_id, lambda run, session: session.delete(run))


def begin(airflow: Any, dag_id: str, run_id: str, task_id: str = "CWLJobDispatcher") -> None:
    airflow.set_run(dag_id, run_id, "running")
    airflow.set_task(dag_id, run_id, task_id, state="running", start_date=NOW, try_number=1)


def test_a_run_that_waits_for_its_start_has_nothing_to_tell(workflow: str, run_id: str) -> None:
    assert told(workflow, run_id) == []


def test_a_run_set_to_failed_by_hand_and_then_to_success(workflow: str, ended_run: str, airflow: Any) -> None:
    assert told(workflow, ended_run)[-2:] == ["success, 100 %", "1 outputs"]
    airflow.set_run(workflow, ended_run, "failed")
    assert told(workflow, ended_run)[-1] == "failed, 100 %"
    airflow.set_run(workflow, ended_run, "success")
    assert told(workflow, ended_run)[-2:] == ["success, 100 %", "1 outputs"]


def test_a_task_of_an_ended_run_set_to_another_state_by_hand(workflow: str, ended_run: str, airflow: Any) -> None:
    before = told(workflow, ended_run)
    airflow.set_task(workflow, ended_run, "sort", state="failed", updated_at=NOW + timedelta(hours=1))
    assert told(workflow, ended_run) == [*before, "sort: failed"]


def test_a_run_cleared_and_run_again(workflow: str, ended_run: str, airflow: Any) -> None:
    before = told(workflow, ended_run)
    clear(workflow, ended_run, "count", "CWLJobGatherer")
    assert told(workflow, ended_run) == before
    airflow.set_run(workflow, ended_run, "running")
    times = {"start_date": NOW + timedelta(minutes=1), "end_date": NOW + timedelta(minutes=2)}
    airflow.set_task(workflow, ended_run, "count", state="success", try_number=2, **times)
    assert told(workflow, ended_run)[len(before) :] == [
        "count: running, try 2",
        "count: success, try 2",
        "running, 75 %",
    ]


def test_a_try_that_ended_and_was_cleared_before_anybody_looked(workflow: str, ended_run: str, airflow: Any) -> None:
    airflow.set_task(workflow, ended_run, "count", state="failed")
    airflow.set_run(workflow, ended_run, "failed")
    clear(workflow, ended_run, "count")
    airflow.set_run(workflow, ended_run, "running")
    assert {"count: running", "count: failed"} <= set(told(workflow, ended_run))


def test_a_try_that_failed_and_was_followed_by_another_was_to_be_retried(
    workflow: str, run_id: str, airflow: Any
) -> None:
    from airflow.models.taskinstance import TaskInstance

    begin(airflow, workflow, run_id, "sort")

    def fail(run: Any, session: Any) -> None:
        task = run.get_task_instance("sort", session=session)
        assert isinstance(task, TaskInstance)
        task.end_date = NOW + timedelta(seconds=1)
        task.prepare_db_for_next_try(session)
        task.state = "up_for_retry"

    change_run(workflow, run_id, fail)
    assert told(workflow, run_id) == ["sort: running", "sort: up for retry"]
    airflow.set_task(workflow, run_id, "sort", state="running", try_number=2, start_date=NOW + timedelta(seconds=5))
    assert told(workflow, run_id)[2:] == ["sort: running, try 2"]


@pytest.mark.parametrize("seen", [True, False])
def test_a_retry_is_the_same_whether_it_was_seen_or_not(workflow: str, run_id: str, airflow: Any, seen: bool) -> None:
    begin(airflow, workflow, run_id, "sort")

    def fail(run: Any, session: Any) -> None:
        task = run.get_task_instance("sort", session=session)
        task.end_date = NOW + timedelta(seconds=1)
        task.prepare_db_for_next_try(session)
        task.state = "up_for_retry"

    change_run(workflow, run_id, fail)
    if seen:
        told(workflow, run_id)
    airflow.set_task(workflow, run_id, "sort", state="running", try_number=2, start_date=NOW + timedelta(seconds=5))
    assert told(workflow, run_id) == ["sort: running", "sort: up for retry", "sort: running, try 2"]


def test_states_that_no_listener_tells(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_run(workflow, run_id, "running")
    for task_id, state in (("sort", "skipped"), ("count", "upstream_failed")):
        airflow.set_task(workflow, run_id, task_id, state=state, start_date=NOW, end_date=NOW)
    assert sorted(told(workflow, run_id)) == ["count: upstream failed", "running, 25 %", "sort: skipped"]


def test_a_run_deleted_in_flight(workflow: str, run_id: str, airflow: Any) -> None:
    begin(airflow, workflow, run_id)
    assert told(workflow, run_id) == ["CWLJobDispatcher: running"]
    delete(workflow, run_id)
    assert told(workflow, run_id) == ["CWLJobDispatcher: running", "failed, 0 %"]
    last = report_delivery.reports_of(workflow, run_id).items[0]
    assert last.payload["error"] == "The run was deleted before its end."
    assert told(workflow, run_id) == ["CWLJobDispatcher: running", "failed, 0 %"]


def test_a_run_deleted_after_its_end_has_nothing_more_to_tell(workflow: str, ended_run: str) -> None:
    before = told(workflow, ended_run)
    delete(workflow, ended_run)
    assert told(workflow, ended_run) == before


def test_a_run_of_the_same_name_is_told_from_its_start_and_goes_on_counting(
    workflow: str, run_id: str, airflow: Any
) -> None:
    from cwl_ui_plugin.services.triggering import triggers

    begin(airflow, workflow, run_id)
    told(workflow, run_id)
    delete(workflow, run_id)
    told(workflow, run_id)
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    begin(airflow, workflow, run_id)
    assert told(workflow, run_id) == ["CWLJobDispatcher: running", "failed, 0 %", "CWLJobDispatcher: running"]
    found = report_delivery.reports_of(workflow, run_id).items
    assert [report.sequence for report in found] == [3, 2, 1]
    assert len({report.payload["report_id"] for report in found}) == 3


@pytest.mark.usefixtures("no_supervisors")
def test_a_run_that_is_stopped_and_removed_keeps_its_last_reports(workflow: str, run_id: str, airflow: Any) -> None:
    from cwl_ui_plugin.services.stopping import stops

    begin(airflow, workflow, run_id)
    stops.stop_run(workflow, run_id, user="ada", remove=True)
    about = told(workflow, run_id)
    assert about[-1] == "stopped, 0 %"
    assert "The run was deleted" not in report_delivery.reports_of(workflow, run_id).items[0].payload["error"]
    assert report_delivery.delivery_state().waiting == len(about)


def test_a_run_of_more_than_one_look_is_not_missed(workflow: str, run_id: str, airflow: Any) -> None:
    """Runs that only wait do not keep others from being looked at."""
    from cwl_ui_plugin.services.triggering import triggers

    for number in range(60):
        name = f"w{number}"
        triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
        airflow.set_run(workflow, name, "running")
    begin(airflow, workflow, "w59")
    assert told(workflow, "w59") == ["CWLJobDispatcher: running"]


def test_two_that_record_the_same_do_it_once(workflow: str, ended_run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    due = records.due_reports

    def with_a_rival(run: Any, known: Any) -> Any:
        monkeypatch.setattr(records, "due_reports", due)
        reporter.keep_run(workflow, ended_run)
        return due(run, known)

    monkeypatch.setattr(records, "due_reports", with_a_rival)
    once = told(workflow, ended_run)
    assert once.count("1 outputs") == 1
    assert len(once) == len(told(workflow, ended_run))


@pytest.mark.parametrize("function", ["due_reports", "with_outcome"])
def test_a_run_whose_reports_cannot_be_made_keeps_no_other_from_its_own(
    workflow: str, ended_run: str, airflow: Any, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    from cwl_ui_plugin.services.triggering import triggers

    recorder, really = records.Recorder(), getattr(records, function)
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id="another", user="ada", via=triggers.REST)
    begin(airflow, workflow, "another")

    def failing(run: Any, *rest: Any, **more: Any) -> Any:
        if run.run_id == ended_run:
            raise ValueError("no such text")
        return really(run, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(records, function, failing)
        recorder.record_due(late=True)
        assert told_now(workflow, "another") == ["CWLJobDispatcher: running"]
        assert told_now(workflow, ended_run) == []
    recorder.record_due(late=True)
    assert told_now(workflow, ended_run) == []
    monkeypatch.setattr(recorder.put_aside, "seconds", 0)
    recorder.record_due(late=True)
    assert told_now(workflow, ended_run)[-2:] == ["success, 100 %", "1 outputs"]


def test_reports_of_a_run_that_never_was(workflow: str) -> None:
    with pytest.raises(NotFound):
        report_delivery.reports_of(workflow, "nothing")


def test_a_try_that_was_queued_but_never_ran_has_not_started(workflow: str, run_id: str, airflow: Any) -> None:
    begin(airflow, workflow, run_id, "sort")

    def fail(run: Any, session: Any) -> None:
        task = run.get_task_instance("sort", session=session)
        task.end_date = NOW + timedelta(seconds=1)
        task.prepare_db_for_next_try(session)

    change_run(workflow, run_id, fail)
    airflow.set_task(workflow, run_id, "sort", state="up_for_retry", try_number=2, end_date=NOW + timedelta(seconds=9))
    assert told(workflow, run_id) == ["sort: running", "sort: up for retry", "sort: up for retry, try 2"]


def age(dag_id: str, run_id: str, hours: float) -> None:
    """Let what was recorded of a run be so old."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import ReportState

    with create_session() as session:
        session.get(ReportState, (dag_id, run_id)).updated_at -= timedelta(hours=hours)


@pytest.mark.parametrize("late", [True, False])
def test_an_end_that_is_written_late_with_an_older_time_stamp(
    workflow: str, ended_run: str, airflow: Any, late: bool
) -> None:
    before = told(workflow, ended_run)
    airflow.set_task(workflow, ended_run, "sort", state="failed", updated_at=NOW - timedelta(hours=1))
    RECORDER.record_due(late=late)
    assert told_now(workflow, ended_run) == [*before, "sort: failed"]


def test_an_end_with_an_older_time_stamp_hours_after_the_end_of_the_run(
    workflow: str, ended_run: str, airflow: Any
) -> None:
    before = told(workflow, ended_run)
    age(workflow, ended_run, hours=2)
    airflow.set_task(workflow, ended_run, "sort", state="failed", updated_at=NOW - timedelta(days=1))
    RECORDER.record_due(late=False)
    assert told_now(workflow, ended_run) == before
    assert told(workflow, ended_run) == [*before, "sort: failed"]


def test_all_runs_of_a_day_are_compared_in_turn(
    workflow: str, airflow: Any, end: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.reports import facts
    from cwl_ui_plugin.services.triggering import triggers

    monkeypatch.setattr(facts, "COMPARED_RUNS", 2)
    names = [f"d{number}" for number in range(5)]
    for name in names:
        triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
        end(workflow, name)
    recorder = records.Recorder()
    recorder.record_due(late=True)
    for name in names:
        age(workflow, name, hours=2)
        airflow.set_task(workflow, name, "sort", state="failed", updated_at=NOW - timedelta(days=1))
    for _turn in range(3):
        recorder.record_due(late=True)
    assert [told_now(workflow, name)[-1] for name in names] == ["sort: failed"] * 5


def test_an_end_whose_moment_is_written_again_is_told_once(workflow: str, ended_run: str) -> None:
    def move(run: Any, _session: Any) -> None:
        run.end_date += timedelta(seconds=7)

    before = told(workflow, ended_run)
    change_run(workflow, ended_run, move)
    assert told(workflow, ended_run) == before


def test_a_run_that_ended_before_anybody_was_to_be_told_stays_history(
    workflow: str, ended_run: str, airflow: Any
) -> None:
    records.discard_runs_without_receiver()
    airflow.set_task(workflow, ended_run, "sort", state="failed", updated_at=NOW + timedelta(hours=1))
    assert told(workflow, ended_run) == []


def test_a_run_of_the_same_name_before_anybody_looked(workflow: str, run_id: str, airflow: Any) -> None:
    """The deletion is told, whoever notices it first."""
    from cwl_ui_plugin.services.triggering import triggers

    begin(airflow, workflow, run_id)
    told(workflow, run_id)
    delete(workflow, run_id)
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    begin(airflow, workflow, run_id)
    RECORDER.record_due()
    assert told(workflow, run_id) == ["CWLJobDispatcher: running", "failed, 0 %", "CWLJobDispatcher: running"]
