"""Why a run, or a step of it, does not go on: in words, from Airflow's own tables, with a fixed number of queries.

Workers do not stand in Airflow's tables: of their queues no more is known than which tasks run in them, and which wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin import config
from cwl_ui_plugin.dags import slurm_jobs
from cwl_ui_plugin.reports.tables import RunKey
from cwl_ui_plugin.services.labelling import Label, labels_of
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.monitoring import airflow_limits
from cwl_ui_plugin.services.monitoring.airflow_limits import Busy, WaitingTask
from cwl_ui_plugin.services.run_models import RunDetail, StepState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.services.monitoring.step_groups import StepLine

MAX_NAMED = 3
"""Runs that are named; of others it is said how many they are."""
SOON = timedelta(seconds=15)
"""So long a task may take from the queue to its worker without anything being worth a word."""
_MAX_RETRIES = 100
_WAITING = ("no_status", "waits", "up_for_retry", "awaiting_input")


@dataclass(frozen=True)
class NamedRun:
    """A run that something waits for; ``name`` is what people call it."""

    dag_id: str
    run_id: str
    name: str


@dataclass(frozen=True)
class Wait:
    """What is waited for: ``runs`` are in the way, and ``others``, in words; ``until`` is when it may end."""

    text: str
    runs: tuple[NamedRun, ...] = ()
    others: str = ""
    until: str | None = None

    @property
    def sentence(self) -> str:
        """All of it as one text."""
        names = ", ".join([*(run.name for run in self.runs), *([self.others] if self.others else [])])
        return f"{self.text}: {names}" if names else self.text


@dataclass(frozen=True)
class Waits:
    """What a run waits for, where nothing of it runs, and what its tasks wait for, by their ids."""

    run: Wait | None = None
    tasks: Mapping[str, Wait] = field(default_factory=dict)

    def of(self, line: StepLine) -> Wait | None:
        """Return what a step waits for: its own task, or one that helps it."""
        found = (self.tasks.get(group.task_id) for group in (line.group, *line.helpers))
        return next((wait for wait in found if wait), None)


def why(run: RunDetail, may_read: Callable[[str], bool]) -> Waits:
    """Return what a run and its tasks wait for; runs of Dags that the user may not read are counted, not named."""
    from airflow.utils.session import create_session

    waiting = [step for step in run.steps if step.shown_state in _WAITING]
    if run.summary.has_ended or (run.summary.state == "running" and not waiting):
        return Waits()
    with create_session(scoped=False) as session:
        return _Looking(session, run, may_read).waits(waiting)


def stamp(dag_id: str, run_id: str) -> str:
    """Return a text that changes with what a run may wait for."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        limits = airflow_limits.look(session, dag_id, run_id, datetime.now(timezone.utc)).text
    jobs = slurm_jobs.read(dag_id, run_id) if slurm_jobs.EXECUTOR in config.executors() else None
    return f"{limits}{jobs.waits}" if jobs else limits


