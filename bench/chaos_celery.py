"""Runs and reports on Celery while all that Airflow is made of is killed in turn. Ends with 1 if one is lost.

Two API servers and two workers, each on a machine of its own where namespaces are allowed, with PostgreSQL and Redis.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TypeVar

import chaos
import common
import psutil
import pytest
from common import say
from redis import Redis
from support import chaos_facts, chaos_run, moody_receiver, scale_out
from support.chaos_run import Site
from support.families import task_process

from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.cwl.processes import task_processes

T = TypeVar("T")
WORKERS = ("worker-a", "worker-b")
API_SERVERS = ("api-server", "api-server-b")
FILES = "chaos-files"
NUMBERS = (1, 2, 3)
FILE_BYTES = 200_000
OUTPUTS = {f"part{number}.bin" for number in NUMBERS} | {"last.bin"}
SETTINGS = {
    **chaos_run.SETTINGS,
    # More than the workers can take at once: Redis always has a queue to lose.
    "AIRFLOW__CORE__PARALLELISM": "8",
    # What Redis has lost is queued for good; Airflow sends it again after this time.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
}
_STEP = """
    run:
      class: CommandLineTool
      requirements: {{ShellCommandRequirement: {{}}}}
      arguments: [{{shellQuote: false, valueFrom: "sleep {seconds}; head -c {bytes} /dev/zero"}}]
      inputs: {{given: {type}}}
      outputs: {{out: stdout}}
      stdout: {name}.bin
    in: {{given: {source}}}
    out: [out]
"""
DOCUMENT = (
    "cwlVersion: v1.2\nclass: Workflow\nrequirements: {ScatterFeatureRequirement: {}}\n"
    'inputs: {numbers: "int[]"}\n'
    'outputs: {parts: {type: "File[]", outputSource: many/out}, last: {type: File, outputSource: slow/out}}\n'
    "steps:\n  many:\n    scatter: given"
    + _STEP.format(seconds=2, bytes=FILE_BYTES, type="int", name="part$(inputs.given)", source="numbers")
    + "  slow:"
    + _STEP.format(seconds=4, bytes=FILE_BYTES, type='"File[]"', name="last", source="many/out")
)
PAUSE_SECONDS = 4
ACTS_IN_A_WAVE = 5
"""After so many, more runs are started: there is always something to kill."""
VICTIM_SECONDS = 60
"""How long to wait for something to kill, or for what must come of it."""


@dataclass
class Trial:
    """What runs, what was done to it, and what came of it."""

    site: Site
    cluster: scale_out.Cluster
    disk: Path | None
    """A small disk for outputs; None where disks can't be mounted."""
    loads: list[float] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)
    """Seconds until another API server sent the reports."""
    more: dict[str, object] = field(default_factory=dict)
    """Other rows of the table."""
    faults: list[str] = field(default_factory=list)


def main() -> None:
    options = common.options(__doc__, runs=(40, "how many runs"), minutes=(15, "in which all must have ended"))
    page = chaos.PAGE if options.page == common.PAGE else options.page
    with tempfile.TemporaryDirectory(prefix="cwl-chaos-") as folder, _trial(Path(folder), options.runs) as trial:
        text, faults = _chaos(trial, options.runs, options.minutes * 60)
    common.write_section(page, "chaos-celery", text, 1)
    print("\n".join(faults[:50]))
    sys.exit(1 if faults else 0)


@contextmanager
def _trial(folder: Path, runs: int) -> Iterator[Trial]:
    outputs = folder / "home/cwl/outputs"
    with _small_disk(outputs, 16 + runs) as disk, scale_out.celery_cluster(folder, WORKERS, **SETTINGS) as cluster:
        second = scale_out.free_port()
        scale_out.start_api_server(cluster.components, API_SERVERS[1], second)
        url = f"postgresql+psycopg2://{cluster.database}"
        documents = {**chaos_run.DOCUMENTS, FILES: DOCUMENT}
        site = Site(cluster.components, cluster.server, url, folder, {}, documents=documents)
        chaos_run.take_reports(site)
        replace(site, server=replace(cluster.server, url=f"http://127.0.0.1:{second}")).wait_for_api()
        trial = Trial(site, cluster, disk)
        with _kept_running(trial):
            yield trial


@contextmanager
def _small_disk(place: Path, megabytes: int) -> Iterator[Path | None]:
    """Mount a disk for outputs, where that is allowed; before the workers start, or they would not see it."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def _kept_running(trial: Trial) -> Iterator[None]:
    """Start what has died anew, as systemd or Kubernetes does; note the load."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(0.5):
            trial.loads.append(os.getloadavg()[0])
            try:
                trial.cluster.keep_running()
            except CliError as error:  # one has died too often
                trial.faults.append(str(error))
                say(str(error))
                return

    with ThreadPoolExecutor(1) as pool:
        keeper = pool.submit(keep)
        try:
            yield
        finally:
            ended.set()
    keeper.result()


