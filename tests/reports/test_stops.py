"""A stop is no failure: reports, the API and lists say who stopped a run, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.reports import records
from cwl_ui_plugin.reports.stops import keep_stop, stop_line, stops_of, without_stop
from cwl_ui_plugin.services.answers import run_json
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.settings import report_delivery
from cwl_ui_plugin.services.stopping import stops

pytestmark = pytest.mark.usefixtures("no_supervisors")
NOW = datetime.now(timezone.utc)


@pytest.fixture(autouse=True)
def nowhere(connection: Any) -> None:
    """A receiver that is not there: what is recorded stays."""
    connection(1)


def reports(dag_id: str, run_id: str) -> list[dict[str, Any]]:
    records.Recorder().record_due(late=True)
    found = report_delivery.reports_of(dag_id, run_id, limit=500).items
    return [{"route": report.route, **report.payload} for report in reversed(found)]


def begin(airflow: Any, dag_id: str, run_id: str) -> None:
    airflow.set_run(dag_id, run_id, "running")
    times = {"start_date": NOW, "end_date": NOW + timedelta(milliseconds=1)}
    airflow.set_task(dag_id, run_id, "CWLJobDispatcher", state="failed", try_number=1, **times)
    airflow.set_task(dag_id, run_id, "sort", state="running", start_date=NOW, try_number=1)


def change_run(dag_id: str, run_id: str, action: Callable[[Any, Any], None]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        action(session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one(), session)


def clear(dag_id: str, run_id: str) -> None:
    from airflow.models.taskinstance import clear_task_instances

    change_run(dag_id, run_id, lambda run, session: clear_task_instances(run.get_task_instances(), session))


def test_reports_say_who_stopped_a_run(workflow: str, run_id: str, airflow: Any) -> None:
    begin(airflow, workflow, run_id)
    stops.stop_run(workflow, run_id, user="ada")
    *tasks, end = reports(workflow, run_id)
    assert (end["state"], end["reason"], end["error"]) == ("failed", "stopped", "Stopped by ada.")
    failed = {report["task_id"]: report for report in tasks if report["state"] == "failed"}
    assert "reason" not in failed.pop("CWLJobDispatcher"), "it had failed by itself"
    assert {report["error"] for report in failed.values()} == {"Stopped by ada."}
    assert set(failed) == {"sort", "count", "CWLJobGatherer"}


def test_a_run_that_fails_by_itself_has_no_reason(workflow: str, run_id: str, airflow: Any) -> None:
    begin(airflow, workflow, run_id)
    airflow.set_run(workflow, run_id, "failed")
    stops.stop_run(workflow, run_id, user="ada")  # of a task that is left
    assert "reason" not in reports(workflow, run_id)[-1]
    assert queries.get_run(workflow, run_id).summary.reason is None


def test_one_stop_is_one_end_whatever_the_scheduler_writes_late(workflow: str, run_id: str, airflow: Any) -> None:
    begin(airflow, workflow, run_id)
    stops.stop_run(workflow, run_id, user="ada")
    before = reports(workflow, run_id)
    airflow.set_run(workflow, run_id, "running")
    airflow.set_task(
        workflow,
        run_id,
        "count",
        state="running",
        start_date=datetime.now(timezone.utc) + timedelta(hours=1),
        try_number=1,
    )
    reports(workflow, run_id)
    stops.stop_run(workflow, run_id, user="eve")
    ends = [report for report in reports(workflow, run_id) if report["route"] == "progress" and "reason" in report]
    assert ends == before[-1:]
    assert queries.get_run(workflow, run_id).summary.stopped_by == "ada"


def test_lists_and_runs_say_who_stopped_them(workflow: str, run_id: str, airflow: Any) -> None:
    begin(airflow, workflow, run_id)
    stops.stop_run(workflow, run_id, user="ada")
    run = queries.get_run(workflow, run_id)
    (listed,) = queries.list_runs([workflow], state="stopped").items
    assert listed.stopped_by == run.summary.stopped_by == "ada"
    assert run.error == "Stopped by ada."
    assert (listed.state, listed.reason) == ("failed", "stopped")
    assert datetime.fromisoformat(str(listed.stopped_at)) >= NOW
    assert run_json(run, None, {}, None)["reason"] == "stopped"
    assert queries.list_runs([workflow], state="failed").total == 1


def test_a_stopped_run_that_is_cleared_is_not_stopped_any_more(workflow: str, run_id: str, airflow: Any) -> None:
    begin(airflow, workflow, run_id)
    stops.stop_run(workflow, run_id, user="ada")
    clear(workflow, run_id)
    assert queries.get_run(workflow, run_id).summary.reason is None
    airflow.set_run(workflow, run_id, "running")
    airflow.set_run(workflow, run_id, "failed")
    assert queries.get_run(workflow, run_id).summary.reason is None
    assert queries.list_runs([workflow], state="stopped").total == 0


def test_a_run_with_the_name_of_a_stopped_one_is_not_stopped(workflow: str, run_id: str, airflow: Any) -> None:
    from cwl_ui_plugin.services.triggering import triggers

    stops.stop_run(workflow, run_id, user="ada")
    change_run(workflow, run_id, lambda run, session: session.delete(run))
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    airflow.set_run(workflow, run_id, "failed")
    assert queries.get_run(workflow, run_id).summary.reason is None
    stops.stop_run(workflow, run_id, user="eve")
    assert queries.get_run(workflow, run_id).summary.reason is None


def set_failed_as_airflow_does(dag: Any, run: Any, session: Any) -> None:
    """Do what Airflow's API does."""
    from airflow.api_fastapi.core_api.datamodels import dag_run as states
    from airflow.api_fastapi.core_api.services.public import dag_run as service

    if not hasattr(service, "patch_dag_run_state"):
        pytest.skip("Airflow 3.2 does not tell its listeners that a user has done it")
    failed = states.DagRunMutableStates.FAILED
    service.patch_dag_run_state(dag=dag, dag_run=run, state=failed, session=session)