class _Looking:
    """A look at what is in the way of one run."""

    def __init__(self, session: Session, run: RunDetail, may_read: Callable[[str], bool]) -> None:
        self._session = session
        self._run = run
        self._key = (run.summary.dag_id, run.summary.run_id)
        self._may_read = may_read
        self._now = datetime.now(timezone.utc)
        self._limits = airflow_limits.look(session, *self._key, self._now)
        self._slurm = slurm_jobs.read(*self._key) if slurm_jobs.EXECUTOR in config.executors() else None

    def waits(self, waiting: Iterable[StepState]) -> Waits:
        """Return everything that is waited for."""
        whole = self._of_all()
        if self._run.summary.state == "queued":
            return self._labelled(Waits(whole or self._of_queued_run()))
        tasks = dict(self._of_tasks(waiting, whole))
        runs_on = any(step.state == "running" for step in self._run.steps)
        return self._labelled(Waits(None if runs_on else next(iter(tasks.values()), whole), tasks))

    def _of_all(self) -> Wait | None:
        """Return what keeps Airflow from going on with any of this run."""
        limits = self._limits
        if not limits.schedulers:
            seen = limits.heartbeat
            ago = f"its last sign of life was {_ago(self._now - seen)} ago" if seen else "none has ever run"
            return Wait(f"No scheduler of Airflow is running: {ago}")
        if limits.is_paused:
            return Wait("The workflow is paused in Airflow; unpause its Dag there, and the run goes on")
        if limits.is_stale:
            return Wait("Airflow does not have the workflow in its list of Dags any more")
        return None

    def _of_queued_run(self) -> Wait:
        limits = self._limits
        most = limits.max_active_runs
        if most and len(limits.active_runs) >= most:
            what = "runs of this backfill" if limits.is_backfill else "runs of this workflow"
            text = f"{len(limits.active_runs)} of {most} {what} at a time are running"
            return self._blocked(text, [(self._key[0], name) for name in limits.active_runs])
        return Wait("Airflow's scheduler is about to start it")

    def _of_tasks(self, waiting: Iterable[StepState], whole: Wait | None) -> Iterator[tuple[str, Wait]]:
        retries = _next_tries(self._session, self._run) if self._has("up_for_retry") else {}
        seen = set()
        for step in waiting:
            if step.task_id in seen:
                continue
            wait = self._of_task(step, whole, retries.get(step.task_id))
            if wait is not None:
                seen.add(step.task_id)
                yield step.task_id, wait

    def _has(self, state: str) -> bool:
        return any(step.state == state for step in self._run.steps)

    def _of_task(self, step: StepState, whole: Wait | None, again_at: datetime | None) -> Wait | None:
        if step.shown_state == "awaiting_input":
            asked = step.approval.assignees if step.approval else ()
            return Wait(f"Somebody has to approve: {', '.join(asked)}" if asked else "Somebody has to approve")
        if step.shown_state == "up_for_retry" and again_at and again_at > self._now:
            return Wait(f"Try {step.try_number} failed; another one begins", until=iso(again_at))
        if step.shown_state == "no_status":
            return None  # it waits for steps before it, and that is no news
        task = self._limits.waiting.get(step.task_id)
        if whole is not None or task is None:
            return whole
        told = self._slurm.wait_of(step.task_id) if self._slurm and task.state == "queued" else ""
        if told:
            return Wait(told)
        return self._of_queued(task) if task.state == "queued" else self._of_scheduled(task)

    def _of_scheduled(self, task: WaitingTask) -> Wait:
        """Return what the scheduler waits for before it hands a task to the executor."""
        limits = self._limits
        own = sum(busy.count for busy in limits.busy if busy.key == self._key)
        if limits.max_active_tasks and own >= limits.max_active_tasks:
            return Wait(
                f"{own} of {limits.max_active_tasks} tasks of this run at a time are running (max_active_tasks)"
            )
        return self._of_pool(task) or self._of_slots() or Wait("Airflow's scheduler is about to start it")

    def _of_pool(self, task: WaitingTask) -> Wait | None:
        slots = self._limits.pools.get(task.pool)
        if slots is None:
            return Wait(f"There is no pool {task.pool!r} in Airflow, which it is to run in")
        if slots < 0:
            return None
        if task.pool_slots > slots:
            return Wait(
                f"It needs {task.pool_slots} slots of the pool {task.pool!r}, which has {slots}: it can't begin"
            )
        users = [busy for busy in self._limits.busy if busy.pool == task.pool]
        used = sum(busy.slots for busy in users)
        if slots - used >= task.pool_slots:
            return None
        return self._blocked(f"{used} of {slots} slots of the pool {task.pool!r} are in use", _keys(users))

    def _of_slots(self) -> Wait | None:
        limits = self._limits
        count = sum(busy.count for busy in limits.busy)
        if count < limits.slots:
            return None
        return self._blocked(f"{min(count, limits.slots)} of {limits.slots} worker slots are busy", _keys(limits.busy))

    def _of_queued(self, task: WaitingTask) -> Wait:
        """Return what a task waits for that the executor has."""
        since = self._now - task.queued_at if task.queued_at else timedelta()
        if since < SOON:
            return Wait("A worker is about to take it")
        running = [busy for busy in self._limits.busy if busy.queue == task.queue and busy.state == "running"]
        if not running:
            return Wait(f"No worker takes tasks of the queue {task.queue!r}: this one has waited for {_ago(since)}")
        count = sum(busy.count for busy in running)
        tasks = "1 task is" if count == 1 else f"{count} tasks are"
        return self._blocked(f"No worker of the queue {task.queue!r} is free: {tasks} running", _keys(running))

    def _blocked(self, text: str, keys: Iterable[RunKey]) -> Wait:
        """Return a wait for some runs: those that the user may see are named, this one first."""
        ordered = sorted(dict.fromkeys(keys), key=lambda key: key != self._key)
        readable = {dag_id: self._may_read(dag_id) for dag_id, _run_id in ordered}
        seen = [key for key in ordered if readable[key[0]]]
        named = tuple(NamedRun(*key, "this run" if key == self._key else key[1]) for key in seen[:MAX_NAMED])
        return Wait(text, named, _others(len(seen) - len(named), len(ordered) - len(seen)))

    def _labelled(self, waits: Waits) -> Waits:
        """Return the same with the titles of the runs that are named."""
        found = [wait for wait in (waits.run, *waits.tasks.values()) if wait]
        named = {(run.dag_id, run.run_id) for wait in found for run in wait.runs}
        labels = labels_of(self._session, named) if named else {}
        tasks = {task_id: _titled(wait, labels) for task_id, wait in waits.tasks.items()}
        return Waits(_titled(waits.run, labels) if waits.run else None, tasks)


