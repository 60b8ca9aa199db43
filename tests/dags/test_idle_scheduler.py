"""A scheduler without runs sleeps longer, until one is created."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.dags import created_runs
from cwl_ui_plugin.dags.idle_scheduler import (
    ASK_SECONDS,
    ATTRIBUTE,
    DOUBT_SECONDS,
    IDLE_SECONDS,
    REST_SECONDS,
    IdleSleep,
)
from cwl_ui_plugin.library.store import StoredVersion

LEAST = 0.1
Add = Callable[[str, str], StoredVersion]


class World:
    """Time that passes by sleeping only; a run may be created at a moment."""

    def __init__(self) -> None:
        self.now = 100.0
        self.created_at = float("inf")
        self.has_run = False
        self.asked = 0
        self.rest = IDLE_SECONDS
        self.sleep = IdleSleep(
            LEAST, self.has_runs, self.told_at, lambda: self.now, self.pass_by, rest=lambda: self.rest
        )

    def has_runs(self) -> bool:
        self.asked += 1
        return self.has_run

    def told_at(self) -> int:
        return int(self.now >= self.created_at)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    def pause(self) -> float:
        """Sleep as the scheduler does; return for how long."""
        began = self.now
        self.pass_by(self.sleep.seconds())
        return self.now - began


def test_without_runs_it_sleeps_a_second() -> None:
    assert World().pause() == pytest.approx(IDLE_SECONDS, abs=0.06)


def test_one_that_hears_of_runs_rests_longer_and_wakes_as_soon() -> None:
    world = World()
    world.rest = REST_SECONDS
    assert world.pause() == pytest.approx(REST_SECONDS, abs=0.06)
    world.created_at = world.now + 1.7
    assert world.pause() == pytest.approx(1.7, abs=0.06)


def test_one_that_finds_a_run_without_word_rests_shorter_for_a_while() -> None:
    """One of several API servers may not see the folder in which word is left."""
    world = World()
    world.rest = REST_SECONDS
    world.pause()
    world.has_run = True
    assert world.pause() == pytest.approx(LEAST)
    world.has_run = False
    world.now += DOUBT_SECONDS / 2
    assert [world.pause() for _ in range(2)] == pytest.approx([IDLE_SECONDS] * 2, abs=0.06)
    world.now += DOUBT_SECONDS / 2
    assert world.pause() == pytest.approx(REST_SECONDS, abs=0.06)


def test_one_that_has_heard_of_a_run_goes_on_to_rest_long() -> None:
    world = World()
    world.rest = REST_SECONDS
    world.pause()
    world.created_at = world.now + 1
    world.pause()
    world.has_run = True
    world.now += ASK_SECONDS
    world.pause()
    world.has_run = False
    world.now += ASK_SECONDS
    assert world.pause() == pytest.approx(REST_SECONDS, abs=0.06)


def test_it_rests_longer_where_an_api_server_leaves_word_and_no_run_is_due(folders: Path, add: Add) -> None:
    from datetime import datetime, timedelta, timezone

    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags.idle_scheduler import _rest
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.reports.pulse import Pulse

    def due_in(seconds: float | None) -> None:
        with create_session() as session:
            dag = session.get(DagModel, "due")
            now = datetime.now(timezone.utc)
            dag.next_dagrun_create_after = None if seconds is None else now + timedelta(seconds=seconds)

    assert _rest() == IDLE_SECONDS, "nobody is known to leave word here"
    add("due", "due")
    register("due")
    pulse = Pulse("reports", 1.0)
    pulse.end(pulse.begin())
    assert _rest() == REST_SECONDS
    for seconds, expected in ((60, REST_SECONDS), (2, 2), (-5, IDLE_SECONDS)):
        due_in(seconds)
        assert _rest() == pytest.approx(expected, abs=0.9) and IDLE_SECONDS <= _rest() <= REST_SECONDS
    due_in(None)
    for path in (created_runs.config.control_folder() / created_runs.LOOPS).iterdir():
        os.utime(path, (1, 1))
    assert _rest() == IDLE_SECONDS, "it has gone"


def test_with_runs_it_sleeps_as_configured_and_does_not_ask_each_time() -> None:
    world = World()
    world.has_run = True
    assert [world.pause() for _ in range(5)] == pytest.approx([LEAST] * 5)
    assert world.asked == 1
    world.has_run = False
    world.now += ASK_SECONDS
    assert world.pause() > LEAST


def test_a_run_that_is_created_wakes_it() -> None:
    world = World()
    world.created_at = world.now + 0.3
    assert world.pause() == pytest.approx(0.3, abs=0.06)
    assert world.pause() == pytest.approx(LEAST), "a run that can't be seen yet will be"


def test_a_run_that_is_created_while_the_scheduler_looks_is_not_slept_over() -> None:
    world = World()
    world.created_at = world.now
    assert world.pause() == 0
    assert world.pause() == pytest.approx(LEAST), "there are runs now"


def test_a_task_that_ends_wakes_a_scheduler_with_runs() -> None:
    world = World()
    world.has_run = True
    world.pause()
    world.created_at = world.now + 0.03
    assert world.pause() == pytest.approx(0.04)
    assert world.pause() == pytest.approx(LEAST)


def test_word_is_given_when_a_task_has_ended(airflow_home: object) -> None:
    from cwl_ui_plugin.reports import listeners

    ends = (
        lambda: listeners.on_task_instance_success(None, None),
        lambda: listeners.on_task_instance_failed(None, None, None),
        lambda: listeners.on_task_instance_skipped(None, None),
    )
    for end in ends:
        before = created_runs.told_at()
        end()
        assert created_runs.told_at() > before


def test_airflows_scheduler_sleeps_so(airflow_home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own loop, which would sleep a tenth of a second."""
    from airflow.executors.local_executor import LocalExecutor
    from airflow.jobs import scheduler_job_runner
    from airflow.jobs.job import Job

    from cwl_ui_plugin.dags import idle_scheduler

    slept: list[int] = []

    def seconds(_sleep: IdleSleep) -> float:
        slept.append(1)
        return 0.0

    monkeypatch.setattr(scheduler_job_runner.SchedulerJobRunner, ATTRIBUTE, None, raising=False)
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0.1")
    monkeypatch.setattr(IdleSleep, "seconds", seconds)
    idle_scheduler.install()
    executor = LocalExecutor(parallelism=1)  # type: ignore[no-untyped-call]
    monkeypatch.setattr(executor, "heartbeat", lambda: None)
    runner = scheduler_job_runner.SchedulerJobRunner(Job(), 2, executors=[executor])  # type: ignore[no-untyped-call]
    runner._run_scheduler_loop()
    assert slept == [1, 1]


