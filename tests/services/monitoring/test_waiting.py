"""What runs and their steps wait for, as Airflow's tables have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from typing import Any

import pytest

from cwl_ui_plugin.services.monitoring import queries, waiting
from cwl_ui_plugin.services.monitoring.waiting import NamedRun, Wait, Waits
from cwl_ui_plugin.services.triggering import triggers

NOW = datetime.now(timezone.utc)


def everybody(_dag_id: str) -> bool:
    return True


def look(dag_id: str, run_id: str, may_read: Callable[[str], bool] = everybody) -> Waits:
    return waiting.why(queries.get_run(dag_id, run_id), may_read)


def run_says(dag_id: str, run_id: str) -> str:
    found = look(dag_id, run_id).run
    return found.sentence if found else ""


def beat(passed: timedelta) -> None:
    """Let a scheduler give a sign of life."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(Job).delete()
        session.add(Job(job_type="SchedulerJob", state="running", latest_heartbeat=datetime.now(timezone.utc) - passed))


@pytest.fixture
def scheduler(airflow_home: Any) -> Iterator[None]:
    """A scheduler that runs."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    beat(timedelta())
    yield
    with create_session() as session:
        session.query(Job).delete()


@pytest.fixture(autouse=True)
def nothing_left(airflow_home: Any) -> Iterator[None]:
    """Leave no task running that would be in the way of the next test's."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    yield
    with create_session() as session:
        session.execute(update(TaskInstance).values(state="success"))


def set_dag(dag_id: str, **values: Any) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(**values))


@pytest.fixture
def start(workflow: str, airflow: Any) -> Callable[..., str]:
    """Start a run: ``start(sort="running")`` sets its first step to a state."""

    def started(**values: Any) -> str:
        name = triggers.trigger(workflow, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST).run_id
        airflow.set_run(workflow, name, "running")
        airflow.set_task(workflow, name, "CWLJobDispatcher", state="success", start_date=NOW, end_date=NOW)
        airflow.set_task(workflow, name, "sort", **{"start_date": None, **values})
        return name

    return started


@pytest.fixture
def pool() -> Iterator[str]:
    """A pool of two slots."""
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Pool(pool="narrow", slots=2, description="", include_deferred=False))
    yield "narrow"
    with create_session() as session:
        session.query(Pool).filter_by(pool="narrow").delete()


def test_a_queued_run_waits_for_a_scheduler(workflow: str, run_id: str) -> None:
    assert run_says(workflow, run_id) == "No scheduler of Airflow is running: none has ever run"
    beat(timedelta(minutes=5))
    assert run_says(workflow, run_id) == "No scheduler of Airflow is running: its last sign of life was 5 min ago"


def test_a_queued_run_waits_for_its_dag(scheduler: None, workflow: str, run_id: str) -> None:
    assert run_says(workflow, run_id) == "Airflow's scheduler is about to start it"
    set_dag(workflow, is_paused=True)
    assert "paused in Airflow" in run_says(workflow, run_id)
    set_dag(workflow, is_paused=False, is_stale=True)
    assert "not have the workflow" in run_says(workflow, run_id)


def test_a_queued_run_waits_for_other_runs(
    scheduler: None, workflow: str, run_id: str, start: Callable[..., str]
) -> None:
    other = start()
    set_dag(workflow, max_active_runs=2)
    assert run_says(workflow, run_id) == "Airflow's scheduler is about to start it"
    set_dag(workflow, max_active_runs=1)
    assert run_says(workflow, run_id) == f"1 of 1 runs of this workflow at a time are running: {other}"


def test_a_step_waits_for_a_worker_slot(
    scheduler: None, workflow: str, start: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "5")
    others = [start(state="running") for _ in range(4)]
    own = start(state="scheduled")
    assert run_says(workflow, own) == "Airflow's scheduler is about to start it"
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "4")
    found = look(workflow, own)
    assert found.run == found.tasks["sort"]
    assert found.run
    assert found.run.sentence.startswith("4 of 4 worker slots are busy: ")
    assert len(found.run.runs) == waiting.MAX_NAMED
    assert {run.run_id for run in found.run.runs} < set(others)
    assert found.run.others == "1 more"
    assert set(found.tasks) == {"sort"}, "what waits for earlier steps says nothing"


def test_runs_that_a_user_may_not_see_are_counted(
    scheduler: None, workflow: str, start: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.services.labelling import label_run

    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "1")
    other, own = start(state="running"), start(state="scheduled")
    said = look(workflow, own, lambda _dag_id: False).run
    assert said == Wait("1 of 1 worker slots are busy", (), "1 that you may not see")
    assert other not in said.sentence
    with create_session() as session:
        label_run(session, queries.find_run(session, workflow, other), "Liver")
    seen = look(workflow, own).run
    assert seen
    assert seen.runs == (NamedRun(workflow, other, "Liver"),)