def _titled(wait: Wait, labels: Mapping[RunKey, Label]) -> Wait:
    return replace(wait, runs=tuple(_titled_run(run, labels) for run in wait.runs))


def _titled_run(run: NamedRun, labels: Mapping[RunKey, Label]) -> NamedRun:
    label = labels.get((run.dag_id, run.run_id))
    return replace(run, name=label.title) if run.name == run.run_id and label and label.title else run


def _keys(users: Iterable[Busy]) -> list[RunKey]:
    return [busy.key for busy in sorted(users, key=lambda busy: -busy.slots)]


def _others(more: int, hidden: int) -> str:
    parts = [f"{more} more" if more else "", f"{hidden} that you may not see" if hidden else ""]
    return " and ".join(part for part in parts if part)


def _ago(passed: timedelta) -> str:
    seconds = int(passed.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    return f"{minutes} min" if minutes < 60 else f"{hours} h" if hours < 48 else f"{days} days"


def _next_tries(session: Session, run: RunDetail) -> dict[str, datetime]:
    """Return when tasks are tried again, the first of each; as Airflow reckons it, from how we make tasks."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    if run.version is None:
        return {}  # somebody else wrote the Dag: its delays are not ours
    key = (TaskInstance.dag_id == run.summary.dag_id, TaskInstance.run_id == run.summary.run_id)
    query = select(TaskInstance).where(*key, TaskInstance.state == "up_for_retry", TaskInstance.end_date.is_not(None))
    found: dict[str, datetime] = {}
    for task in session.scalars(query.options(joinedload(TaskInstance.dag_run)).limit(_MAX_RETRIES)):
        moment = _next_try(task)
        found[task.task_id] = min(moment, found.get(task.task_id, moment))
    return found


def _next_try(task: Any) -> datetime:
    delay = timedelta(seconds=config.number("retry_delay"))
    task.task = SimpleNamespace(retry_delay=delay, retry_exponential_backoff=2.0, max_retry_delay=None)
    moment: datetime = task.next_retry_datetime()
    return moment
