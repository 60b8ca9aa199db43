"""Which beginnings of a run a tombstone covers, what the API server does as long as it is watched, and when it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from support.stored import set_run, set_task

from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Begun, StopCheck, Tombstone
from cwl_ui_plugin.services.cleaning import cleanup
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.stopping import stops, tombstone_watch
from cwl_ui_plugin.services.triggering import triggers

FIRST = "CWLJobDispatcher"


def begun(dag_id: str, run_id: str, task_id: str = FIRST) -> Begun:
    """What Airflow would tell a task that starts now."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, select

    same = and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
    query = select(DagRun.run_after, DagRun.clear_number, TaskInstance.id).join(DagRun, same)
    query = query.where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
    with create_session(scoped=False) as session:
        after, number, instance = session.execute(query).one()
    return Begun(after, number, str(instance))


def clear(dag_id: str, run_id: str, task_id: str, **options: Any) -> None:
    """Clear one task as Airflow's API does."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    with create_session(scoped=False) as session:
        found = list(session.scalars(query.where(TaskInstance.task_id == task_id)))
        clear_task_instances(found, session, **options)


def why(dag_id: str, run_id: str, what: Begun) -> str | None:
    error = StopCheck(dag_id, run_id, what).found()
    return error.message if error else None


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> tombstone_watch.StopWatch:
    """The API server's round, which looks each time."""
    monkeypatch.setattr(tombstone_watch, "LOOK_SECONDS", 0)
    return tombstone_watch.StopWatch()


def states(dag_id: str, run_id: str) -> set[str]:
    run = queries.get_run(dag_id, run_id)
    return {run.summary.state, *(step.state for step in run.steps)}


def test_a_stopped_run_is_stopped_and_no_other(workflow: str, run_id: str) -> None:
    before = begun(workflow, run_id)
    assert why(workflow, run_id, before) is None
    stops.stop_run(workflow, run_id, user="ada")
    assert why(workflow, run_id, before) == "Stopped by ada."
    stops.stop_run(workflow, run_id, user="eve")
    assert why(workflow, run_id, before) == "Stopped by ada."
    assert why(workflow, f"{run_id}-2", before) is None


