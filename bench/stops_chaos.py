"""Stops at random moments on a busy machine, on SQLite and on PostgreSQL. Ends with 1 if the promise broke."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common
import servers
from common import ROOT, median, percentile, say, seconds
from support.stop_storm import Storm

PAGE = ROOT / "docs" / "reliability.md"
AT_ONCE = 8
A_ROUND = 25
QUIET_SECONDS = 30


def main() -> None:
    options = common.options(
        __doc__,
        stops=(1000, "how many stops on each database"),
        database=(2, "0 SQLite, 1 PostgreSQL, 2 both"),
        load=(20, "processes that keep the cores busy"),
        nice=(0, "how nice these are"),
        minutes=(0, "end after so many minutes on each database; 0: when all stops are done"),
    )
    page = PAGE if options.page == common.PAGE else options.page
    faults: list[str] = []
    for number, database in enumerate(servers.DATABASES):
        if options.database in (number, 2):
            text, found = _storm(database, options.stops, options.load, options.nice, options.minutes * 60)
            common.write_section(page, f"stops-{database.lower()}", text, 1)
            faults += found
    print("\n".join(faults[:50]))
    sys.exit(1 if faults else 0)


def _storm(database: str, stops: int, load: int, nice: int, longest: float) -> tuple[str, list[str]]:
    settings = {"AIRFLOW__CORE__PARALLELISM": "64", "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64"}
    with tempfile.TemporaryDirectory() as folder, servers.airflow(database, **settings) as airflow, _busy(load, nice):
        storm, began, loads = Storm(airflow.server, airflow.client, Path(folder)), time.monotonic(), []
        storm.upload()
        for storm.seed in range(-(-stops // A_ROUND)):
            storm.blow(min(A_ROUND, stops - storm.seed * A_ROUND), AT_ONCE)
            loads.append(os.getloadavg()[0])
            say(f"{database}: {len(storm.stopped)} stops, load {loads[-1]:.0f}, {len(storm.faults)} faults")
            if longest and time.monotonic() - began > longest:
                break
        time.sleep(QUIET_SECONDS)
        storm.look_back()
        return _text(storm, (time.monotonic() - began) / 60, loads), storm.faults


@contextmanager
def _busy(load: int, nice: int) -> Iterator[None]:
    """Have processes that compute all the time."""
    command = ["nice", "-n", str(nice), sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(load)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _text(storm: Storm, minutes: float, loads: list[float]) -> str:
    answers = [run.seconds for run in storm.stopped]
    rows = [
        ("stops", len(storm.stopped)),
        *sorted(storm.found.items()),
        (
            "of these runs, stopped and removed, and another of the same id started",
            sum(r.removed for r in storm.stopped),
        ),
        ("until the answer: p50", seconds(median(answers))),
        ("p95", seconds(percentile(answers, 95))),
        ("longest", seconds(max(answers))),
    ]
    return "\n\n".join(
        (
            f"{len(storm.stopped)} stops in {minutes:.0f} minutes, load {min(loads):.0f} to {max(loads):.0f}. "
            "Processes left at an answer, commands started after one, tasks that are not at an end: "
            f"**{len(storm.faults)}**.",
            common.table(["", ""], rows),
        )
    )


if __name__ == "__main__":
    main()
