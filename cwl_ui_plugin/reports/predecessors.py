"""What the reports of CWL-Airflow 1.2 said at the end of a run; ``docs/report-formats.md`` describes it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN
from cwl_ui_plugin.reports.final_report import last_tries, moment_text, seconds_between

if TYPE_CHECKING:
    from datetime import datetime

    from cwl_ui_plugin.reports.due import RunFacts, TaskFact

STATISTICS_VERSION = "1.0"
KILOBYTE = 1024
STEPS_FAILED = "Workflow step(s) {} failed. Contact support team"
STOPPED = "Workflow was stopped. Restart with the lower threads or memory parameters"
UNKNOWN = "Unknown error. Contact support team"
_DOCKER = {
    "docker: Error response from daemon": "Docker problems. Contact support team",
    "Docker is not available for this tool": "Docker or Network problems. Contact support team",
    "You have reached your pull rate limit": "Docker pull limit reached. Restart in 6 hours",
}
"""Categories of errors, by what the log of the task says."""


def end_of(run: RunFacts) -> dict[str, object]:
    """Return ``statistics``, ``error`` and ``logs`` of a run that has ended."""
    last = last_tries(run.tasks)
    failed = [task for task in last if task.state == "failed"] if run.state == "failed" else []
    return {"statistics": _statistics(run, last), "error": _error(run, failed), "logs": _logs(run, failed, last)}


def with_name_parts(value: object) -> object:
    """Return an output object whose Files have ``nameroot`` and ``nameext``, as cwltool gives them."""
    if isinstance(value, Mapping):
        return {**_name_parts(value), **{key: with_name_parts(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [with_name_parts(item) for item in value]
    return value


def _name_parts(value: Mapping[str, object]) -> dict[str, str]:
    name = value.get("basename")
    if value.get("class") != "File" or not isinstance(name, str):
        return {}
    root, extension = posixpath.splitext(name)
    return {"nameroot": root, "nameext": extension}


def _statistics(run: RunFacts, last: Iterable[TaskFact]) -> dict[str, object] | str:
    """Return times in seconds since the run's start and sizes in kB; empty where there is nothing to count from."""
    if run.started is None or run.ended is None or run.dag_id == CLEAN_DAG_RUN:
        return ""
    steps: dict[str, list[TaskFact]] = {}
    for task in last:
        if task.started and task.ended:
            steps.setdefault(task.task_id, []).append(task)
    entries = {task_id: _step(run.started, elements) for task_id, elements in steps.items()}
    total = {
        "tmp_folder_size": sum(int(str(entry["tmp_folder_size"])) for entry in entries.values()),
        "outputs_folder_size": _kilobytes(sum(_sizes(run.results or {}))),
        "start_date": moment_text(run.started),
        "end_date": seconds_between(run.started, run.ended),
    }
    return {"version": STATISTICS_VERSION, "total": total, "steps": entries}


def _step(start: datetime, elements: Sequence[TaskFact]) -> dict[str, object]:
    written = sum(int(task.statistics["output_bytes"] or 0) for task in elements if task.statistics)
    return {
        "tmp_folder_size": _kilobytes(written),
        "start_date": seconds_between(start, min(task.started for task in elements if task.started)),
        "end_date": seconds_between(start, max(task.ended for task in elements if task.ended)),
    }


def _sizes(value: object) -> Iterator[int]:
    """Yield the sizes of all Files of an output object."""
    if isinstance(value, Mapping):
        size = value.get("size")
        if value.get("class") == "File" and isinstance(size, int):
            yield size
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _sizes(item)


def _kilobytes(size: int) -> int:
    """Return whole kilobytes, as ``du`` counts."""
    return -(-size // KILOBYTE)


def _error(run: RunFacts, failed: Sequence[TaskFact]) -> str:
    if run.state != "failed":
        return ""
    if run.stop:
        return STOPPED
    names = ", ".join(dict.fromkeys(task.task_id for task in failed))
    return ". ".join(dict.fromkeys(_category(task).format(names) for task in failed)) or UNKNOWN


def _category(task: TaskFact) -> str:
    told = task.error or {}
    text = f"{told.get('message')} {told.get('stderr')}"
    return next((category for marker, category in _DOCKER.items() if marker in text), STEPS_FAILED)


def _logs(run: RunFacts, failed: Sequence[TaskFact], last: Iterable[TaskFact]) -> dict[str, object] | str:
    """Return the files with the logs of the steps that failed, and of those whose outputs they had read."""
    if run.state != "failed":
        return ""
    read = {name for task in failed for name in run.upstream.get(task.task_id, ())}
    before = [task for task in last if task.state == "success" and task.task_id in read]
    return {
        "failed_steps": {task.task_id: _files(task) for task in failed},
        "previous_steps": {task.task_id: _files(task) for task in before},
    }


def _files(task: TaskFact) -> dict[str, str]:
    """Airflow's log of a task has what cwltool says, too."""
    return {"airflow": task.log, "cwl": task.log} if task.log else {}