@pytest.mark.parametrize("is_committed", [True, False])
def test_word_is_given_when_a_run_is_committed(add: Add, is_committed: bool) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType

    from cwl_ui_plugin.dags import whole_runs
    from cwl_ui_plugin.dags.registration import register

    add("told", "told")
    register("told")
    whole_runs._watch_runs()
    before = created_runs.told_at()
    with create_session() as session:
        trigger_dag("told", triggered_by=DagRunTriggeredByType.REST_API, run_id=f"r{is_committed}", session=session)
        session.flush()
        assert created_runs.told_at() == before, "nobody could see it yet"
        if not is_committed:
            session.rollback()
            session.info.clear()
    assert (created_runs.told_at() > before) is is_committed


def test_word_is_given_when_a_run_is_cleared_and_when_it_has_ended(add: Add) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import select

    from cwl_ui_plugin.dags.registration import register

    def run(session: Any) -> Any:
        return session.scalars(select(DagRun).where(DagRun.dag_id == "cleared")).one()

    add("cleared", "cleared")
    register("cleared")
    with create_session() as session:
        trigger_dag("cleared", triggered_by=DagRunTriggeredByType.REST_API, run_id="r", session=session)
    times, ends = [created_runs.told_at()], [created_runs.end_told_at()]
    for state in (DagRunState.RUNNING, DagRunState.SUCCESS, DagRunState.QUEUED, DagRunState.FAILED):
        with create_session() as session:
            run(session).set_state(state)
            session.flush()
            assert created_runs.end_told_at() == ends[-1], "nobody could see it yet"
        times.append(created_runs.told_at())
        ends.append(created_runs.end_told_at())
    assert times[0] == times[1] == times[2] < times[3] == times[4]
    assert ends[0] == ends[1] < ends[2] == ends[3] < ends[4]


def test_word_is_given_when_an_asset_has_an_event(add: Add) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags import whole_runs

    whole_runs._watch_runs()
    with create_session() as session:
        session.add(AssetModel(name="cwl://told/out", uri="cwl://told/out", group="asset"))
    before = created_runs.told_at()
    with create_session() as session:
        asset = session.query(AssetModel).filter_by(name="cwl://told/out").one()
        session.add(AssetEvent(asset_id=asset.id, extra={}))
        session.flush()
        assert created_runs.told_at() == before, "nobody could see it yet"
    assert created_runs.told_at() > before
