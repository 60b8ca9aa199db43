"""A stop ends every process of a run, says what is left, and is never an error twice."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import janitor, stop_orders
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services import database
from cwl_ui_plugin.services.errors import NotFound, StopIncomplete, Unavailable
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.triggering import triggers

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture(autouse=True)
def quick(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short grace, and 10 seconds in all."""
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "0.5")
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "5")


@pytest.fixture
def command() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process with the mark of a task: ``command(mark)``."""
    started: list[subprocess.Popen[str]] = []

    def start(mark: str, *, code: str = "import time; print('ready', flush=True); time.sleep(600)") -> Any:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, task_processes.TAG_VARIABLE: mark},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def lease(task: TaskTry, **changes: Any) -> Path:
    """Write a lease as a task does; its holder is a process that has ended, unless ``changes`` say otherwise."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    task.folder.mkdir(parents=True, exist_ok=True)
    data = {"host": socket.gethostname(), "pid": ended.pid, **asdict(task), **changes}
    task.lease_file.parent.mkdir(parents=True, exist_ok=True)
    task.lease_file.write_text(json.dumps(data))
    return task.lease_file


def states(dag_id: str, run_id: str) -> dict[str, str]:
    return {step.task_id: step.state for step in queries.get_run(dag_id, run_id).steps}


def test_everything_unfinished_fails_and_nothing_is_skipped(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="success")
    airflow.set_task(workflow, run_id, "sort", state="up_for_retry")
    report = stops.stop_run(workflow, run_id, user="eve")

    assert states(workflow, run_id) == {
        "CWLJobDispatcher": "success",
        "sort": "failed",
        "count": "failed",
        "CWLJobGatherer": "failed",
    }
    assert set(report.stopped) == {"sort", "count", "CWLJobGatherer"}
    run = queries.get_run(workflow, run_id)
    assert run.summary.state == "failed"
    assert "Stopped by eve" in (run.error or "")
    assert run.summary.ended_at is not None


@pytest.mark.parametrize(
    "state", [None, "scheduled", "queued", "deferred", "up_for_retry", "up_for_reschedule", "restarting"]
)
def test_a_task_in_any_unfinished_state_is_stopped(workflow: str, run_id: str, airflow: Any, state: str | None) -> None:
    airflow.set_task(workflow, run_id, "sort", state=state)
    assert "sort" in stops.stop_run(workflow, run_id, user="eve").stopped
    assert states(workflow, run_id)["sort"] == "failed"


def test_a_stop_is_in_the_audit_log(workflow: str, run_id: str) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    stops.stop_run(workflow, run_id, user="eve")
    with create_session() as session:
        entry = session.scalar(select(Log).where(Log.run_id == run_id, Log.event == "cwl_stop"))
        assert entry is not None
        assert (entry.dag_id, entry.owner) == (workflow, "eve")


def test_stopping_twice_or_what_is_not_there_is_no_error(workflow: str, run_id: str) -> None:
    stops.stop_run(workflow, run_id, user="ada")
    again = stops.stop_run(workflow, run_id, user="eve")
    assert again.stopped == ()
    assert "Stopped by ada" in (queries.get_run(workflow, run_id).note or "")
    assert "eve" not in (queries.get_run(workflow, run_id).note or "")
    assert stops.stop_run(workflow, "never", user="ada").stopped == ()
    assert stops.stop_run("never", "never", user="ada").stopped == ()


def test_a_run_that_succeeded_stays_so(workflow: str, run_id: str, airflow: Any) -> None:
    for task in states(workflow, run_id):
        airflow.set_task(workflow, run_id, task, state="success")
    airflow.set_run(workflow, run_id, "success")
    (run_folder.run_tmp(workflow, run_id) / "sort").mkdir(parents=True)
    stops.stop_run(workflow, run_id, user="ada")
    assert queries.get_run(workflow, run_id).summary.state == "success"
    assert run_folder.run_tmp(workflow, run_id).exists()  # a stop that had nothing to do leaves it


def test_processes_that_carry_the_mark_are_ended(
    workflow: str, run_id: str, command: Callable[..., subprocess.Popen[str]]
) -> None:
    task = TaskTry(workflow, run_id, "sort", -1, 1)
    lease(task)
    mild = command(task.tag)
    stubborn = command(task.tag, code=STUBBORN)
    other = command(f"{workflow}/{run_id}-2/sort/-1/1")

    report = stops.stop_run(workflow, run_id, user="ada")

    assert mild.wait(10) == -15
    assert stubborn.wait(10) == -9
    assert other.poll() is None
    assert report.seconds < 10
    assert not run_folder.run_tmp(workflow, run_id).exists()


