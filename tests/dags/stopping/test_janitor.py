"""The process beside a worker ends what runs have on its machine, and goes when nothing is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import janitor as janitor_module
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


def janitor_here(monkeypatch: pytest.MonkeyPatch) -> tuple[janitor_module.Janitor, list[str]]:
    """A janitor in this process, and the runs that it has begun to follow."""
    followed: list[str] = []

    def follow(given: StopRequest, hosts: tuple[str, ...]) -> None:
        assert hosts == ("h",)
        followed.append(given.run_id)

    monkeypatch.setattr(janitor_module, "follow", follow)
    return janitor_module.Janitor(("h",)), followed


def do_rounds(made: janitor_module.Janitor, count: int = 1) -> None:
    for _ in range(count):
        made.round()
        for thread in [*made._following.values(), *filter(None, [made._looking])]:
            thread.join(30)


@pytest.mark.parametrize(
    ("machine", "uid", "is_followed"),
    [("another-1", os.geteuid(), True), ("here", 4242, True), ("here", os.geteuid(), False), ("here", 0, False)],
)
def test_it_leaves_to_a_stop_on_its_machine_what_that_can_do_itself(
    folders: Path, monkeypatch: pytest.MonkeyPatch, machine: str, uid: int, is_followed: bool
) -> None:
    made, followed = janitor_here(monkeypatch)
    stop_orders.write_request(replace(order(), machine=this_machine() if machine == "here" else machine, uid=uid))
    do_rounds(made)
    assert followed == (["run"] if is_followed else [])


def test_it_follows_each_run_once_at_a_time_and_again_after_a_failure(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, followed = janitor_here(monkeypatch)
    goes_on = threading.Event()

    def follow(given: StopRequest, _hosts: tuple[str, ...]) -> None:
        followed.append(given.run_id)
        assert goes_on.wait(30)
        raise OSError("the disk is gone")

    monkeypatch.setattr(janitor_module, "follow", follow)
    stop_orders.write_request(order())
    stop_orders.write_request(replace(order(), run_id="other"))
    for _ in range(3):
        made.round()
    assert sorted(followed) == ["other", "run"]
    assert made.has_work()
    goes_on.set()
    for thread in made._following.values():
        thread.join(30)
    made.round()
    assert sorted(followed) == ["other", "other", "run", "run"]


def test_it_looks_for_what_was_left_at_once_then_after_a_while_or_when_it_is_told(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    monkeypatch.setattr(janitor_module, "end_abandoned", lambda *, for_worker: looks.append(for_worker))
    made, _ = janitor_here(monkeypatch)
    assert made.has_work(), "it has not looked yet"
    do_rounds(made, 3)
    assert looks == [True]
    assert not made.has_work()
    made.look_now()
    assert made.has_work()
    do_rounds(made, 2)
    assert looks == [True, True]
    made._looked -= janitor_module.ABANDONED_SECONDS + 1
    do_rounds(made)
    assert looks == [True, True, True]
    write_lease(GONE_PID, this_machine())
    assert made.has_work()


def test_it_says_again_and_again_that_it_is_there(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(stop_orders, "announce_janitor", said.append)
    made, _ = janitor_here(monkeypatch)
    do_rounds(made, 3)
    assert said == [("h",)]
    made._announced -= janitor_module.ANNOUNCE_SECONDS + 1
    do_rounds(made)
    assert said == [("h",), ("h",)]


def test_only_commands_whose_task_process_is_gone_are_abandoned(
    folders: Path, command: subprocess.Popen[bytes]
) -> None:
    path = write_lease(os.getpid(), this_machine())
    assert janitor_module.end_abandoned() == 0
    assert command.poll() is None
    write_lease(GONE_PID, "another boot-1")
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "host": "elsewhere"}))
    assert janitor_module.end_abandoned() == 0
    write_lease(GONE_PID, this_machine())
    assert janitor_module.end_abandoned() == 1
    assert command.wait(30) < 0
    assert not path.exists()


def test_a_failure_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    def fail(text: str) -> None:
        raise ValueError(text)

    assert janitor_module.safely(print, "x")
    assert not janitor_module.safely(fail, "broken")
    assert "it tries again" in caplog.text
