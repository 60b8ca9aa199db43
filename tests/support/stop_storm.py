"""Many runs that are stopped at random moments; afterwards nothing of any may be there, nor have started.

Each command writes the time of its start into a file before it sleeps, so that what started after an answer is known
however briefly it lived.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from support import tagged
from support.airflow_server import Server, wait_for

WIDE, LONG = "storm-wide", "storm-long"
_TOOL = """
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments: [{shellQuote: false, valueFrom: "date +%s.%N >> '$(inputs.log)'; sleep $(inputs.seconds)"}]
      inputs: {log: string, seconds: float, after: "Any?"}
      outputs: {done: {type: string, outputBinding: {outputEval: "$(inputs.log)"}}}
"""
_HEADER = "cwlVersion: v1.2\nclass: Workflow\nrequirements: {ScatterFeatureRequirement: {}}\n"
STEPS_OF_LONG = 4
DOCUMENTS = {
    WIDE: _HEADER
    + 'inputs: {log: string, seconds: "float[]"}\noutputs: []\nsteps:\n  wait:\n    run:'
    + _TOOL
    + "    scatter: seconds\n    in: {log: log, seconds: seconds}\n    out: [done]\n",
    LONG: _HEADER
    + "inputs: {log: string, seconds: float}\noutputs: []\nsteps:\n"
    + "".join(
        f"  s{number}:\n    run:{_TOOL}    in: {{log: log, seconds: seconds"
        + (f", after: s{number - 1}/done" if number else "")
        + "}\n    out: [done]\n"
        for number in range(STEPS_OF_LONG)
    ),
}
MAX_STEPS = 20
COMMAND_SECONDS = 90
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")


@dataclass
class Stopped:
    """A run whose stop was answered at ``at``."""

    dag_id: str
    run_id: str
    log: Path
    at: float
    seconds: float
    removed: bool
    had_ended: bool


@dataclass
class Storm:
    """Starts runs and stops them; ``faults`` is what was against the promise."""

    server: Server
    client: httpx.Client
    folder: Path
    longest: float = 12.0
    """Seconds after its trigger until which a run is stopped."""
    seed: int = 0
    faults: list[str] = field(default_factory=list)
    stopped: list[Stopped] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def upload(self) -> None:
        """Upload the workflows."""
        for dag_id, text in DOCUMENTS.items():
            document = self.folder / f"{dag_id}.cwl"
            document.write_text(text)
            self.server.command("upload", document)
            wait_for(lambda dag_id=dag_id: self.client.get(f"/api/v2/dags/{dag_id}").status_code == 200, 120, dag_id)

    def blow(self, stops: int, at_once: int) -> None:
        """Do a number of stops, some at the same time, then look at all of them once more."""
        with ThreadPoolExecutor(at_once) as pool:
            for work in [pool.submit(self._one, number) for number in range(stops)]:
                work.result()

    def _one(self, number: int) -> None:
        chance = random.Random(self.seed * 1_000_000 + number)
        run_id, dag_id = f"storm-{number}-{uuid.uuid4().hex[:8]}", chance.choice((WIDE, LONG))
        remove = chance.random() < 0.15
        self._start_and_stop(chance, dag_id, run_id, remove=remove)
        if remove:  # a run of the same id has to start, and to be stopped by a stop of its own
            self._start_and_stop(chance, dag_id, run_id, remove=False)

    def _start_and_stop(self, chance: random.Random, dag_id: str, run_id: str, *, remove: bool) -> None:
        log = self.folder / f"{run_id}.{uuid.uuid4().hex[:4]}.log"
        seconds: Any = round(chance.uniform(0.1, 3), 1)
        if dag_id == WIDE:
            seconds = [round(chance.uniform(0.1, 20), 1) for _ in range(chance.randint(1, MAX_STEPS))]
        runs = f"/cwl/api/v1/workflows/{dag_id}/runs"
        job = {"log": str(log), "seconds": seconds}
        self.client.post(runs, json={"run_id": run_id, "job": job}).raise_for_status()
        self._wait(chance, log)
        answer = self.client.post(f"{runs}/{run_id}/stop", json={"remove": remove})
        self._judge(dag_id, run_id, log, answer, remove)

    def _wait(self, chance: random.Random, log: Path) -> None:
        """Wait for a random time after the trigger, or after the first command has started, however long that takes."""
        if chance.random() < 0.5:
            deadline = time.monotonic() + COMMAND_SECONDS
            while not log.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(chance.uniform(0, 1.5))
        else:
            time.sleep(chance.uniform(0, self.longest))

    def _judge(self, dag_id: str, run_id: str, log: Path, answer: httpx.Response, remove: bool) -> None:
        """Look what is there at the moment of the answer."""
        at, left = time.time(), tagged.find(f"{dag_id}/{run_id}")
        with self._lock:
            if answer.status_code != 200:
                self.faults.append(f"{dag_id} {run_id}: {answer.status_code} {answer.text[:300]}")
                return
            self.faults += [f"{dag_id} {run_id}: {process} is there after the answer" for process in left]
            report = answer.json()
            had_ended = not report["stopped"]
            self.found["stopped after its end" if had_ended else "stopped while it ran"] += 1
            self.stopped.append(Stopped(dag_id, run_id, log, at, report["seconds"], remove, had_ended))

    def look_back(self) -> None:
        """Look at all runs once more, some time after the last answer."""
        for run in self.stopped:
            name = f"{run.dag_id} {run.run_id}"
            self.faults += [f"{name}: {process} is there" for process in tagged.find(f"{run.dag_id}/{run.run_id}")]
            starts = [float(line) for line in run.log.read_text().split()] if run.log.exists() else []
            self.found["commands started"] += len(starts)
            self.faults += [
                f"{name}: a command started {start - run.at:.3f} s late" for start in starts if start > run.at
            ]
            if not run.removed:
                self._look_into_database(run, name)

    def _look_into_database(self, run: Stopped, name: str) -> None:
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}"
        state = self.client.get(path).json()["state"]
        if state != "failed" and not run.had_ended:
            self.faults.append(f"{name}: its state is {state}")
        for task in self.client.get(f"{path}/taskInstances", params={"limit": 200}).json()["task_instances"]:
            if task["state"] not in ENDED:
                self.faults.append(f"{name}: {task['task_id']} is {task['state']}")
            began = task["start_date"] and datetime.fromisoformat(task["start_date"].replace("Z", "+00:00")).timestamp()
            if began and began > run.at:
                self.found["task instances that were revived and ended themselves"] += 1
