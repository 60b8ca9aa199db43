"""Where the time of a task goes: a table and flame graphs, of a step beside a task of Airflow that does nothing.

Nothing of docs/benchmarks.md is written: this is to look at before and after a change. What is sampled takes some 10 %
longer, and its first round (imports of what no earlier task needed) is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import common
import flame
import servers
import workflows
from common import say, table

STEPS = 5
EMPTY = "empty"
OUT = common.ROOT / ".build" / "profile"
PLUGINS = Path(__file__).with_name("plugins")

WAITING = "supervisor: while there is the task's process"
LINGERING = "of that: after all that the process does below"
IN_TASK = (
    ("imports", r"importlib\._bootstrap"),
    ("requests to the API server, through the supervisor", r"execution_time/comms\.py:send$"),
    ("tool: its process started, and waited for", r"/subprocess\.py:|cwltool/job\.py:(_job_popen|monitor|communicate)"),
    ("collection of outputs", r"cwltool/command_line_tool\.py:(collect_output|collect_output_ports|_collect)"),
    ("cwltool: job and command line", r"/(cwltool|schema_salad|ruamel)/"),
    ("plugin: finding the Dag", r"task_runner\.py:(parse|_parse_dag\w*)$"),
    ("plugin: folders, checks, values", r"/cwl_ui_plugin/"),
    ("Airflow: before execute", r"task_runner\.py:(startup|_prepare|get_startup_details)$"),
    ("Airflow: after execute", r"task_runner\.py:(finalize|_push_xcom_if_needed|_handle_current_task_success)$"),
    ("Airflow: its process after the fork", r"supervisor\.py:_fork_main$"),
)
"""The phases of a task's own process: that of a stack is the first whose pattern finds a frame."""
IN_SUPERVISOR = (
    ("supervisor: fork", r"supervisor\.py:start$"),
    (WAITING, r"supervisor\.py:_(monitor_subprocess|service_subprocess)$"),
    ("supervisor: saying how it ended", r"supervisor\.py:(wait|update_task_state_if_needed|_upload_logs)$"),
    ("supervisor: before the fork, and its end", r""),
)
OTHER = "other"
ENTRIES = {"task": ":_fork_main", "supervisor": ":supervise_task"}
BETWEEN = ("scheduler: from the end of the task before to being queued", "executor: from queued to started")


class Sampled(NamedTuple):
    """What one process of a task did."""

    task: str
    role: str
    stacks: list[tuple[list[str], float]]
    requests: list[tuple[str, float]]


class Profile(NamedTuple):
    """Of a Dag: its tasks, the seconds of each phase in all of them, the requests, and the stacks by role."""

    tasks: int
    phases: Mapping[str, float]
    requests: Mapping[str, tuple[int, float]]
    stacks: Mapping[str, list[flame.Stack]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each Dag (5)")
    parser.add_argument("--database", choices=servers.DATABASES, default=servers.DATABASES[0], help="SQLite by default")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the graphs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(1))
    options.out.mkdir(parents=True, exist_ok=True)
    profiles = _profiles(options.database, options.rounds)
    for name, profile in profiles.items():
        for role, stacks in profile.stacks.items():
            path = options.out / f"{name}-{role}.svg"
            path.write_text(flame.svg(f"{role} of {name}", stacks), encoding="utf-8")
            say(f"wrote {path}")
    text = f"{_phase_table(profiles)}\n\n{_request_table(profiles)}\n"
    (options.out / "table.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")


def _profiles(database: str, rounds: int) -> dict[str, Profile]:
    """Run a chain of tools, and empty tasks, in turns."""
    empty = {"empty.py": servers.EMPTY_DAG.format(dag_id=EMPTY, tasks=STEPS + 2, paused=False)}
    with tempfile.TemporaryDirectory(prefix="cwl-profile-") as name:
        folder = Path(name)
        samples = folder / "samples"
        samples.mkdir()
        settings = {
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0",  # Airflow has the same timer for it
            "BENCH_SAMPLES": str(samples),
        }
        with servers.airflow(database, empty, **settings) as airflow:
            document, job_file = workflows.chain(folder, STEPS)
            job = json.loads(job_file.read_text())
            job["file"]["path"] = str(folder / job["file"]["path"])
            dag_id = airflow.upload(document)
            airflow.wait_for_dag(EMPTY)
            jobs = {dag_id: job, EMPTY: None}
            for each, its_job in jobs.items():
                airflow.run(each, its_job)
            runs: dict[str, list[list[dict[str, Any]]]] = defaultdict(list)
            early = set(samples.iterdir())
            for number in range(rounds):
                say(f"round {number + 1}")
                for each, its_job in jobs.items():
                    runs[each].append(airflow.tasks(airflow.run(each, its_job).path))
        found = [_read(path) for path in samples.iterdir() if path not in early]
    return {each: _profile(each, runs[each], found) for each in jobs}


