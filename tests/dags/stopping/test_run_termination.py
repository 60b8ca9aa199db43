"""What a stop does on this machine to the task processes of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import run_termination

TASK = TaskTry("many", "run-1", "step", -1, 1)
STEP = "import signal, sys; print('ready', flush=True); signal.pause()"


@pytest.fixture
def holder(folders: object) -> Iterator[subprocess.Popen[str]]:
    """A task process with a lease, one of more than the cores can end at a time."""
    with subprocess.Popen([sys.executable, "-c", STEP], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        lease = {"host": this_host(), "machine": this_machine(), "pid": process.pid}
        TASK.lease_file.parent.mkdir(parents=True)
        TASK.lease_file.write_text(json.dumps({**lease, **asdict(TASK)}))
        yield process
        process.kill()


def looking(monkeypatch: pytest.MonkeyPatch) -> run_termination.RunEnding:
    monkeypatch.setattr(run_termination, "MANY_FOR_A_CORE", 0)
    return run_termination.RunEnding("many", "run-1", grace=60, has_folder=True)


@contextmanager
def tagged(tag: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command with a tag that ignores SIGTERM."""
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STEP}"
    with subprocess.Popen(
        [sys.executable, "-c", stubborn], env={TAG_VARIABLE: tag}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout and process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def command(folders: object) -> Iterator[subprocess.Popen[str]]:
    """A command of the task."""
    with tagged(TASK.tag) as process:
        yield process


def test_many_task_processes_stand_still_while_their_commands_end_and_are_killed_then(
    holder: subprocess.Popen[str],
    command: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[..., object],
) -> None:
    run = looking(monkeypatch)
    assert any(f"pid {command.pid}" in left for left in run.look())
    eventually(lambda: psutil.Process(holder.pid).status() == psutil.STATUS_STOPPED)
    command.kill()
    command.wait(timeout=30)
    run.look()
    assert holder.wait(timeout=30) == -signal.SIGKILL
    assert run.look() == []
    assert not TASK.lease_file.exists()


def test_a_task_process_that_gave_back_its_lease_when_it_was_frozen_does_not_stay_so(
    holder: subprocess.Popen[str], command: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(monkeypatch)
    run.look()
    TASK.lease_file.unlink()
    run.look()
    assert holder.wait(timeout=30) == -signal.SIGKILL


def ended(*processes: subprocess.Popen[str]) -> list[bool]:
    """End the run at once; return which of its processes have ended then."""
    run, deadline = run_termination.RunEnding("many", "run-1", grace=0, has_folder=True), time.monotonic() + 30
    while left := run.look():
        assert time.monotonic() < deadline, left
    return [is_over(process) for process in processes]


def is_over(process: subprocess.Popen[str]) -> bool:
    """Return whether a process has ended; one that is killed has lost its memory a moment before its parent is told."""
    with suppress(ProcessLookupError):  # it loses that just now
        if process.poll() is None and Path(f"/proc/{process.pid}/environ").read_bytes():
            return False
    process.wait(timeout=30)
    return True


def test_a_run_of_the_same_name_of_another_airflow_on_this_machine_goes_on(
    folders: Path, command: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AIRFLOW__CWL__TMP_FOLDER", str(folders / "tmp-of-another"))
        tag = TASK.tag
    with tagged(tag) as other:
        assert ended(command, other) == [True, False]


def write_lease(pid: int, **more: object) -> None:
    data = {"host": this_host(), "machine": this_machine(), "pid": pid, **asdict(TASK), **more}
    TASK.lease_file.parent.mkdir(parents=True, exist_ok=True)
    TASK.lease_file.write_text(json.dumps(data))


@pytest.mark.parametrize("installation", ["", "of-now"])
def test_what_an_older_version_has_begun_is_known_by_its_lease(folders: Path, installation: str) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    write_lease(gone.pid, installation=installation)
    with tagged("many/run-1/step/-1/1") as old:
        assert ended(old) == [not installation]
        assert not TASK.lease_file.exists()


def test_a_try_is_not_taken_for_one_whose_number_begins_likewise(folders: Path) -> None:
    tenth = TaskTry("many", "run-1", "step", -1, 10)
    with tagged(tenth.tag) as process:
        run_folder.give_back(TASK, grace=0)
        assert process.poll() is None


def test_a_process_that_is_gone_or_another_users_keeps_no_other_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    refused, sent = {1: ProcessLookupError(), 2: PermissionError()}, []

    def kill(pid: int, number: int) -> None:
        if pid in refused:
            raise refused[pid]
        sent.append((pid, number))

    monkeypatch.setattr(os, "kill", kill)
    run_termination._send([1, 2, 3], signal.SIGKILL)
    assert sent == [(3, signal.SIGKILL)]