def test_a_task_process_that_does_not_end_is_killed(
    workflow: str, run_id: str, command: Callable[..., subprocess.Popen[str]]
) -> None:
    holder = command("somebody/else/")
    lease(TaskTry(workflow, run_id, "sort", -1, 1), pid=holder.pid)
    stops.stop_run(workflow, run_id, user="ada")
    assert holder.wait(10) == -9
    assert not run_folder.run_tmp(workflow, run_id).exists()


def test_what_outlives_sigkill_is_named(
    workflow: str, run_id: str, command: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "1")
    task = TaskTry(workflow, run_id, "sort", -1, 1)
    file, process = lease(task), command(task.tag)
    with monkeypatch.context() as patched, pytest.raises(StopIncomplete) as failure:
        patched.setattr(task_processes, "_send", lambda _process, _number: None)
        stops.stop_run(workflow, run_id, user="ada")
    assert [line.partition(" (")[0] for line in failure.value.left] == [f"{socket.gethostname()}: pid {process.pid}"]
    assert "time.sleep(600)" in failure.value.left[0]
    assert file.exists()
    assert queries.get_run(workflow, run_id).summary.state == "failed"

    stops.stop_run(workflow, run_id, user="ada")
    assert not run_folder.run_tmp(workflow, run_id).exists()


def test_arguments_are_not_shown_where_a_run_has_secrets(
    workflow: str, run_id: str, command: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "1")
    monkeypatch.setattr(task_processes, "_send", lambda _process, _number: None)
    task = TaskTry(workflow, run_id, "sort", -1, 1)
    lease(task)
    run_folder.secrets_file(workflow, run_id).write_text("{}")
    process = command(task.tag)
    with pytest.raises(StopIncomplete) as failure:
        stops.stop_run(workflow, run_id, user="ada")
    assert f"pid {process.pid} ({sys.executable} …)" in failure.value.left[0]
    assert "time.sleep" not in str(failure.value)


def test_a_number_that_another_process_has_by_now_is_not_the_holder(
    workflow: str, run_id: str, command: Callable[..., subprocess.Popen[str]]
) -> None:
    innocent = command("somebody/else/")
    file = lease(TaskTry(workflow, run_id, "sort", -1, 1), pid=innocent.pid)
    os.utime(file, (1, 1))  # written long before that process began
    stops.stop_run(workflow, run_id, user="ada")
    assert innocent.poll() is None


def test_a_lease_of_another_machine_is_waited_for(workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "1")
    file = lease(TaskTry(workflow, run_id, "sort", -1, 1), host="worker-7", pid=42)
    with pytest.raises(StopIncomplete) as failure:
        stops.stop_run(workflow, run_id, user="ada")
    assert "worker-7" in str(failure.value.left)
    assert "42" in str(failure.value.left)

    file.unlink()
    stops.stop_run(workflow, run_id, user="ada")
    assert not run_folder.run_tmp(workflow, run_id).exists()


def test_a_task_that_was_about_to_start_its_command_is_waited_for(
    workflow: str, run_id: str, airflow: Any, command: Callable[..., subprocess.Popen[str]], monkeypatch: Any
) -> None:
    from airflow.utils.net import get_hostname

    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "1")
    process = command("somebody/else/")
    now = datetime.now(timezone.utc)
    values = {"state": "running", "pid": process.pid, "hostname": get_hostname(), "start_date": now}
    airflow.set_task(workflow, run_id, "sort", **values)
    with pytest.raises(StopIncomplete, match=f"pid {process.pid}"):
        stops.stop_run(workflow, run_id, user="ada")


