"""From the call that stops a run to the end of the last of its processes, beside Airflow's own way to fail a run."""

from __future__ import annotations

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
from airflow_server import wait_for
from common import median, percentile, say, seconds
from servers import Airflow

from cwl_ui_plugin.cwl import processes

MOST_SECONDS = 3.0
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
    options = common.options(__doc__, steps=(50, "steps that run at the same time"))
    rows = []
    settings = {
        "AIRFLOW__CORE__PARALLELISM": str(options.steps + 10),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(options.steps + 10),
        "AIRFLOW__CWL__SCATTER_MAX_TASKS": str(options.steps),
        "AIRFLOW__CWL__STOP_GRACE": str(GRACE_SECONDS),
    }
    for database in servers.DATABASES:
        with tempfile.TemporaryDirectory() as folder, servers.airflow(database, **settings) as airflow:
            for name, trap in ((MILD, ""), (STUBBORN, "trap '' TERM; ")):
                document = Path(folder) / f"{name}.cwl"
                document.write_text(DOCUMENT.replace("TRAP", trap))
                airflow.upload(document)
            _stops(airflow, MILD, 1, 1, _stop)  # warms up
            mild = _stops(airflow, MILD, 1, 2 * options.repeat, _stop)
            stubborn = _stops(airflow, STUBBORN, 1, options.repeat, _stop)
            failed = _stops(airflow, MILD, 1, options.repeat, _fail)
            many = _stops(airflow, MILD, options.steps, options.repeat, _stop)
        rows += [
            _row(database, "1 step", mild),
            _row(database, "1 step that ignores SIGTERM", stubborn, GRACE_SECONDS),
            _row(database, "1 step, Airflow's own way", failed),
            _row(database, f"{options.steps} steps", many),
        ]
    target = f"target: p95 under {MOST_SECONDS:.0f} s"
    header = ["", "", "stops", "last process gone: p50", "p95", "answer: p50", "p95", target]
    text = (
        "A run whose steps each run a shell with a child. From the moment before the call to the end of the last of "
        "its processes (the shells, their children and Airflow's task processes, heard through pidfds), and to the "
        "answer to the call, which comes with the proof. LocalExecutor, settings of `cwl-ui-plugin standalone`, so "
        "that a task sends a heartbeat each second. A process that ignores SIGTERM has "
        f"{GRACE_SECONDS:.0f} seconds (`[cwl] stop_grace`), which are taken off before the target is looked at. "
        "Airflow's own way is to set the run to failed through its API; its answer proves nothing.\n\n"
        + common.table(header, rows)
    )
    common.write_section(options.page, "stop", text, options.repeat)


def _row(database: str, what: str, stops: list[tuple[float, float]], grace: float = 0.0) -> list[str]:
    gone, answered = [stop[0] for stop in stops], [stop[1] for stop in stops]
    late = percentile(gone, 95)
    return [
        database,
        what,
        str(len(stops)),
        seconds(median(gone)),
        seconds(late),
        seconds(median(answered)),
        seconds(percentile(answered, 95)),
        common.verdict(late - grace, MOST_SECONDS),
    ]


def _stops(
    airflow: Airflow, dag_id: str, steps: int, times: int, stop: Callable[[Airflow, str, str], None]
) -> list[tuple[float, float]]:
    """Start runs and stop each; return when the last process was gone, and when the answer came."""
    found = []
    for number in range(times):
        say(f"{stop.__name__[1:]} {dag_id}, {steps} steps, {number + 1}")
        run_id = airflow.start(dag_id, {"numbers": list(range(steps))})
        mark = f"{dag_id}/{run_id}/"
        wait_for(lambda: _commands(mark) >= 2 * steps, START_SECONDS, f"{steps} steps")  # noqa: B023
        watch = _Watch(mark)
        began = time.monotonic()
        stop(airflow, dag_id, run_id)
        answered = time.monotonic()
        found.append((watch.last() - began, answered - began))
    return found


def _commands(mark: str) -> int:
    return sum("sleep" in process.command for process in processes.find(mark))


class _Watch:
    """Hears when the last process of a run is gone."""

    def __init__(self, mark: str) -> None:
        pids = {process.pid for process in processes.find(mark)}
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