def _read(path: Path) -> Sampled:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Sampled(data["task"], data["role"], data["stacks"], data["requests"])


def _profile(dag_id: str, runs: Sequence[list[dict[str, Any]]], found: Iterable[Sampled]) -> Profile:
    phases: Counter[str] = Counter()
    requests: dict[str, tuple[int, float]] = {}
    stacks: dict[str, list[flame.Stack]] = defaultdict(list)
    for sampled in found:
        if sampled.task.split(" ")[0] != dag_id:
            continue
        rules = IN_TASK if sampled.role == "task" else IN_SUPERVISOR
        for stack, seconds in sampled.stacks:
            frames = _inner(stack, sampled.role)
            phases[phase_of(frames, rules)] += seconds
            stacks[sampled.role].append(([_short(frame) for frame in frames], seconds))
        for name, seconds in sampled.requests:
            count, taken = requests.get(name, (0, 0.0))
            requests[name] = (count + 1, taken + seconds)
    phases[LINGERING] = phases[WAITING] - sum(phases[name] for name in (*(name for name, _rule in IN_TASK), OTHER))
    for tasks in runs:
        phases.update(_between(tasks))
    return Profile(sum(len(tasks) for tasks in runs), phases, requests, stacks)


def phase_of(frames: Sequence[str], rules: Sequence[tuple[str, str]]) -> str:
    """Return the phase that a stack belongs to."""
    for name, pattern in rules:
        if any(re.search(pattern, frame) for frame in frames):
            return name
    return OTHER


def _between(tasks: list[dict[str, Any]]) -> Counter[str]:
    """Return the seconds that the tasks of a run, which followed each other, waited for Airflow."""
    found: Counter[str] = Counter()
    ordered = sorted(tasks, key=lambda task: str(task["start_date"]))
    for number, task in enumerate(ordered):
        queued, started = servers.moment(task["queued_when"]), servers.moment(task["start_date"])
        found[BETWEEN[1]] += started - queued
        if number:
            found[BETWEEN[0]] += queued - servers.moment(ordered[number - 1]["end_date"])
    return found


def _inner(frames: list[str], role: str) -> list[str]:
    """Leave out the frames of the scheduler, which the process was forked from."""
    first = next((place for place, frame in enumerate(frames) if frame.endswith(ENTRIES[role])), 0)
    return frames[first:]


def _short(frame: str) -> str:
    """Return a frame without the folders that everything is in."""
    return re.sub(r"^.*/(site-packages|python3\.\d+|bench)/|^.*/(?=cwl_ui_plugin/)", "", frame)


def _phase_table(profiles: Mapping[str, Profile]) -> str:
    supervisor = [name for name, _pattern in IN_SUPERVISOR]
    after = supervisor.index(WAITING) + 1
    names = [*BETWEEN, *supervisor[:after], LINGERING, *supervisor[after:]]
    names += [*(name for name, _pattern in IN_TASK), OTHER]
    rows = [[name, *(_milliseconds(profile, name) for profile in profiles.values())] for name in names]
    return table(["milliseconds of each task", *profiles], rows)


def _milliseconds(profile: Profile, name: str) -> str:
    return f"{profile.phases.get(name, 0.0) / profile.tasks * 1000:.1f}"


def _request_table(profiles: Mapping[str, Profile]) -> str:
    names = sorted({name for profile in profiles.values() for name in profile.requests})
    rows = [[name, *(_times(profile, name) for profile in profiles.values())] for name in names]
    return table(["requests of each task", *profiles], rows)


def _times(profile: Profile, name: str) -> str:
    count, taken = profile.requests.get(name, (0, 0.0))
    return f"{count / profile.tasks:.1f} x {taken / count * 1000:.0f} ms" if count else ""


if __name__ == "__main__":
    main()
