"""A step whose command starts every kind of process that is hard to end, and how to find them all."""

from __future__ import annotations

import os
import random
import signal
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from support import tagged
from support.airflow_server import Server, wait_for

DOCUMENT = """
cwlVersion: v1.2
class: Workflow
requirements: {ShellCommandRequirement: {}}
inputs: {number: int}
outputs: []
steps:
  family:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments:
        - shellQuote: false
          valueFrom: |
            sleep $(inputs.number)1 &
            setsid sleep $(inputs.number)2 &
            (setsid sh -c 'sleep $(inputs.number)3 &' &)
            (trap '' TERM; sleep $(inputs.number)4 &)
            sleep $(inputs.number)5 &
            until test "`cat /proc/$!/comm`" = sleep; do :; done; kill -STOP $!
            env -i /bin/sleep $(inputs.number)6 &
            wait
      inputs: {number: int}
      outputs: []
    in: {number: number}
    out: []
"""
Victims = tuple[str, ...]
VICTIMS: tuple[Victims, ...] = ((), ("task",), ("task", "supervisor"))
"""What is killed of a task before its run is stopped: nothing, its process, and its supervisor after it."""
KINDS = {
    1: "a well-behaved child",
    2: "one that called setsid",
    3: "a double-forked daemon",
    4: "one that ignores SIGTERM",
    5: "one that is stopped",
    6: "one whose environment has no mark",
}
START_SECONDS = 120


@dataclass
class Family:
    """The processes of a run's only step."""

    dag_id: str
    run_id: str = field(default_factory=lambda: f"family-{uuid.uuid4()}")
    number: int = field(default_factory=lambda: random.randint(100_000, 99_999_999))

    def start(self, client: httpx.Client) -> Family:
        """Trigger the run, and return when all of its processes are there."""
        body = {"run_id": self.run_id, "job": {"number": self.number}}
        client.post(f"/cwl/api/v1/workflows/{self.dag_id}/runs", json=body).raise_for_status()
        wait_for(lambda: set(self.living()) == set(KINDS.values()), START_SECONDS, "the processes of the step")
        return self

    def living(self) -> list[str]:
        """Which kinds of processes are there, found by their command line."""
        numbers = {f"{self.number}{kind}": name for kind, name in KINDS.items()}
        return [numbers[words[1]] for words in _sleepers() if words[1] in numbers]

    def marked(self) -> list[str]:
        """The processes with the run's mark in their environment."""
        return [str(process) for process in tagged.find(f"{self.dag_id}/{self.run_id}")]

    def kill(self, *victims: str) -> None:
        """Kill the ``task`` process, or its ``supervisor``, or one after the other, with SIGKILL."""
        task = task_process(f"{self.dag_id}/{self.run_id}")
        pids = {"task": task.pid, "supervisor": task.ppid()}
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)

    def stop(self, client: httpx.Client, **body: Any) -> httpx.Response:
        """Stop the run by REST."""
        return client.post(f"/cwl/api/v1/workflows/{self.dag_id}/runs/{self.run_id}/stop", json=body)


def task_process(mark: str) -> psutil.Process:
    """Return the process of a task whose command runs now, by its tag behind the installation, wherever it is.

    Raises:
        LookupError: there is none.
        psutil.NoSuchProcess: it has just ended.

    """
    marked = {process.pid for process in tagged.find(mark)}
    parents = {psutil.Process(pid).ppid() for pid in marked} - marked - {1}
    tasks = [process for pid in parents if (process := psutil.Process(pid)).ppid() > 1]
    if not tasks:
        raise LookupError(f"no command of {mark} runs")
    return tasks[0]


def stopped_without_trace(client: httpx.Client, server: Server, dag_id: str, victims: Victims) -> Family:
    """Start a family, kill the ``victims``, stop the run, and see that nothing of it is left; return it."""
    family = Family(dag_id).start(client)
    family.kill(*victims)
    answer = family.stop(client)
    assert answer.status_code == 200, answer.text
    assert family.marked() == []
    # Once the task process is gone nobody knows any more whose child a process without a mark was.
    assert set(family.living()) <= ({KINDS[6]} if "task" in victims else set())
    assert not (server.home / "cwl" / "tmp" / dag_id / family.run_id).exists()
    return family


def stopped_side_by_side(server: Server, dag_id: str, of: Sequence[Victims]) -> dict[Victims, Future[Family]]:
    """Do this with a family for each of some ``victims``, all at once: a stop that waits for proof computes nothing."""
    with server.client() as client, ThreadPoolExecutor(len(of)) as pool:
        return {victims: pool.submit(stopped_without_trace, client, server, dag_id, victims) for victims in of}


def _sleepers() -> list[list[str]]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if len(words) >= 2 and words[0].endswith("sleep"):
            found.append(words)
    return found