def _chaos(trial: Trial, runs: int, longest: float) -> tuple[str, list[str]]:
    site, began = trial.site, time.monotonic()
    expected: dict[str, str] = {}
    for number, act in enumerate(ACTS):
        with _noted(trial):
            if number % ACTS_IN_A_WAVE == 0:
                expected |= _start_runs(site, runs // 2, number // ACTS_IN_A_WAVE)
                say(f"{len(expected)} runs are started")
            say(act(trial))
        time.sleep(PAUSE_SECONDS)
    say("waiting for the ends")
    with _noted(trial):
        chaos_run.wait_for_ends(site, max(1, longest - (time.monotonic() - began)))
    say("waiting for the receiver to know all")
    verdict = chaos_run.judged(site)
    _look_back(trial, expected)
    verdict.faults += trial.faults
    text = chaos.text_of(site, verdict, (time.monotonic() - began) / 60, trial.more)
    apart = "each in namespaces of its own" if trial.cluster.are_machines else "without namespaces (not allowed)"
    about = f"Two API servers and two workers, {apart}. Load {min(trial.loads):.0f} to {max(trial.loads):.0f}."
    return f"{about}\n\n{text}", verdict.faults


@contextmanager
def _noted(trial: Trial) -> Iterator[None]:
    """Take what does not come true in time for a fault, not for the end."""
    try:
        yield
    except pytest.fail.Exception as failure:
        trial.faults.append(str(failure))


def _start_runs(site: Site, of_each: int, wave: int) -> dict[str, str]:
    """Start a part of the runs of each kind; return the state in which each must end."""
    waves = -(-len(ACTS) // ACTS_IN_A_WAVE)
    first, end = (of_each * number // waves for number in (wave, wave + 1))
    expected = {}
    for number in range(first, end):
        run_id = f"files{number:03d}"
        body = {"run_id": run_id, "job": {"numbers": NUMBERS}}
        site.call("POST", f"/cwl/api/v1/workflows/{FILES}/runs", json=body)
        expected[run_id] = "success"
    for number, (_dag_id, run_id) in enumerate(chaos_run.start_runs(site, end - first, first), first):
        expected[run_id] = "failed" if chaos_run.is_to_fail(number) else "success"
    return expected


def _mood(trial: Trial, name: str) -> str:
    return chaos.with_mood(trial.site, name)


def _kill(trial: Trial, name: str) -> str:
    trial.site.kill(name)
    return f"killed: {name}"


def _kill_supervisor(trial: Trial) -> str:
    """Kill the process that watches a task whose command runs: of Celery's pool."""

    def is_killed() -> bool:
        with contextlib.suppress(LookupError, psutil.NoSuchProcess, ProcessLookupError):
            os.kill(task_process(f"{FILES}/").ppid(), signal.SIGKILL)
            return True
        return False

    if not _within(VICTIM_SECONDS, is_killed):
        return "there is no task to kill"
    trial.site.killed["supervisor of a task"] += 1
    return "killed: the supervisor of a task"


def _kill_janitor(trial: Trial) -> str:
    for process in task_processes.find(trial.cluster.components.tag, task_processes.SERVER_VARIABLE):
        if "cwl_ui_plugin.dags.stopping.janitor" in process.command:
            os.kill(process.pid, signal.SIGKILL)
            trial.site.killed["janitor"] += 1
            return "killed: a janitor"
    return "there is no janitor to kill"


def _kill_leader(trial: Trial) -> str:
    """Kill the API server that sends the reports; the other one, or itself started anew, must take over."""
    name = _within(VICTIM_SECONDS, lambda: _leader(trial))
    if name is None:
        trial.faults.append(f"no API server has sent reports for {VICTIM_SECONDS} seconds")
        return trial.faults[-1]
    holder, began = chaos_facts.read_holder(trial.site.database), time.monotonic()
    trial.site.kill(name)
    if not _within(VICTIM_SECONDS, lambda: chaos_facts.read_holder(trial.site.database) not in (None, holder)):
        trial.faults.append(f"nobody took over from {name} within {VICTIM_SECONDS} seconds")
        return trial.faults[-1]
    seconds = time.monotonic() - began
    trial.takeovers.append(seconds)
    successor = _leader(trial)
    trial.site.wait_for_api()
    return f"killed: {name}, which sent the reports; {successor} does after {seconds:.0f} s"


def _leader(trial: Trial) -> str | None:
    """Return which API server holds the lease."""
    holder = chaos_facts.read_holder(trial.site.database)
    if holder is None:
        return None
    machine, pid, *_rest = holder.split("/")
    for name in API_SERVERS:
        with contextlib.suppress(psutil.Error, OSError):
            parent = psutil.Process(trial.cluster.components._running[name].process.pid)
            if any(_is(process.pid, machine, pid) for process in (parent, *parent.children(recursive=True))):
                return name
    return None


def _is(pid: int, machine: str, pid_there: str) -> bool:
    """Whether a process, seen from here, is that of a machine; one with a namespace of its own is known by that."""
    namespace = Path(f"/proc/{pid}/ns/pid").readlink()
    is_apart = namespace != Path("/proc/self/ns/pid").readlink()
    return machine.endswith(str(namespace)) and (is_apart or str(pid) == pid_there)


def _restart_postgresql(trial: Trial) -> str:
    """Do what ``pg_ctl restart -m immediate`` does."""
    server = trial.cluster.daemons["postgresql"]
    server.end(signal.SIGQUIT)
    server.start()
    trial.site.killed["PostgreSQL (restarted at once, `-m immediate`)"] += 1
    trial.site.wait_for_api()
    return "restarted: PostgreSQL, immediate"


def _lose_redis(trial: Trial) -> str:
    broker = trial.cluster.daemons["redis"]
    with Redis.from_url(broker.address) as client:
        lost = _within(VICTIM_SECONDS, lambda: client.llen("default")) or 0
    broker.end(signal.SIGKILL)
    broker.start()
    trial.site.killed["Redis (started empty)"] += 1
    trial.more["tasks that were in Redis's queue then"] = lost
    return f"killed: Redis with a queue of {lost}"


def _fill_disk(trial: Trial) -> str:
    """Leave no room for outputs until a last task could not deliver."""
    if trial.disk is None:
        trial.more["disk full: not done, as disks can't be mounted here"] = 0
        return "disks can't be mounted here"
    ballast, since = trial.disk / ".ballast", datetime.now(timezone.utc)
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    refused = _within(VICTIM_SECONDS, lambda: _refused(trial.site, since)) or 0
    seconds = (datetime.now(timezone.utc) - since).total_seconds()
    ballast.unlink()
    trial.more[f"disk for outputs full for {seconds:.0f} s; deliveries that failed then"] = refused
    return f"disk full: {refused} deliveries failed"


def _refused(site: Site, since: datetime) -> int:
    """Return how many last tasks have failed since then; one that never ran has not."""
    failures = ("failed", "up_for_retry")
    return sum(
        bool(key[0] == "CWLJobGatherer" and row.state in failures and row.end_date and row.end_date > since)
        for run in site.truth().values()
        for key, row in {**run.history, **run.tries}.items()
    )


def _look_back(trial: Trial, expected: dict[str, str]) -> None:
    """Note what is not as it has to be after all that, besides the reports."""
    truth = trial.site.truth()
    trial.faults += [f"{run_id} is not there" for run_id in expected.keys() - truth.keys()]
    for run_id, run in truth.items():
        if run.state != expected[run_id]:
            states = [f"{row.task_id} {row.try_number}: {row.state}" for row in run.tries.values()]
            trial.faults.append(f"{run_id} is {run.state}, not {expected[run_id]}: {states}")
        elif run_id.startswith("files"):
            trial.faults += _missing_outputs(trial, run_id)
    left = [process for dag_id in trial.site.documents for process in _left(f"{dag_id}/")]
    trial.faults += [f"left: {process}" for process in left]
    trial.more["until another API server sent the reports"] = ", ".join(f"{each:.0f} s" for each in trial.takeovers)
    restarts = Counter(restart["component"] for restart in trial.cluster.components._restarts)
    restarts.subtract({name: trial.site.killed[name] for name in restarts})
    trial.more["components that ended by themselves and were started anew"] = (
        ", ".join(f"{name} {count}" for name, count in sorted(restarts.items()) if count > 0) or 0
    )


def _missing_outputs(trial: Trial, run_id: str) -> list[str]:
    folder = trial.cluster.server.home / "cwl/outputs" / FILES / run_id
    there = {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}
    return [] if there == dict.fromkeys(OUTPUTS, FILE_BYTES) else [f"{run_id}: the outputs in {folder} are {there}"]


def _left(mark: str) -> list[task_processes.Process]:
    """Return the commands that are still there after a while."""
    _within(VICTIM_SECONDS, lambda: not task_processes.find(mark))
    return task_processes.find(mark)


def _within(seconds: float, condition: Callable[[], T]) -> T | None:
    """Return the first true value of a condition, or None if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    return None


ACTS: tuple[Callable[[Trial], str], ...] = (
    _kill_supervisor,
    partial(_mood, name=moody_receiver.SLOW),
    partial(_kill, name=WORKERS[0]),
    partial(_mood, name="500"),
    _kill_leader,
    _fill_disk,
    _kill_janitor,
    partial(_mood, name=moody_receiver.GARBAGE),
    _restart_postgresql,
    _kill_supervisor,
    partial(_mood, name="reset"),
    partial(_kill, name="scheduler"),
    partial(_mood, name=moody_receiver.LOST),
    _lose_redis,
    partial(_kill, name=WORKERS[1]),
    partial(_mood, name="hang"),
    _kill_leader,
    partial(_kill, name="scheduler"),
    _kill_supervisor,
)
"""What is done, one after the other."""


if __name__ == "__main__":
    main()
