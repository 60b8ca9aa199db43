"""What a stop writes into Airflow's database, and what it says that it has found there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.services.stopping import database_state
from cwl_ui_plugin.services.stopping.database_state import WhichRun, fail_revived, fail_unfinished, which_run

NOW = datetime.now(timezone.utc)
TASKS = {"CWLJobDispatcher", "sort", "count", "CWLJobGatherer"}


def run_of(dag_id: str, run_id: str) -> dict[str, Any]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one()
        return {"state": str(run.state), "note": run.note or "", "id": run.id}


def entries(run_id: str) -> list[tuple[str, str, Any]]:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(Log.event, Log.owner, Log.extra).where(Log.run_id == run_id, Log.event.startswith("cwl_"))
    with create_session() as session:
        return [(event, owner, json.loads(extra or "{}")) for event, owner, extra in session.execute(query)]


def set_note(dag_id: str, run_id: str, text: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one().note = text


def test_a_stop_says_what_it_has_found_and_who_was_first(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="success")
    running = {"state": "running", "hostname": "worker-7", "pid": 42, "start_date": NOW}
    airflow.set_task(workflow, run_id, "sort", **running)
    found = fail_unfinished(workflow, run_id, "ada")
    assert (found.exists, found.had_ended, found.stopped_by, found.clear_number) == (True, False, "ada", 0)
    assert set(found.stopped) == TASKS - {"CWLJobDispatcher"}
    (process,) = found.running
    assert (process.task_id, process.host, process.pid) == ("sort", "worker-7", 42)
    assert process.started_at == pytest.approx(NOW.timestamp())
    assert found.which == which_run(workflow, run_id)
    assert run_of(workflow, run_id)["note"].startswith("Stopped by ada on 2")
    assert entries(run_id) == [("cwl_stop", "ada", {"tasks": 3})]

    again = fail_unfinished(workflow, run_id, "eve")
    assert (again.had_ended, again.stopped_by, again.stopped, again.running) == (True, "ada", (), ())
    assert len(entries(run_id)) == 1


def test_a_task_that_has_told_neither_where_nor_since_when_it_runs(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_task(workflow, run_id, "sort", state="running", hostname="", pid=None, start_date=None)
    (process,) = fail_unfinished(workflow, run_id, "ada").running
    assert (process.host, process.pid) == ("", 0)
    assert abs(process.started_at - datetime.now(timezone.utc).timestamp()) < 600


def test_what_people_have_written_stays_below_who_stopped_it(workflow: str, run_id: str) -> None:
    set_note(workflow, run_id, "of patient 7\nurgent")
    found = fail_unfinished(workflow, run_id, "Ada on call")
    first, *rest = run_of(workflow, run_id)["note"].splitlines()
    assert (found.stopped_by, rest) == ("Ada on call", ["of patient 7", "urgent"])
    assert first.startswith("Stopped by Ada on call on ")
    assert first.endswith(" UTC.")


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_task_that_is_left_of_a_run_that_has_ended_is_failed(
    workflow: str, run_id: str, airflow: Any, state: str
) -> None:
    for task in TASKS - {"sort"}:
        airflow.set_task(workflow, run_id, task, state="success")
    airflow.set_task(workflow, run_id, "sort", state="queued")
    airflow.set_run(workflow, run_id, state)
    found = fail_unfinished(workflow, run_id, "ada")
    assert (found.had_ended, found.stopped) == (True, ("sort",))
    assert run_of(workflow, run_id)["state"] == "failed"
    assert entries(run_id) == [("cwl_stop", "ada", {"tasks": 1})]


def test_listeners_are_told_as_airflow_does_and_only_of_what_ran(
    workflow: str, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.listeners import listener

    told: list[tuple[str, str]] = []

    class Hook:
        def on_task_instance_failed(self, *, previous_state: Any, task_instance: Any, error: str) -> None:
            told.append((task_instance.task_id, error))

        def on_dag_run_failed(self, *, dag_run: Any, msg: str) -> None:
            told.append((dag_run.run_id, msg))
            raise RuntimeError("of a listener")

    class Manager:
        hook = Hook()

    monkeypatch.setattr(listener, "get_listener_manager", Manager)
    airflow.set_task(workflow, run_id, "sort", state="running")
    fail_unfinished(workflow, run_id, "ada")
    assert told == [("sort", "Stopped by ada."), (run_id, "Stopped by ada.")]
    assert run_of(workflow, run_id)["state"] == "failed"
    airflow.set_task(workflow, run_id, "sort", state="running")
    fail_unfinished(workflow, run_id, "eve")
    assert told[2:] == [("sort", "Stopped by eve.")], "the run had failed already"


def test_elements_are_named_with_their_numbers(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_task(workflow, run_id, "sort", map_index=0)
    airflow.set_task(workflow, run_id, "count", map_index=12)
    assert {"sort[0]", "count[12]"} < set(fail_unfinished(workflow, run_id, "ada").stopped)


@pytest.mark.parametrize("change", [{"row": 0}, {"run_after": "2001-01-01T00:00:00.000000+00:00"}])
def test_another_run_of_the_name_is_left_alone(workflow: str, run_id: str, change: dict[str, Any]) -> None:
    which = which_run(workflow, run_id)
    assert which is not None
    other = replace(which, **change)
    assert not fail_unfinished(workflow, run_id, "ada", other).exists
    assert database_state.delete_run(workflow, run_id, "ada", other) is None
    assert run_of(workflow, run_id)["state"] == "queued"
    assert fail_unfinished(workflow, run_id, "ada", which).stopped
    assert database_state.delete_run(workflow, run_id, "ada", which) is not None
    assert which_run(workflow, run_id) is None
    assert entries(run_id)[-1][:2] == ("cwl_remove", "ada")


def test_a_run_that_is_not_there(workflow: str) -> None:
    assert which_run(workflow, "none") is None
    assert fail_unfinished(workflow, "none", "ada") == database_state.FoundRun()
    assert database_state.delete_run(workflow, "none", "ada") is None
    assert entries("none") == []


def test_a_revived_run_is_failed_again_unless_it_was_cleared_or_is_another(workflow: str, run_id: str) -> None:
    which = which_run(workflow, run_id)
    assert which is not None
    stone = Tombstone(workflow, run_id, "ada", 0.0, 0, which.run_after, which.row)
    assert not fail_revived(replace(stone, row=which.row + 1)).exists
    assert not fail_revived(replace(stone, clear_number=-1)).exists
    assert run_of(workflow, run_id)["state"] == "queued"
    assert set(fail_revived(stone).stopped) == TASKS
    assert entries(run_id) == [("cwl_stop", "ada", {"tasks": 4})]


def test_the_last_instance_is_the_one_that_was_made_last(workflow: str, run_id: str) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        ids = [str(key) for key in session.scalars(select(TaskInstance.id).where(TaskInstance.run_id == run_id))]
        assert database_state.last_instance(session, workflow, run_id) == max(ids)
        assert database_state.last_instance(session, workflow, "none") is None
    assert database_state.delete_run(workflow, run_id, "ada") == max(ids)


@pytest.mark.parametrize(("state", "is_removed"), [("running", False), ("queued", False), ("failed", True)])
def test_files_are_removed_only_of_a_run_that_has_ended(
    workflow: str, run_id: str, airflow: Any, state: str, is_removed: bool
) -> None:
    airflow.set_run(workflow, run_id, state)
    folder = run_folder.run_tmp(workflow, run_id)
    folder.mkdir(parents=True)
    told: list[bool] = []
    assert database_state.remove_files(workflow, run_id, lambda: told.append(folder.exists())) is is_removed
    assert folder.exists() is not is_removed
    assert told == ([True] if is_removed else [])


def test_files_of_a_run_that_is_gone_are_removed(workflow: str) -> None:
    folder = run_folder.run_tmp(workflow, "gone")
    folder.mkdir(parents=True)
    assert database_state.remove_files(workflow, "gone")
    assert not folder.exists()


def test_a_run_is_told_from_others_by_its_row_and_the_moment_it_was_to_begin(workflow: str, run_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter_by(run_id=run_id).one()
        run.run_after = NOW + timedelta(hours=3)
        key = run.id
    assert which_run(workflow, run_id) == WhichRun(key, tombstones.moment(NOW + timedelta(hours=3)))
