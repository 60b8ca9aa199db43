"""Airflow's database as all that write to it make it, and an oracle that is told everything: what must be reported."""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.utils.session import create_session
from sqlalchemy import delete, insert, update

from cwl_ui_plugin.reports.tables import Stop

TASKS = ("CWLJobDispatcher", "sort", "CWLJobGatherer")
FINISHED = ("success", "failed", "skipped", "upstream_failed")
ENDS = (*FINISHED, "up_for_retry")
RUN_ENDS = ("success", "failed")
Try = tuple[str, int]
_keys = itertools.count(1_000_000)


class Clock:
    """The clock of whoever writes: it never shows the same moment twice, and may be set."""

    def __init__(self) -> None:
        self._ticks = itertools.count(1)
        self._base = datetime.now(timezone.utc)
        self.hours = 0

    def now(self) -> datetime:
        return self._base + timedelta(hours=self.hours, milliseconds=next(self._ticks))


@dataclass
class Instance:
    """A task instance; ``was_running``: a stop found its process, which may still write."""

    task_id: str
    state: str | None = None
    number: int = 0
    start: datetime | None = None
    end: datetime | None = None
    was_running: bool = False

    @property
    def key(self) -> Try:
        return self.task_id, self.number


@dataclass
class Run:
    """A run, from its creation until it is deleted, with everything that was written about it."""

    name: str
    key: int = field(default_factory=lambda: next(_keys))
    state: str = "queued"
    clear_number: int = 0
    start: datetime | None = None
    end: datetime | None = None
    instances: dict[str, Instance] = field(default_factory=lambda: {name: Instance(name) for name in TASKS})
    history: set[Try] = field(default_factory=set)
    written: dict[Try, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The states that each try had, in their order: starts and ends."""
    ends: list[str] = field(default_factory=list)
    """What somebody who looked saw of its ends."""
    seen: tuple[str, int] | None = None
    reopened: bool = False
    starts: int = 0
    was_open: bool = False
    stopped: int | None = None
    """How often the run had been cleared when it was stopped."""
    is_deleted: bool = False

    def write(self, key: Try, state: str) -> None:
        if self.written[key][-1:] != [state]:
            self.written[key].append(state)


class World:
    """What happens. Each method is one transaction of a part of Airflow, or of somebody who uses it."""

    def __init__(self, dag_id: str) -> None:
        self.dag_id = dag_id
        self.clock = Clock()
        self.runs: dict[str, Run] = {}
        self.lives: list[Run] = []

    def trigger(self, name: str) -> None:
        run = self.runs[name] = Run(name)
        self.lives.append(run)
        names = {"dag_id": self.dag_id, "run_id": name}
        now = self.clock.now()
        with create_session() as session:
            row = {**names, "id": run.key, "run_type": "manual", "run_after": now, "_state": "queued"}
            session.execute(insert(DagRun).values(**row, queued_at=now, log_template_id=None, clear_number=0))
            same = {**names, "map_index": -1, "pool": "default_pool", "pool_slots": 1, "try_number": 0}
            rows = [{**same, "id": uuid.uuid4(), "task_id": task_id, "updated_at": now} for task_id in TASKS]
            session.execute(insert(TaskInstance), rows)

    def begin(self, run: Run) -> None:
        run.state, run.start = "running", self.clock.now()
        self._save(run)

    def start(self, run: Run, task: Instance) -> None:
        task.number += 1
        task.state, task.start, task.end = "running", self.clock.now(), None
        run.write(task.key, "running")
        run.starts += 1
        self._save(run, task)

    def finish(self, run: Run, task: Instance, state: str) -> None:
        task.end = self.clock.now()
        if state == "up_for_retry":
            self._keep(run, task)
        task.state = state
        run.write(task.key, state)
        self._save(run, task)

    def rule(self, run: Run, task: Instance, state: str) -> None:
        """Set a state that needs no process."""
        now = self.clock.now()
        task.state, task.start, task.end = state, task.start or now, task.end or now
        run.write(task.key, state)
        self._save(run, task)

    def end(self, run: Run, state: str) -> None:
        run.state, run.end = state, self.clock.now()
        self._save(run)

    def stop(self, run: Run) -> None:
        unfinished = [task for task in run.instances.values() if task.state not in FINISHED]
        if run.state not in RUN_ENDS and run.stopped != run.clear_number:
            run.stopped = run.clear_number
            self._keep_stop(run)
        for task in unfinished:
            now = self.clock.now()
            task.was_running = task.state == "running"
            task.state, task.start, task.end = "failed", task.start or now, task.end or now
            run.write(task.key, "failed")
        if run.state not in RUN_ENDS:
            run.state, run.end = "failed", self.clock.now()
        self._save(run, *unfinished)

    def write_late(self, run: Run, task: Instance, state: str) -> None:
        """Write what was under way when the run ended: its time stamp is older than that end."""
        task.was_running = False
        task.state, task.end = state, self.clock.now() - timedelta(hours=9)
        run.write(task.key, state)
        self._save(run, task, updated_at=self.clock.now() - timedelta(hours=9))

    def queue_late(self, run: Run, task: Instance) -> None:
        """Let the scheduler queue a task that a stop has failed meanwhile."""
        task.number, task.state = task.number + 1, "queued"
        self._save(run, task, updated_at=self.clock.now() - timedelta(hours=9))

    def reopen_late(self, run: Run) -> None:
        """Let the scheduler write that a run goes on which a stop has failed meanwhile."""
        run.state, run.end = "running", None
        self._save(run)

    def assert_end(self, run: Run) -> None:
        """Write the same end once more."""
        run.end = self.clock.now()
        self._save(run)

    def clear(self, run: Run, tasks: Iterable[Instance]) -> None:
        chosen = [task for task in tasks if task.number and task.state in FINISHED]
        for task in chosen:
            self._keep(run, task)
            task.state, task.was_running = None, False
        run.clear_number += 1
        if run.state in RUN_ENDS:
            run.state, run.start, run.end = "queued", None, None
        self._save(run, *chosen)

    def delete(self, run: Run) -> None:
        del self.runs[run.name]
        run.is_deleted = True
        with create_session() as session:
            for table in (TaskInstanceHistory, TaskInstance, DagRun):
                session.execute(delete(table).where(table.dag_id == self.dag_id, table.run_id == run.name))

    def seen(self) -> None:
        """Note what somebody sees who looks now."""
        for run in self.runs.values():
            run.was_open = run.state not in RUN_ENDS
            run.reopened = run.reopened or bool(run.was_open and run.seen)
            if run.reopened and run.starts and run.stopped != run.clear_number:
                run.seen, run.reopened = None, False
            run.starts = 0
            if run.was_open:
                continue
            run.reopened = False
            if run.seen != (run.state, run.clear_number):
                run.seen = run.state, run.clear_number
                run.ends.append(run.state)

    def _keep(self, run: Run, task: Instance) -> None:
        """Copy a try to the history, as Airflow does."""
        if task.key in run.history:
            return
        run.history.add(task.key)
        state = task.state if task.state in FINISHED else "failed"
        if state != task.state:
            run.write(task.key, state)
        row = {"dag_id": self.dag_id, "run_id": run.name, "task_id": task.task_id, "map_index": -1}
        row |= {"try_number": task.number, "state": state, "start_date": task.start, "end_date": task.end}
        row |= {"task_instance_id": uuid.uuid4(), "pool": "default_pool", "pool_slots": 1}
        with create_session() as session:
            session.execute(insert(TaskInstanceHistory).values(**row, updated_at=self.clock.now()))

    def _keep_stop(self, run: Run) -> None:
        with create_session() as session:
            session.execute(delete(Stop).where(Stop.dag_id == self.dag_id, Stop.run_id == run.name))
            row = {"dag_id": self.dag_id, "run_id": run.name, "run_key": run.key, "clear_number": run.clear_number}
            session.execute(insert(Stop).values(**row, user="ada", stopped_at=self.clock.now() + timedelta(days=1)))

    def _save(self, run: Run, *tasks: Instance, updated_at: datetime | None = None) -> None:
        values = {"_state": run.state, "start_date": run.start, "end_date": run.end, "clear_number": run.clear_number}
        with create_session() as session:
            session.execute(update(DagRun).where(DagRun.id == run.key).values(**values))
            for task in tasks:
                changed = {"state": task.state, "try_number": task.number, "start_date": task.start}
                changed |= {"end_date": task.end, "updated_at": updated_at or self.clock.now()}
                of_run = (TaskInstance.dag_id == self.dag_id, TaskInstance.run_id == run.name)
                session.execute(
                    update(TaskInstance).where(*of_run, TaskInstance.task_id == task.task_id).values(**changed)
                )


Life = Callable[[dict[str, Any]], int]
"""The id of the run that a report is about."""


def judge(world: World, received: dict[str, list[dict[str, Any]]], life_of: Life) -> list[str]:
    """Compare what a receiver got, in its order and without what came again, with what was written."""
    faults = []
    for name, reports in received.items():
        numbers = [report["sequence"] for report in reports]
        if numbers != list(range(1, len(numbers) + 1)):
            faults.append(f"{name}: not in order, or not all: {numbers}")
    for run in world.lives:
        told = [report for report in received.get(run.name, []) if life_of(report) == run.key]
        faults += [f"{run.name} ({run.key}): {fault}" for fault in _faults(run, told)]
    return faults


def _faults(run: Run, told: list[dict[str, Any]]) -> list[str]:
    tries: dict[Try, list[str]] = defaultdict(list)
    for report in told:
        if "task_id" in report:
            tries[report["task_id"], report["try_number"]].append(report["state"])
    ends = [report for report in told if report["route"] == "progress" and report["state"] in RUN_ENDS]
    deletions = [report for report in ends if report["error"] == "The run was deleted before its end."]
    faults = [
        f"{key}: {states} was told, {run.written[key]} was"
        for key, states in tries.items()
        if _is_wrong(run, key, states)
    ]
    if [report["state"] for report in ends if report not in deletions] != run.ends:
        faults.append(f"the ends {[report['state'] for report in ends]} were told, {run.ends} were seen")
    if len(deletions) != (run.is_deleted and run.was_open and bool(tries)):
        faults.append(f"it was told {len(deletions)} times that it was deleted")
    if deletions and told[-1] is not deletions[0]:
        faults.append("something was told after its deletion")
    return faults if run.is_deleted else [*faults, *_missing(run, tries, told)]


def _is_wrong(run: Run, key: Try, states: list[str]) -> bool:
    """Whether states were not written in that order; a try that another one followed was to be retried."""
    written = list(run.written[key])
    if key in run.history and "up_for_retry" not in written:
        written.append("up_for_retry")
    left = iter(written)
    return states.count("running") > 1 or not all(state in left for state in states)


def _missing(run: Run, tries: dict[Try, list[str]], told: list[dict[str, Any]]) -> list[str]:
    faults = []
    for task in run.instances.values():
        if task.state in ENDS and tries[task.key][-1:] != [task.state]:
            faults.append(f"{task.key} is {task.state}, told: {tries[task.key]}")
    kept = {task.key for task in run.instances.values() if task.state in (*ENDS, "running")} | run.history
    for key in kept:
        if "running" in run.written[key] and "running" not in tries[key]:
            faults.append(f"the start of {key} was not told: {tries[key]}")
    for key in run.history:
        if not set(ENDS) & set(tries[key]):
            faults.append(f"the end of {key} was not told: {tries[key]}")
    progress = [report["state"] for report in told if report["route"] == "progress"]
    if run.state in RUN_ENDS and progress[-1:] != [run.state]:
        faults.append(f"it is {run.state}, the last that was told is {progress[-1:]}")
    return faults