def test_a_step_waits_for_its_own_elements(
    scheduler: None, workflow: str, start: Callable[..., str], airflow: Any
) -> None:
    own = start(state="running")
    airflow.set_task(workflow, own, "count", state="scheduled")
    set_dag(workflow, max_active_tasks=1)
    found = look(workflow, own)
    assert found.run is None, "something of it runs"
    assert found.tasks["count"].text == "1 of 1 tasks of this run at a time are running (max_active_tasks)"


def test_a_step_waits_for_a_pool(
    scheduler: None, workflow: str, start: Callable[..., str], pool: str, airflow: Any
) -> None:
    other = start(state="running", pool=pool, pool_slots=2)
    own = start(state="scheduled", pool=pool)
    assert run_says(workflow, own) == f"2 of 2 slots of the pool 'narrow' are in use: {other}"
    airflow.set_task(workflow, own, "sort", pool_slots=3)
    assert run_says(workflow, own) == "It needs 3 slots of the pool 'narrow', which has 2: it can't begin"
    airflow.set_task(workflow, own, "sort", pool="gone")
    assert run_says(workflow, own).startswith("There is no pool 'gone'")
    airflow.set_task(workflow, own, "sort", pool=pool, pool_slots=1)
    airflow.set_task(workflow, other, "sort", pool_slots=1)
    assert run_says(workflow, own) == "Airflow's scheduler is about to start it"


def test_a_task_in_a_queue_waits_for_a_worker(
    scheduler: None, workflow: str, start: Callable[..., str], airflow: Any
) -> None:
    own = start(state="queued", queue="gpu", queued_dttm=datetime.now(timezone.utc) + timedelta(hours=1))
    assert run_says(workflow, own) == "A worker is about to take it"
    airflow.set_task(workflow, own, "sort", queued_dttm=datetime.now(timezone.utc) - timedelta(minutes=3))
    assert run_says(workflow, own) == "No worker takes tasks of the queue 'gpu': this one has waited for 3 min"
    other = start(state="running", queue="gpu")
    assert run_says(workflow, own) == f"No worker of the queue 'gpu' is free: 1 task is running: {other}"


@pytest.mark.skipif(
    version("apache-airflow-core") < "3.3", reason="this Airflow keeps no delay that a policy has chosen"
)
def test_a_step_waits_for_another_try(scheduler: None, workflow: str, start: Callable[..., str]) -> None:
    ended = datetime.now(timezone.utc) + timedelta(hours=1)
    own = start(state="up_for_retry", end_date=ended, try_number=1, retry_delay_override=40.0)
    found = look(workflow, own).tasks["sort"]
    assert found.text == "Try 1 failed; another one begins"
    assert found.until
    assert datetime.fromisoformat(found.until) == ended + timedelta(seconds=40)


def test_the_time_of_another_try_is_airflows(scheduler: None, workflow: str, start: Callable[..., str]) -> None:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    ended = datetime.now(timezone.utc) + timedelta(hours=1)  # so that it can't be over, however busy the machine is
    own = start(state="up_for_retry", end_date=ended, try_number=3)
    with create_session() as session:
        task = session.query(TaskInstance).filter_by(run_id=own, task_id="sort").one()
        task.task = session.query(SerializedDagModel).filter_by(dag_id=workflow).one().dag.get_task("sort")
        expected = task.next_retry_datetime()
    assert expected > ended + timedelta(seconds=20), "it is the third"
    found = look(workflow, own).tasks["sort"].until
    assert found
    assert datetime.fromisoformat(found) == expected


def test_a_run_that_has_ended_waits_for_nothing(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_run(workflow, run_id, "success")
    assert look(workflow, run_id) == Waits()


def test_the_number_of_queries_does_not_grow(
    scheduler: None,
    workflow: str,
    start: Callable[..., str],
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "2")

    def count() -> int:
        run = queries.get_run(workflow, own)
        statements.clear()
        assert waiting.why(run, everybody).run
        return len(statements)

    own = start(state="scheduled")
    for _ in range(2):
        start(state="running")
    few = count()
    for _ in range(8):
        start(state="running")
    assert count() == few <= 6, statements


def test_a_step_waits_for_slurm(
    scheduler: None, workflow: str, start: Callable[..., str], airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags import slurm_jobs
    from cwl_ui_plugin.dags.slurm_jobs import RunJobs, TaskWait

    own = start(state="queued", queued_dttm=NOW - timedelta(hours=1))
    text = "Slurm job 7 waits for the partition p: Priority (jobs with a higher priority go first)"
    slurm_jobs.write(RunJobs(workflow, own, (TaskWait("sort", text),)))
    assert "Slurm" not in run_says(workflow, own)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor,cwl_ui_plugin.executors.slurm.SlurmExecutor")
    assert run_says(workflow, own) == text
    before = waiting.stamp(workflow, own)
    slurm_jobs.forget(workflow, own)
    assert waiting.stamp(workflow, own) != before
    airflow.set_task(workflow, own, "sort", state="running")
    assert run_says(workflow, own) == ""