@pytest.mark.parametrize("had_ended", [False, True])
def test_a_run_that_a_user_sets_to_failed_in_airflow(workflow: str, run_id: str, airflow: Any, had_ended: bool) -> None:
    from airflow.models.dagbag import DBDagBag
    from airflow.models.log import Log

    begin(airflow, workflow, run_id)
    if had_ended:
        airflow.set_run(workflow, run_id, "success")

    def mark(run: Any, session: Any) -> None:
        session.add(Log(event="patch_dag_run", dag_id=workflow, run_id=run_id, owner="grace"))
        session.commit()
        dag = DBDagBag().get_dag_for_run(dag_run=run, session=session)
        set_failed_as_airflow_does(dag, run, session)

    change_run(workflow, run_id, mark)
    summary = queries.get_run(workflow, run_id).summary
    assert summary.state == "failed"
    assert summary.stopped_by == (None if had_ended else "grace")
    assert reports(workflow, run_id)[-1].get("reason") == (None if had_ended else "stopped")


@pytest.mark.parametrize(
    ("note", "line", "rest"),
    [
        (None, "", ""),
        ("", "", ""),
        ("hello", "", "hello"),
        ("hello\nStopped by ada on Monday.", "", "hello\nStopped by ada on Monday."),
        ("Stopped by ada on Monday.", "Stopped by ada on Monday.", ""),
        ("Stopped by ada on Monday.\nhello\nyou", "Stopped by ada on Monday.", "hello\nyou"),
        ("Stopped by ada on Monday.\n\nhello", "Stopped by ada on Monday.", "\nhello"),
    ],
)
def test_the_note_of_a_run_has_a_line_about_its_stop(note: str | None, line: str, rest: str) -> None:
    assert (stop_line(note), without_stop(note)) == (line, rest)


def stopped(dag_id: str, run_id: str) -> tuple[str, datetime] | None:
    from airflow.utils.session import create_session

    with create_session() as session:
        found = stops_of(session, [(dag_id, run_id), ("no", "such")]).get((dag_id, run_id))
        return (found.user, found.moment) if found else None


def test_the_first_stop_counts_until_a_run_is_cleared_or_made_anew(workflow: str, run_id: str) -> None:
    moments = [datetime.now(timezone.utc) + timedelta(seconds=number) for number in (60, 120, 180, 240)]

    def keep(user: str, moment: datetime) -> None:
        change_run(workflow, run_id, lambda run, session: keep_stop(session, run, user, moment))

    assert stopped(workflow, run_id) is None
    keep("ada", moments[0])
    keep("eve", moments[1])
    assert stopped(workflow, run_id) == ("ada", moments[0])
    change_run(workflow, run_id, lambda run, _session: setattr(run, "clear_number", 1))
    assert stopped(workflow, run_id) is None
    keep("eve", moments[2])
    assert stopped(workflow, run_id) == ("eve", moments[2])
    change_run(workflow, run_id, lambda run, _session: setattr(run, "created_at", moments[3]))
    assert stopped(workflow, run_id) is None, "it is another run of that name"
    keep("bob", moments[3])
    assert stopped(workflow, run_id) == ("bob", moments[3])


@pytest.mark.parametrize(
    ("seconds_before_the_end", "owner", "user"),
    [(0, "grace", "grace"), (300, "grace", "grace"), (301, "grace", None), (-1, "grace", None), (1, "", None)],
)
def test_a_mark_of_airflow_is_a_stop_if_its_log_says_so_at_that_time(
    workflow: str, run_id: str, seconds_before_the_end: float, owner: str, user: str | None
) -> None:
    from airflow.models.log import Log

    from cwl_ui_plugin.reports.listeners import on_dag_run_failed

    def log(run: Any, session: Any, event: str, at: datetime, who: str) -> None:
        row = Log(event=event, dag_id=run.dag_id, run_id=run.run_id, owner=who)
        row.dttm = at
        session.add(row)

    end = datetime.now(timezone.utc) + timedelta(hours=1)
    marked_at = end - timedelta(seconds=seconds_before_the_end)

    def mark(run: Any, session: Any) -> None:
        log(run, session, "patch_dag_run", marked_at, owner)
        log(run, session, "patch_dag_run", marked_at - timedelta(seconds=1), "earlier")
        log(run, session, "clear", marked_at + timedelta(seconds=1), "another event")
        session.flush()
        run.end_date = end
        on_dag_run_failed(run, "DAG run's state was manually set to `failed`")

    change_run(workflow, run_id, mark)
    found = stopped(workflow, run_id)
    assert found == ((user, marked_at) if user else None)


def test_a_run_that_fails_by_itself_is_no_stop_to_the_listener(workflow: str, run_id: str) -> None:
    from airflow.models.log import Log

    from cwl_ui_plugin.reports.listeners import on_dag_run_failed

    def fail(run: Any, session: Any) -> None:
        session.add(Log(event="patch_dag_run", dag_id=run.dag_id, run_id=run.run_id, owner="grace"))
        session.flush()
        run.end_date = datetime.now(timezone.utc)
        on_dag_run_failed(run, "task_failure")

    change_run(workflow, run_id, fail)
    assert stopped(workflow, run_id) is None
