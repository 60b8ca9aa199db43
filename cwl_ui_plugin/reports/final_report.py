"""What the last report of a run says besides its state: why it failed, statistics, logs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.payloads import RunEnd, Statistics, Times

if TYPE_CHECKING:
    from cwl_ui_plugin.dags.xcoms import TaskError
    from cwl_ui_plugin.reports.due import RunFacts, TaskFact

STATISTICS_VERSION = "1.1"
MAX_FAILED = 20
"""How many failed tasks are described; a scattered step may have hundreds."""


def run_end(run: RunFacts) -> RunEnd:
    """Return ``error``, ``statistics`` and ``logs`` of a run that has ended."""
    last = last_tries(run.tasks)
    failed = [task for task in last if task.state == "failed"] if run.state == "failed" else []
    return {"error": _error(run, failed), "statistics": _statistics(run, last), "logs": _logs(last)}


def moment_text(moment: datetime | None) -> str:
    """Return a moment as reports have it."""
    return moment.isoformat() if moment else ""


def _error(run: RunFacts, failed: list[TaskFact]) -> str:
    """Return why a run failed: each failed task with its message and the end of its command's standard error."""
    if run.state != "failed":
        return ""
    lines = [_task_error(task) for task in failed[:MAX_FAILED]]
    if len(failed) > MAX_FAILED:
        lines.append(f"{len(failed) - MAX_FAILED} more tasks failed.")
    return "\n".join(lines) or "The run was set to failed."


def _task_error(task: TaskFact) -> str:
    error: TaskError = task.error or {}
    parts = [error.get("message") or "failed", error.get("stderr") or ""]
    return f"{_name(task)}: " + "\n".join(part for part in parts if part)


_NOT_TOLD = ("command", "taken_over", "asked_cores", "asked_ram")
"""Statistics of tasks that are for the pages alone: receivers know the others."""


def _statistics(run: RunFacts, last: Iterable[TaskFact]) -> Statistics:
    steps: dict[str, dict[str, object]] = {
        _name(task): {
            "start_date": moment_text(task.started),
            "end_date": moment_text(task.ended),
            "duration": seconds_between(task.started, task.ended),
            "state": task.state,
            **{key: value for key, value in (task.statistics or {}).items() if key not in _NOT_TOLD},
        }
        for task in last
    }
    total: Times = {
        "start_date": moment_text(run.started),
        "end_date": moment_text(run.ended),
        "duration": seconds_between(run.started, run.ended),
    }
    return {"version": STATISTICS_VERSION, "total": total, "steps": steps}


def _logs(last: Iterable[TaskFact]) -> dict[str, str]:
    """Return the end of the standard error of each failed task."""
    failed = [task for task in last if task.error][:MAX_FAILED]
    return {_name(task): task.error.get("stderr") or "" for task in failed if task.error}


def _name(task: TaskFact) -> str:
    return task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"


def last_tries(tasks: Iterable[TaskFact]) -> list[TaskFact]:
    """Return the last try of each task instance."""
    return [task for task in tasks if task.is_last]


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from one moment to another, None where one of them is missing."""
    return round((end - start).total_seconds(), 3) if start and end else None
