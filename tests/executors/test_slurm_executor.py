"""The executor as Airflow's scheduler calls it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from cwl_ui_plugin.executors import slurm
from cwl_ui_plugin.executors.jobs import Event, Job
from cwl_ui_plugin.executors.slurm import SlurmExecutor


class FakeQueue:
    """What the executor hands over, and the news that it is given."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.cancelled: list[Any] = []
        self.dropped: list[Any] = []
        self.news: list[Event] = []
        self.adopted: list[Job] = []
        self.waiting: list[tuple[Any, str]] = []

    def submit(self, items: Any) -> None:
        self.items += items

    def cancel(self, key: Any) -> None:
        self.cancelled.append(key)

    def drop(self, key: Any) -> None:
        self.dropped.append(key)

    def events(self) -> list[Event]:
        news, self.news = self.news, []
        return news

    def waiting_instances(self) -> list[tuple[Any, str]]:
        return self.waiting

    def adopt(self, job: Job) -> None:
        self.adopted.append(job)


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def executor(folders: Path, queue: FakeQueue) -> SlurmExecutor:
    made = SlurmExecutor(parallelism=3)
    made._queue = queue  # type: ignore[assignment]
    made._looked = float("inf")
    return made


@pytest.fixture
def queued(airflow: Any, workflow: str, run_id: str) -> Any:
    """The row of a task instance that the scheduler has queued."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    airflow.set_task(workflow, run_id, "sort", state="queued")
    with create_session(scoped=False) as session:
        return session.scalar(select(TaskInstance).where(TaskInstance.run_id == run_id, TaskInstance.task_id == "sort"))


def workload(executor_config: Any = None, **values: Any) -> Any:
    from airflow.models.taskinstancekey import TaskInstanceKey

    ti = {"id": UUID(int=1), "dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
    ti = {**ti, "executor_config": executor_config, "priority_weight": 1, **values}
    key = TaskInstanceKey(ti["dag_id"], ti["task_id"], ti["run_id"], ti["try_number"], ti["map_index"])
    return SimpleNamespace(key=key, ti=SimpleNamespace(**ti), model_dump_json=lambda: "{}")


def test_tasks_are_handed_over_with_what_they_ask_for(executor: SlurmExecutor, queue: FakeQueue) -> None:
    one = workload({"slurm": {"cpus": 4}})
    executor.queued_tasks[one.key] = one
    executor.trigger_tasks(3)
    assert [(item.key, item.needs.cpus) for item in queue.items] == [(one.key, 4)]
    assert (executor.queued_tasks, executor.running) == ({}, {one.key})
    assert executor.slots_available == 2
    queue.news = [Event(one.key, "submitted", "17_3")]
    executor.sync()
    assert executor.get_event_buffer() == {one.key: ("queued", "17_3")}
    assert executor.running == {one.key}
    queue.news = [Event(one.key, "success")]
    executor.sync()
    assert executor.get_event_buffer() == {one.key: ("success", None)}
    assert executor.running == set()


def test_what_can_not_be_asked_for_fails_with_the_reason(executor: SlurmExecutor, queue: FakeQueue) -> None:
    one = workload({"slurm": {"cpus": "many"}})
    executor._process_workloads([one])
    state, info = executor.get_event_buffer()[one.key]
    assert (state, queue.items) == ("failed", [])
    assert "cpus must be a number" in info


def test_what_airflow_takes_for_stuck_is_cancelled(executor: SlurmExecutor, queue: FakeQueue) -> None:
    one = workload()
    executor.running.add(one.key)
    executor.revoke_task(ti=one)
    assert (queue.cancelled, executor.running) == ([one.key], set())


def test_what_airflow_does_not_want_any_more_is_cancelled(
    executor: SlurmExecutor, queue: FakeQueue, queued: Any
) -> None:
    queue.waiting = [("wanted", str(queued.id)), ("deleted", str(UUID(int=7)))]
    executor._looked = float("-inf")
    executor.sync()
    assert queue.dropped == ["deleted"]


def test_a_database_that_does_not_answer_ends_no_scheduler(
    executor: SlurmExecutor, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def locked(_instances: object) -> set[str]:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    monkeypatch.setattr("cwl_ui_plugin.executors.slurm._wanted", locked)
    queue.waiting = [("wanted", str(UUID(int=7)))]
    executor._looked = float("-inf")
    executor.sync()
    assert queue.dropped == []


def test_adoption_where_slurm_is_missing_gives_back_what_has_no_folder(
    executor: SlurmExecutor, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ti = SimpleNamespace(id=UUID(int=1), key="key", state="queued")
    assert executor.try_adopt_task_instances([ti]) == [ti]  # type: ignore[list-item]
    assert queue.adopted == []


def test_as_many_jobs_as_the_site_allows(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SlurmExecutor(parallelism=3).slots_available == 3
    monkeypatch.setenv("AIRFLOW__CWL__SLURM_MAX_JOBS", "500")
    assert SlurmExecutor(parallelism=3).slots_available == 500


@pytest.mark.parametrize(("seconds", "is_said"), [("600", True), ("604800", False)])
def test_short_patience_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seconds: str, is_said: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT", seconds)
    with caplog.at_level(logging.WARNING):
        slurm._warn_of_short_patience()
    assert ("task_queued_timeout" in caplog.text) is is_said


def test_the_thread_goes_on_after_a_round_that_fails_and_ends_with_the_scheduler(
    folders: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = SlurmExecutor(parallelism=3)
    monkeypatch.setattr(slurm, "IDLE_SECONDS", 0.01)
    rounds: list[int] = []

    def fail() -> None:
        rounds.append(1)
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(made._queue, "round", fail)
    made.start()
    wait_until(lambda: len(rounds) >= 5)
    made.end()
    thread = made._thread
    assert thread is not None
    wait_until(lambda: not thread.is_alive())
    assert caplog.text.count("A round of the SlurmExecutor failed") == 1
    assert "nobody foresaw this" in caplog.text


def test_an_error_that_stays_is_logged_once_a_minute_and_another_one_at_once() -> None:
    now = [0.0]
    errors = slurm.RepeatedErrors(clock=lambda: now[0])
    assert errors.is_news(OSError("the disk is full"))
    now[0] = 59
    assert not errors.is_news(OSError("the disk is full"))
    assert errors.is_news(OSError("the disk is gone"))
    assert not errors.is_news(OSError("the disk is full")), "nor where two take turns"
    now[0] = 61
    assert errors.is_news(OSError("the disk is full"))
    assert not errors.is_news(OSError("the disk is full"))


def wait_until(condition: Callable[[], bool]) -> None:
    from support.airflow_server import wait_for

    wait_for(condition, 60)
