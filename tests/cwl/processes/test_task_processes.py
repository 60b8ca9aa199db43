"""Every process of a task is found and ended, wherever it went."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cwl_ui_plugin.cwl.processes import task_processes

ESCAPES = {
    "plain": "sleep 300",
    "own session": "exec setsid sleep 300",
    "orphan": "(setsid sleep 300 &) ; exit 0",
    "ignores SIGTERM": "trap '' TERM; while :; do sleep 1; done",
    "stopped": "kill -STOP $$; sleep 300",
}


@pytest.fixture
def mark() -> Iterator[str]:
    name = f"test-{uuid.uuid4()}"
    yield name
    assert task_processes.end(name, 0) == []


@pytest.mark.parametrize("kind", ESCAPES)
def test_a_process_that_escapes_is_found_and_ended(mark: str, kind: str) -> None:
    subprocess.Popen(["sh", "-c", ESCAPES[kind]], env={**os.environ, task_processes.TAG_VARIABLE: mark})
    deadline = time.monotonic() + 10
    while not task_processes.find(mark):
        assert time.monotonic() < deadline

    assert task_processes.end(mark, 0.3) == []
    assert task_processes.find(mark) == []


def test_a_child_with_an_environment_of_its_own_is_ended_with_its_parent(mark: str) -> None:
    """As singularity --cleanenv does it."""
    number = f"{300 + os.getpid()}.{time.monotonic_ns() % 10_000_000}"
    script = f"(setsid env -i /bin/sleep {number} & wait)"
    subprocess.Popen(["sh", "-c", script], env={**os.environ, task_processes.TAG_VARIABLE: mark})
    deadline = time.monotonic() + 10
    while not (
        hidden := [process for process in task_processes.find(mark) if process.command == f"/bin/sleep {number}"]
    ):
        assert time.monotonic() < deadline
    assert task_processes.end(mark, 0.3) == []
    assert not task_processes._is_living(hidden[0].pid)


def test_an_orphan_with_an_environment_of_its_own_is_found_below_who_adopted_it(mark: str) -> None:
    def look(answer: Any) -> None:
        task_processes.adopt_orphans()
        subprocess.run(["sh", "-c", "(setsid env -i /bin/sleep 300 &) ; exit 0"])
        while not task_processes.has_children():
            pass
        answer.send([len(task_processes.find(mark)), len(task_processes.find(mark, below=[os.getpid()]))])
        answer.send(task_processes.end(mark, 0.3, below=[os.getpid()]) or task_processes.has_children())

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=look, args=(sender,))
    process.start()
    assert receiver.poll(30)
    assert receiver.recv() == [0, 1]
    assert receiver.recv() is False
    process.join(10)


def test_a_process_ends_when_the_one_that_forked_it_is_killed(mark: str) -> None:
    code = (
        "import os, signal; from cwl_ui_plugin.cwl.processes import task_processes\n"
        "if os.fork() == 0:\n task_processes.end_with_parent(); print(os.getpid(), flush=True)\n signal.pause()\n"
        "signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while task_processes._is_living(child):
        assert time.monotonic() < deadline


def test_processes_of_another_task_live_on(mark: str) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        task_processes.end(mark, 0)
        assert other.poll() is None
    finally:
        other.communicate(b"\n")


@pytest.mark.parametrize("kind", ["own session", "orphan"])
def test_a_process_that_escapes_is_still_a_child_of_one_that_adopts_orphans(mark: str, kind: str) -> None:
    def look(answer: Any) -> None:
        task_processes.adopt_orphans()
        before = task_processes.has_children()
        subprocess.run(["sh", "-c", ESCAPES[kind] + " & exit 0"], env={**os.environ, task_processes.TAG_VARIABLE: mark})
        while not task_processes.find(mark):
            pass
        during = task_processes.has_children()
        task_processes.end(mark, 0.3)
        answer.send((before, during, task_processes.has_children()))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=look, args=(sender,))
    process.start()
    assert receiver.poll(30)
    assert receiver.recv() == (False, True, False)
    process.join(10)
