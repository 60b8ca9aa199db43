"""The process beside a worker ends what runs have on its machine, and goes when nothing is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.dags.stopping.janitor import settings
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest

GONE_PID = 2**22 + 1
TASK = TaskTry("swept", "run", "step", -1, 1)


@pytest.fixture
def janitor(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A janitor; its worker is gone when its standard input is closed."""
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "0.5")
    command = [sys.executable, "-m", "cwl_ui_plugin.dags.stopping.janitor", settings()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield process
        process.kill()


@pytest.fixture
def command() -> Iterator[subprocess.Popen[bytes]]:
    """A command of the task."""
    environment = {**os.environ, task_processes.TAG_VARIABLE: TASK.tag}
    with subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def write_lease(pid: int, machine: str) -> Path:
    data = {"host": this_host(), "machine": machine, "pid": pid, "installation": run_folder.this_installation()}
    TASK.lease_file.parent.mkdir(parents=True, exist_ok=True)
    TASK.lease_file.write_text(json.dumps({**data, **asdict(TASK)}))
    return TASK.lease_file


def order() -> StopRequest:
    """An order of an API server on another machine."""
    return StopRequest("swept", "run", "ada", time.time(), 0.5, True, stop_orders.new_number(), "elsewhere-1", 0)


def test_it_ends_what_killed_tasks_left_and_goes_with_its_worker(
    janitor: subprocess.Popen[bytes], command: subprocess.Popen[bytes], eventually: Callable[..., object]
) -> None:
    eventually(lambda: stop_orders.has_janitor(host=this_host()), 30)
    lease = write_lease(GONE_PID, this_machine())
    assert janitor.stdin is not None
    janitor.stdin.close()
    assert command.wait(30) < 0
    assert janitor.wait(30) == 0
    assert not lease.exists()
    assert not stop_orders.has_janitor(host=this_host())


def test_it_follows_an_order_and_says_what_is_left(
    janitor: subprocess.Popen[bytes], command: subprocess.Popen[bytes], eventually: Callable[..., object]
) -> None:
    lease, given = write_lease(GONE_PID, this_machine()), order()
    stop_orders.write_request(given)
    assert command.wait(30) < 0
    eventually(lambda: [reply.left for reply in stop_orders.replies(given)] == [()], 30)
    assert not lease.exists()
    again = replace(given, number=stop_orders.new_number())
    stop_orders.write_request(again)
    assert eventually(lambda: stop_orders.replies(again), 30)
    stop_orders.withdraw(again)
    assert stop_orders.replies(again) == []


def test_it_forgets_an_order_whose_stop_was_killed(
    janitor: subprocess.Popen[bytes], command: subprocess.Popen[bytes], eventually: Callable[..., object]
) -> None:
    given = order()
    stop_orders.write_request(given)
    os.utime(given.path, (1, 1))
    eventually(lambda: not given.path.exists(), 30)
    assert command.poll() is None


def test_leases_of_an_earlier_life_of_its_machine_are_settled(
    janitor: subprocess.Popen[bytes], eventually: Callable[..., object]
) -> None:
    eventually(lambda: stop_orders.has_janitor(machine=this_machine()), 30)
    lease = write_lease(GONE_PID, "another boot-1")
    assert janitor.stdin is not None
    janitor.stdin.close()
    eventually(lambda: not lease.exists(), 30)
