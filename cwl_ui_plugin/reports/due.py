"""Which reports are due: a pure function of what Airflow's database says and what the receiver has acknowledged."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

SUCCESSFUL = ("success", "skipped")
TASK_ENDS = ("success", "failed", "up_for_retry", "skipped", "upstream_failed")
RUN_ENDS = ("success", "failed")
_NAMESPACE = uuid.UUID("6f1a3c52-3f0e-4b57-9a50-5a1d5b7f6c11")


@dataclass(frozen=True)
class TaskFact:
    """One try of a task instance; ``error`` is the XCom ``cwl_error`` of the last try, ``statistics`` its numbers."""

    task_id: str
    map_index: int
    try_number: int
    state: str | None
    started: datetime | None
    ended: datetime | None
    error: dict[str, Any] | None = None
    statistics: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """What tells this try from others of the run."""
        return f"{self.task_id}|{self.map_index}|{self.try_number}"


@dataclass(frozen=True)
class RunFacts:
    """A run; ``tasks`` are all tries, ``total`` counts task instances, ``results`` is the CWL output object."""

    dag_id: str
    run_id: str
    run_key: int
    state: str
    started: datetime | None
    ended: datetime | None
    clear_number: int
    total: int
    tasks: tuple[TaskFact, ...]
    results: dict[str, Any] | None = None


@dataclass(frozen=True)
class Acknowledged:
    """What the receiver knows of a run: keys of facts, and the progress it was told since the run was last cleared."""

    facts: frozenset[str] = frozenset()
    succeeded: int = 0
    progress: int = 0
    clear_number: int = 0

    def to_json(self) -> str:
        """Return it as the table keeps it."""
        return json.dumps({**asdict(self), "facts": sorted(self.facts)})

    @classmethod
    def from_json(cls, text: str) -> Acknowledged:
        """Read :meth:`to_json` back."""
        data = json.loads(text)
        return cls(**{**data, "facts": frozenset(data.get("facts", ()))})


@dataclass(frozen=True)
class Report:
    """A report: ``route`` and ``payload`` without its sequence; ``after`` is what is acknowledged with it."""

    route: str
    payload: dict[str, Any]
    after: Acknowledged = field(default_factory=Acknowledged)


def due_reports(run: RunFacts, known: Acknowledged) -> list[Report]:
    """Return what the receiver does not know yet, in the order in which it is to be told."""
    if known.clear_number != run.clear_number:
        known = replace(known, clear_number=run.clear_number, succeeded=0, progress=0)
    reports: list[Report] = []
    for moment, task, phase in sorted(_task_events(run.tasks, known), key=lambda event: event[0]):
        key = f"{task.key}|{phase}"
        state = "running" if phase == "start" else str(task.state)
        known = replace(known, facts=known.facts | {key})
        if state not in SUCCESSFUL:
            reports.append(Report("status", _status(run, task, state, moment[0]), known))
            continue
        # One fact, two reports: both must have arrived before it counts as told.
        before = replace(known, facts=known.facts - {key})
        known = _advanced(run, known)
        reports.append(Report("status", _status(run, task, state, moment[0]), before))
        reports.append(Report("progress", _progress(run, key, "running", known.progress, moment[0]), known))
    reports.extend(_ending(run, known))
    return reports


def _advanced(run: RunFacts, known: Acknowledged) -> Acknowledged:
    """Count one more task; 100 is left for the end of the run."""
    succeeded = known.succeeded + 1
    share = int(100 * succeeded / max(run.total, 1))
    return replace(known, succeeded=succeeded, progress=max(known.progress, min(share, 99)))


def _task_events(
    tasks: Iterable[TaskFact], known: Acknowledged
) -> Iterator[tuple[tuple[str, str, int], TaskFact, str]]:
    """Yield ``(order, task, phase)`` of what is new; within a try, its start comes before its end."""
    for task in tasks:
        started, ended = f"{task.key}|start", f"{task.key}|end"
        if task.started and started not in known.facts and ended not in known.facts:
            yield (_moment(task.started), task.key, 0), task, "start"
        if task.state in TASK_ENDS and ended not in known.facts:
            yield (_moment(task.ended or task.started), task.key, 1), task, "end"


def _ending(run: RunFacts, known: Acknowledged) -> list[Report]:
    key = f"run|{run.state}|{_moment(run.ended)}"
    if run.state not in RUN_ENDS or key in known.facts:
        return []
    after = replace(known, facts=known.facts | {key}, progress=100 if run.state == "success" else known.progress)
    moment = _moment(run.ended)
    ending = _progress(run, key, run.state, after.progress, moment, error=_error(run))
    ending.update(statistics=_statistics(run), logs=_logs(run))
    if run.state == "failed":
        return [Report("progress", ending, after)]
    results = {"dag_id": run.dag_id, "run_id": run.run_id, "results": run.results or {}}
    return [
        Report("progress", ending, known),
        Report("results", {**results, **_common(run, "results", key, moment)}, after),
    ]


def _status(run: RunFacts, task: TaskFact, state: str, moment: str) -> dict[str, Any]:
    return {
        "state": state,
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "try_number": task.try_number,
        **_common(run, "status", f"{task.key}|{state}", moment),
    }


def _progress(run: RunFacts, key: str, state: str, progress: int, moment: str, error: str = "") -> dict[str, Any]:
    return {
        "state": state,
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "progress": progress,
        "error": error,
        **_common(run, "progress", key, moment),
    }


def _common(run: RunFacts, route: str, key: str, moment: str) -> dict[str, Any]:
    fact = json.dumps([run.dag_id, run.run_id, run.run_key, run.clear_number, route, key])
    return {"report_id": str(uuid.uuid5(_NAMESPACE, fact)), "timestamp": moment}


def _error(run: RunFacts) -> str:
    """Return why a run failed: each failed task with its message and the end of its command's standard error."""
    if run.state != "failed":
        return ""
    failed = [task for task in _last_tries(run.tasks) if task.state == "failed"]
    return "\n".join(_task_error(task) for task in failed) or "The run was set to failed."


def _task_error(task: TaskFact) -> str:
    error = task.error or {}
    parts = [str(error.get("message") or "failed"), str(error.get("stderr") or "")]
    return f"{task.task_id}: " + "\n".join(part for part in parts if part)


def _statistics(run: RunFacts) -> dict[str, Any]:
    steps = {
        task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]": {
            "start_date": _moment(task.started),
            "end_date": _moment(task.ended),
            "duration": _seconds(task.started, task.ended),
            "state": task.state,
            **{key: value for key, value in (task.statistics or {}).items() if key != "command"},
        }
        for task in _last_tries(run.tasks)
    }
    total = {
        "start_date": _moment(run.started),
        "end_date": _moment(run.ended),
        "duration": _seconds(run.started, run.ended),
    }
    return {"version": "1.1", "total": total, "steps": steps}


def _logs(run: RunFacts) -> dict[str, Any]:
    """Return the end of the standard error of each failed task."""
    return {task.task_id: str((task.error or {}).get("stderr", "")) for task in run.tasks if task.error}


def _last_tries(tasks: Iterable[TaskFact]) -> list[TaskFact]:
    last: dict[tuple[str, int], TaskFact] = {}
    for task in sorted(tasks, key=lambda item: item.try_number):
        last[task.task_id, task.map_index] = task
    return list(last.values())


def _moment(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None
