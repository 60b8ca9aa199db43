"""A run that is not there: what Airflow's database would say of it, step by step, and the reports that come of that.

What is due, and how it is told, is decided by the code that reports real runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.due import Known, Report, RunFacts, TaskFact, due_reports
from cwl_ui_plugin.reports.stopped import Stopped

if TYPE_CHECKING:
    from cwl_ui_plugin.dags.xcoms import TaskError, TaskStatistics
    from cwl_ui_plugin.reports.simulated_tasks import SimulatedTask

SECONDS = 2.0
"""How long each task takes."""
EXIT_CODE = 1
LOGS = "/simulated/logs"
"""Where the logs are said to be; none of them is there."""
_Key = tuple[str, int]


@dataclass(frozen=True)
class Course:
    """How a run goes, by the names of steps: which fail, which fail once and are tried again, which are skipped.

    ``stop_at`` is the step during which the run is stopped.
    """

    fail: Collection[str] = ()
    retry: Collection[str] = ()
    skip: Collection[str] = ()
    stop_at: str = ""
    user: str = "simulated"
    results: Mapping[str, object] = field(default_factory=dict)


def reports_of(
    dag_id: str, run_id: str, tasks: list[SimulatedTask], course: Course, start: datetime
) -> Iterator[tuple[Report, datetime]]:
    """Yield the reports of a run, each with when it would be told."""
    known = Known()
    run = _Run(dag_id, run_id, tasks, course, start)
    for facts in run.states():
        reports, known = due_reports(facts, known)
        for report in reports:
            yield report, run.now


class _Run:
    """What the database says of a run that goes on."""

    def __init__(self, dag_id: str, run_id: str, tasks: list[SimulatedTask], course: Course, start: datetime) -> None:
        self.now = start
        self._tasks = tasks
        self._course = course
        self._facts = RunFacts(dag_id, run_id, 1, "running", start, None, 0, 0, ())
        self._last: dict[_Key, TaskFact] = {
            (task.task_id, -1): TaskFact(task.task_id, -1, 0, None, None, None, log=f"{LOGS}/{task.task_id}.log")
            for task in tasks
        }
        self._earlier: list[TaskFact] = []
        self._unreached: set[str] = set()

    def states(self) -> Iterator[RunFacts]:
        """Yield the run after each change."""
        for task in self._tasks:
            yield from self._run_task(task)
            if self._course.stop_at and task.step == self._course.stop_at and task.is_command:
                yield self._stopped()
                return
        has_failed = any(task.state in ("failed", "upstream_failed") for task in self._last.values())
        yield self._state("failed" if has_failed else "success")

    def _run_task(self, task: SimulatedTask) -> Iterator[RunFacts]:
        if task.upstream & self._unreached:
            self._unreached.add(task.task_id)
            self._put(task, -1, state="upstream_failed", started=None, ended=self.now)
            yield self._state()
            return
        if task.elements is not None:
            self._expand(task)
        for index in task.map_indexes:
            self._put(task, index, state="running", started=self.now, try_number=1)
            yield self._state()
        self.now += timedelta(seconds=SECONDS)
        if task.step == self._course.stop_at and task.is_command:
            return
        for index in task.map_indexes:
            if task.is_command and task.step in self._course.retry:
                yield from self._try_again(task, index)
            self._end(task, index)
            yield self._state()

    def _try_again(self, task: SimulatedTask, index: int) -> Iterator[RunFacts]:
        self._put(task, index, state="up_for_retry", ended=self.now)
        yield self._state()
        first = self._last[task.task_id, index]
        self._earlier.append(replace(first, is_last=False))
        self._put(task, index, state="running", started=self.now, ended=None, try_number=2)
        yield self._state()
        self.now += timedelta(seconds=SECONDS)

    def _end(self, task: SimulatedTask, index: int) -> None:
        if task.is_command and task.step in self._course.fail:
            self._unreached.add(task.task_id)
            self._put(task, index, state="failed", ended=self.now, error=_error(task))
            return
        is_skipped = task.is_command and task.step in self._course.skip
        statistics = _statistics(is_skipped=is_skipped) if task.is_command else None
        self._put(task, index, state="skipped" if is_skipped else "success", ended=self.now, statistics=statistics)

    def _expand(self, task: SimulatedTask) -> None:
        """Replace the instance that stands for the elements by one for each, once it is known how many there are."""
        made = self._last.pop((task.task_id, -1))
        self._last |= {(task.task_id, index): replace(made, map_index=index) for index in task.map_indexes}

    def _put(self, task: SimulatedTask, index: int, **values: object) -> None:
        key = (task.task_id, index)
        self._last[key] = replace(self._last[key], **values)  # type: ignore[arg-type]

    def _stopped(self) -> RunFacts:
        for key, task in self._last.items():
            if task.state in (None, "running"):
                self._last[key] = replace(task, state="failed", ended=self.now)
        return replace(self._state("failed"), stop=Stopped(self._course.user, self.now))

    def _state(self, state: str = "running") -> RunFacts:
        tasks = (*self._earlier, *self._last.values())
        has_ended = state != "running"
        return replace(
            self._facts,
            state=state,
            ended=self.now if has_ended else None,
            total=len(self._last),
            tasks=tasks,
            results=dict(self._course.results) if state == "success" else None,
            upstream={task.task_id: task.upstream for task in self._tasks},
        )


def _error(task: SimulatedTask) -> TaskError:
    message = f"The command of {task.step} ended with the exit code {EXIT_CODE}."
    return {
        "message": message,
        "kind": "permanentFail",
        "exit_code": EXIT_CODE,
        "stderr": f"{task.step}: simulated failure",
    }


def _statistics(*, is_skipped: bool) -> TaskStatistics:
    return {
        "command": None,
        "exit_code": None if is_skipped else 0,
        "seconds": 0.0 if is_skipped else SECONDS,
        "cpu_seconds": 0.0 if is_skipped else SECONDS / 2,
        "peak_memory_bytes": 0 if is_skipped else 8 * 1024 * 1024,
        "output_bytes": 0 if is_skipped else 1024,
        "reused": False,
        "taken_over": False,
        "asked_cores": None,
        "asked_ram": None,
    }