def test_what_the_scheduler_revives_is_stopped_again(
    workflow: str, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = run_folder.leases
    revived: list[str] = []

    def revive(dag_id: str, run_id: str) -> Any:
        if not revived:
            revived.append(run_id)
            airflow.set_task(dag_id, run_id, "sort", state="scheduled")
        return seen(dag_id, run_id)

    monkeypatch.setattr(run_folder, "leases", revive)
    stops.stop_run(workflow, run_id, user="ada")
    assert set(states(workflow, run_id).values()) == {"failed"}


def test_control_files_among_the_intermediate_files_are_not_believed(
    workflow: str, run_id: str, command: Callable[..., subprocess.Popen[str]]
) -> None:
    """There an earlier version had them, and there jobs and commands can write."""
    innocent, task = command("somebody/else/"), TaskTry(workflow, run_id, "sort", -1, 1)
    lease = json.dumps({"host": this_host(), "machine": this_machine(), "pid": innocent.pid, **asdict(task)})
    given = StopRequest(workflow, run_id, "ada", 0.0, 0.5, True, "7", "elsewhere-1", 0)
    for place in (run_folder.run_tmp(workflow, run_id) / "leases", config.tmp_folder() / ".stops"):
        place.mkdir(parents=True)
        (place / "sort.-1.1.json").write_text(lease)
        (place / given.path.name).write_text(json.dumps(asdict(given)))
    assert stop_orders.orders() == []
    assert janitor.end_abandoned() == 0
    stops.stop_run(workflow, run_id, user="ada")
    assert innocent.poll() is None


def test_a_full_disk_makes_a_stop_say_so(workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(Unavailable, match=r"No space left.* Stop it again"):
        patched.setattr(control_files.atomic, "write_bytes", refuse)
        stops.stop_run(workflow, run_id, user="ada")
    stops.stop_run(workflow, run_id, user="ada")


def test_a_removed_run_is_gone(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"x": 1})
    report = stops.stop_run(workflow, run_id, user="ada", remove=True)
    assert report.removed
    with pytest.raises(NotFound):
        queries.get_run(workflow, run_id)


def test_a_database_that_stays_locked_is_said_to_be_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def write() -> None:
        raise OperationalError("BEGIN IMMEDIATE", None, Exception("database is locked"))

    monkeypatch.setattr(database, "_PAUSE_SECONDS", 0)
    with pytest.raises(Unavailable, match="The database is busy, so the stop of x has to wait"):
        database.retry_on_database_lock(write, "the stop of x")


def test_strange_ids_remove_nothing(folders: Path) -> None:
    kept = folders / "tmp/kept.txt"
    kept.parent.mkdir()
    kept.write_text("x")
    for dag_id, run_id in ((".", "."), ("..", ".."), ("a/../..", "x"), ("", "")):
        stops.stop_run(dag_id, run_id, user="ada", remove=True)
    assert kept.exists()


@pytest.fixture
def clean_dag_run(store: WorkflowStore, airflow: Any) -> Callable[[dict[str, Any]], str]:
    """Have a task of ``clean_dag_run`` run that asks for a stop: ``clean_dag_run(conf)`` returns its run_id."""
    from cwl_ui_plugin.dags.registration import register

    register("clean_dag_run")

    def ask(conf: dict[str, Any]) -> str:
        name = f"clean-{uuid.uuid4()}"
        triggers.trigger("clean_dag_run", conf=conf, run_id=name, user="portal", via=triggers.REST)
        airflow.set_task("clean_dag_run", name, "clean_dag_run", state="running", try_number=1)
        return name

    return ask


def answer_to(run_id: str) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.value).where(XComModel.run_id == run_id, XComModel.key == "stop_result")
    with create_session(scoped=False) as session:
        row = session.execute(query).first()
        return XComModel.deserialize_value(row) if row else None


def test_a_task_of_clean_dag_run_gets_its_answer(
    workflow: str,
    run_id: str,
    clean_dag_run: Callable[[dict[str, Any]], str],
    eventually: Callable[..., Any],
    airflow: Any,
) -> None:
    asking = clean_dag_run({"remove_dag_id": workflow, "remove_run_id": run_id})
    assert stops.answer_stop_requests() == 1
    answer = eventually(lambda: answer_to(asking))
    assert answer["ok"] is True
    assert answer["left"] == []
    assert "Stopped by portal" in (queries.get_run(workflow, run_id).note or "")
    assert stops.answer_stop_requests() == 0
    airflow.set_task("clean_dag_run", asking, "clean_dag_run", state="success")


def test_a_stop_that_is_not_complete_is_answered_so(
    workflow: str,
    run_id: str,
    clean_dag_run: Callable[[dict[str, Any]], str],
    eventually: Callable[..., Any],
    airflow: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "1")
    lease(TaskTry(workflow, run_id, "sort", -1, 1), host="worker-7", pid=42)
    asking = clean_dag_run({"remove_dag_id": workflow, "remove_run_id": run_id})
    assert stops.answer_stop_requests() == 1
    assert stops.answer_stop_requests() == 0  # it is being answered
    answer = eventually(lambda: answer_to(asking))
    assert answer["ok"] is False
    assert "worker-7" in str(answer["left"])
    airflow.set_task("clean_dag_run", asking, "clean_dag_run", state="failed")


def test_a_run_of_clean_dag_run_does_not_stop_itself(
    clean_dag_run: Callable[[dict[str, Any]], str], eventually: Callable[..., Any], airflow: Any
) -> None:
    asking = clean_dag_run({"remove_dag_id": "clean_dag_run", "remove_run_id": "x"})
    airflow.set_task("clean_dag_run", asking, "clean_dag_run", state="success")
    request = stops._Request(asking, 1, {"remove_dag_id": "clean_dag_run", "remove_run_id": asking}, "ada")
    assert stops._result(request)["ok"] is False