def test_the_tombstone_is_there_before_a_stop_looks(
    workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    listed = control_files.listed

    def look(folder: Any) -> Any:
        seen.append(tombstones.find(workflow, run_id) is not None)
        return listed(folder)

    monkeypatch.setattr(control_files, "listed", look)
    stops.stop_run(workflow, run_id, user="ada")
    assert seen
    assert all(seen)


@pytest.mark.parametrize("task_id", [FIRST, "count"])
def test_a_clear_of_a_run_or_of_one_task_lets_it_start(
    workflow: str, run_id: str, task_id: str, watch: tombstone_watch.StopWatch
) -> None:
    before = begun(workflow, run_id, task_id)
    stops.stop_run(workflow, run_id, user="ada")
    clear(workflow, run_id, task_id)
    after = begun(workflow, run_id, task_id)
    assert why(workflow, run_id, after) is None
    assert why(workflow, run_id, before) == "Stopped by ada."
    watch()
    assert "queued" in states(workflow, run_id)  # it is left alone
    assert list(tombstones.watched()) == []
    assert why(workflow, run_id, before) == "Stopped by ada."
    stops.stop_run(workflow, run_id, user="eve")
    assert why(workflow, run_id, after) == "Stopped by eve."


def test_a_run_that_is_cleared_while_its_stop_goes_on_is_stopped_with_it(
    workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    word, cleared = stops.leave_word, []

    def leave(*arguments: Any) -> None:
        word(*arguments)
        if not cleared:
            cleared.append(True)
            clear(workflow, run_id, FIRST)

    monkeypatch.setattr(stops, "leave_word", leave)
    stops.stop_run(workflow, run_id, user="ada")
    assert states(workflow, run_id) == {"failed"}
    assert why(workflow, run_id, begun(workflow, run_id)) == "Stopped by ada."


def test_what_is_cleared_without_its_run_and_queued_by_hand_starts_once_all_is_quiet(
    workflow: str, run_id: str, watch: tombstone_watch.StopWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's API can do that (``reset_dag_runs: false``), and the number of clears stays."""
    before = begun(workflow, run_id)
    stops.stop_run(workflow, run_id, user="ada")
    monkeypatch.setattr(tombstone_watch, "QUIET_SECONDS", 0)
    watch()
    assert list(tombstones.watched()) == []
    assert why(workflow, run_id, before) == "Stopped by ada."
    clear(workflow, run_id, FIRST, dag_run_state=False)
    set_run(workflow, run_id, "queued")
    assert begun(workflow, run_id).clear_number == before.clear_number
    assert why(workflow, run_id, begun(workflow, run_id)) is None
    watch()
    assert "queued" in states(workflow, run_id)


def test_a_run_of_the_same_id_starts_after_the_first_was_removed(workflow: str, run_id: str) -> None:
    before = begun(workflow, run_id)
    stops.stop_run(workflow, run_id, user="ada", remove=True)
    assert list(tombstones.watched()) == []
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    after = begun(workflow, run_id)
    assert why(workflow, run_id, after) is None
    assert why(workflow, run_id, replace(after, run_after=before.run_after)) is None  # also if that were the same
    assert why(workflow, run_id, before) == "Stopped by ada."


def test_tasks_of_a_run_that_airflow_has_deleted_are_stopped_later_runs_not(workflow: str, run_id: str) -> None:
    from cwl_ui_plugin.services.stopping.database_state import delete_run

    before = begun(workflow, run_id)
    delete_run(workflow, run_id, "ada")
    stops.stop_run(workflow, run_id, user="ada")
    assert why(workflow, run_id, before) == "Stopped by ada."
    time.sleep(0.002)  # ids have the millisecond
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    assert why(workflow, run_id, begun(workflow, run_id)) is None


@pytest.mark.parametrize("state", ["queued", "scheduled", "running", "up_for_retry", None])
def test_what_is_written_late_is_failed_again(
    workflow: str, run_id: str, watch: tombstone_watch.StopWatch, state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    monkeypatch.setattr(tombstone_watch, "QUIET_SECONDS", 0.2)
    stops.stop_run(workflow, run_id, user="ada")
    for _ in range(3):
        set_task(workflow, run_id, "sort", state=state)
        set_run(workflow, run_id, "running")
        watch()
        assert states(workflow, run_id) == {"failed"}
    while list(tombstones.watched()):
        watch()
    assert "Stopped by ada" in (queries.get_run(workflow, run_id).note or "")
    with create_session() as session:
        query = select(func.count()).where(Log.run_id == run_id, Log.event == "cwl_stop")
        assert session.scalar(query) == 4


def test_what_is_written_late_again_and_again_has_an_end(
    workflow: str, run_id: str, watch: tombstone_watch.StopWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops.stop_run(workflow, run_id, user="ada")
    monkeypatch.setattr(tombstone_watch, "MAX_SECONDS", 0)
    set_task(workflow, run_id, "sort", state="queued")
    watch()
    assert list(tombstones.watched()) == []


def test_a_run_that_is_gone_is_not_watched_nor_is_another_of_its_id(
    workflow: str, run_id: str, watch: tombstone_watch.StopWatch
) -> None:
    stops.stop_run(workflow, run_id, user="ada")
    stone = tombstones.find(workflow, run_id)
    assert stone is not None
    tombstones.write(replace(stone, row=0))
    set_run(workflow, run_id, "queued")
    watch()
    assert "queued" in states(workflow, run_id)
    assert list(tombstones.watched()) == []


def test_tombstones_go_when_they_can_matter_no_more(
    workflow: str, run_id: str, watch: tombstone_watch.StopWatch, airflow: Any
) -> None:
    stops.stop_run(workflow, run_id, user="ada")
    assert tombstone_watch.remove_tombstones(age=-1) == 0  # it is watched
    clear(workflow, run_id, FIRST)
    watch()
    assert tombstone_watch.remove_tombstones(age=-1) == 0  # it may fail, too
    set_run(workflow, run_id, "success")
    assert tombstone_watch.remove_tombstones() == 0  # of today
    assert tombstone_watch.remove_tombstones(age=-1) == 1
    assert tombstones.find(workflow, run_id) is None

    stops.stop_run(workflow, run_id, user="ada", remove=True)
    assert tombstone_watch.remove_tombstones(age=-1) == 1
    assert cleanup.remove_expired(days=0) == 1  # the folder goes as those of all runs
    assert list(control_files.runs()) == []


def test_the_ids_of_instances_are_in_the_order_of_their_time() -> None:
    from airflow.models.taskinstance import uuid7

    now = time.time()
    made = str(uuid7())
    assert tombstones.last_before(now - 60) < made < tombstones.last_before(now + 60)
    assert len(tombstones.last_before(now)) == len(made)


def test_times_are_the_same_in_every_zone() -> None:
    from datetime import timedelta

    noon = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
    there = noon.astimezone(timezone(timedelta(hours=5)))
    stone = Tombstone("d", "r", "ada", 0.0, run_after=tombstones.moment(noon.replace(tzinfo=None)))
    assert stone.covers(Begun(there, 0, "x"))
    assert not stone.covers(Begun(there + timedelta(microseconds=1), 0, "x"))


def test_a_look_costs_one_system_call(folders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    opened: list[Path] = []
    read: Callable[..., Any] = control_files.read_small

    def note(path: Path, *arguments: int) -> Any:
        opened.append(path)
        return read(path, *arguments)

    monkeypatch.setattr(control_files, "read_small", note)
    StopCheck("dag", "run", Begun(datetime.now(timezone.utc), 0, "x"))()
    assert opened == []
