"""What a stop does on this machine to the task processes of a run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

import psutil
import pytest

from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE
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


@pytest.fixture
def command() -> Iterator[subprocess.Popen[str]]:
    """A command of the task that ignores SIGTERM."""
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STEP}"
    with subprocess.Popen(
        [sys.executable, "-c", stubborn], env={TAG_VARIABLE: TASK.tag}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


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
