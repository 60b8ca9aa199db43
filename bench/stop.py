"""From the call that stops a run to the end of the last of its processes, beside Airflow's own way to fail a run."""

from __future__ import annotations

import argparse
import os
import select
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import common
import psutil
import servers
from common import median, percentile, say, seconds
from servers import Airflow
from support import tagged
from support.airflow_server import wait_for

MAX_SECONDS = 3.0
GRACE_SECONDS = 5.0
START_SECONDS = 240
DOCUMENT = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, ShellCommandRequirement: {}}
inputs: {numbers: "int[]"}
outputs: []
steps:
  wait:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments: [{shellQuote: false, valueFrom: "TRAPsleep 86400 & wait"}]
      inputs: {number: int}
      outputs: []
    scatter: number
    in: {number: numbers}
    out: []
"""
MILD, STUBBORN = "mild", "stubborn"


def main() -> None:
    options = common.options(
        __doc__,
        steps=(50, "steps that run at the same time"),
        database=(0, "1: only SQLite, 2: only PostgreSQL"),
    )
    for number, database in enumerate(servers.DATABASES, start=1):
        if options.database in (0, number):
            _measure(options, database)


def _measure(options: argparse.Namespace, database: str) -> None:
    """Write the section of one database."""
    settings = {
        "AIRFLOW__CORE__PARALLELISM": str(options.steps + 10),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(options.steps + 10),
        "AIRFLOW__CWL__SCATTER_MAX_TASKS": str(options.steps),
        "AIRFLOW__CWL__STOP_GRACE": str(GRACE_SECONDS),
    }
    with tempfile.TemporaryDirectory() as folder, servers.airflow(database, **settings) as airflow:
        for name, trap in ((MILD, ""), (STUBBORN, "trap '' TERM; ")):
            document = Path(folder) / f"{name}.cwl"
            document.write_text(DOCUMENT.replace("TRAP", trap))
            airflow.upload(document)
        _stops(airflow, MILD, 1, 1, _stop)  # warms up
        rows = [
            _row("1 step", _stops(airflow, MILD, 1, 2 * options.repeat, _stop)),
            _row("1 step that ignores SIGTERM", _stops(airflow, STUBBORN, 1, options.repeat, _stop), GRACE_SECONDS),
            _row("1 step, Airflow's own way", _stops(airflow, MILD, 1, options.repeat, _fail)),
            _row(f"{options.steps} steps", _stops(airflow, MILD, options.steps, options.repeat, _stop)),
        ]
    target = f"target: p95 under {MAX_SECONDS:.0f} s"
    header = [database, "stops", "last process gone: p50", "p95", "answer: p50", "p95", target]
    common.write_section(options.page, f"stop-{database.lower()}", common.table(header, rows), options.repeat)


def _row(what: str, stops: list[tuple[float, float]], grace: float = 0.0) -> list[str]:
    gone, answered = [stop[0] for stop in stops], [stop[1] for stop in stops]
    late = percentile(gone, 95)
    return [
        what,
        str(len(stops)),
        seconds(median(gone)),
        seconds(late),
        seconds(median(answered)),
        seconds(percentile(answered, 95)),
        common.verdict(late - grace, MAX_SECONDS),
    ]


def _stops(
    airflow: Airflow, dag_id: str, steps: int, times: int, stop: Callable[[Airflow, str, str], None]
) -> list[tuple[float, float]]:
    """Start runs and stop each; return when the last process was gone, and when the answer came."""
    found = []
    for number in range(times):
        say(f"{stop.__name__[1:]} {dag_id}, {steps} steps, {number + 1}")
        run_id = airflow.start(dag_id, {"numbers": list(range(steps))})
        mark = f"{dag_id}/{run_id}"
        wait_for(lambda: _commands(mark) >= 2 * steps, START_SECONDS, f"{steps} steps")  # noqa: B023
        watch = _Watch(mark)
        began = time.monotonic()
        stop(airflow, dag_id, run_id)
        answered = time.monotonic()
        found.append((watch.last() - began, answered - began))
    return found


def _commands(mark: str) -> int:
    return sum("sleep" in process.command for process in tagged.find(mark))


class _Watch:
    """Hears when the last process of a run is gone."""

    def __init__(self, mark: str) -> None:
        pids = {process.pid for process in tagged.find(mark)}
        pids |= {psutil.Process(pid).ppid() for pid in pids}  # the task processes
        self._files = [os.pidfd_open(pid) for pid in pids if pid > 1]
        self._gone = 0.0
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        waiting = select.poll()
        for file in self._files:
            waiting.register(file, select.POLLIN)
        left = set(self._files)
        while left:
            for file, _event in waiting.poll():
                waiting.unregister(file)
                os.close(file)
                left.remove(file)
                self._gone = time.monotonic()

    def last(self) -> float:
        self._thread.join()
        return self._gone


def _stop(airflow: Airflow, dag_id: str, run_id: str) -> None:
    airflow.client.post(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/stop", json={}).raise_for_status()


def _fail(airflow: Airflow, dag_id: str, run_id: str) -> None:
    airflow.client.patch(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"}).raise_for_status()


if __name__ == "__main__":
    main()
