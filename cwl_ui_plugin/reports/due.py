"""Which reports are due: a pure function of what Airflow's database says and what there are reports of already."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import cast

from cwl_ui_plugin.dags.xcoms import TaskError, TaskStatistics
from cwl_ui_plugin.reports import predecessors
from cwl_ui_plugin.reports.final_report import moment_text, run_end
from cwl_ui_plugin.reports.payloads import Ended, Payload, Progress, Results, Status
from cwl_ui_plugin.reports.stopped import STOPPED, Stopped
from cwl_ui_plugin.reports.whole_steps import WholeSteps

SUCCESSFUL = ("success", "skipped")
TASK_ENDS = ("success", "failed", "up_for_retry", "skipped", "upstream_failed")
RUN_ENDS = ("success", "failed")
RUNNING = "running"
LEFT_OUT = "The lists of the output object are too long for a report: ask for it, and for the files, by the REST API."
DELETED = "The run was deleted before its end."


@dataclass(frozen=True)
class TaskFact:
    """One try of a task instance; ``is_last`` tells that no other try has followed.

    ``error`` is the XCom ``cwl_error`` of the last try, ``statistics`` its numbers, ``log`` the file with its log.
    """

    task_id: str
    map_index: int
    try_number: int
    state: str | None
    started: datetime | None
    ended: datetime | None
    is_last: bool = True
    error: TaskError | None = None
    statistics: TaskStatistics | None = None
    log: str = ""

    @property
    def instance(self) -> tuple[str, int]:
        """The task instance."""
        return self.task_id, self.map_index

    @property
    def key(self) -> str:
        """What tells this try from others of the run."""
        return f"{self.task_id}|{self.map_index}|{self.try_number}"


@dataclass(frozen=True)
class RunFacts:
    """A run; ``tasks`` are all tries, ``total`` counts task instances, ``results`` is the CWL output object,
    and empty where it ``has_long_results``: lists that are too long for a report.

    ``stop`` tells who stopped it, if that is why it failed; ``upstream`` the tasks that failed ones come after.
    """

    dag_id: str
    run_id: str
    run_key: int
    state: str
    started: datetime | None
    ended: datetime | None
    clear_number: int
    total: int
    tasks: tuple[TaskFact, ...]
    results: dict[str, object] | None = None
    has_long_results: bool = False
    created: str = ""
    stop: Stopped | None = None
    upstream: Mapping[str, Collection[str]] = field(default_factory=dict)

    def was_stopped(self, task: TaskFact) -> bool:
        """Whether it was the stop of the run that ended a try, or kept it from beginning."""
        if self.stop is None or task.state != "failed" or not task.is_last:
            return False
        return task.started is None or (task.ended is not None and task.ended >= self.stop.moment)


@dataclass(frozen=True)
class Known:
    """What there are reports of.

    ``tries`` has the state that was reported last of each try, ``end`` the last end of the run (its state, and how
    often it had been cleared), ``progress`` the highest since the run was last cleared. ``reopened``: the run was seen
    to go on after that end, but no task of it has started since. ``created`` is when the run was made: SQLite gives the
    id of a run that was deleted to the next one.
    """

    tries: Mapping[str, str] = field(default_factory=dict)
    end: str = ""
    progress: int = 0
    clear_number: int = 0
    reopened: bool = False
    created: str = ""

    def to_json(self) -> str:
        """Return it as the table keeps it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def is_of(self, created: str) -> bool:
        """Whether this is about the run that was made then, and not about one before it with the same name and id."""
        return self.created in ("", created)

    @classmethod
    def from_json(cls, text: str) -> Known:
        """Read :meth:`to_json` back; an end from an earlier version has its moment, too."""
        values = json.loads(text)
        state, *_moment, clear_number = values.get("end", "").split("|") if values.get("end") else ("", "")
        return cls(**{**values, "end": f"{state}|{clear_number}" if state else ""})


@dataclass(frozen=True)
class Report:
    """A report: ``payload`` is without its id and its sequence, which it gets when it is recorded.

    ``predecessors`` are the fields that say something else to receivers of the predecessors; None: nothing for them.
    """

    route: str
    payload: Payload
    predecessors: Mapping[str, object] | None = field(default_factory=dict)


def due_reports(run: RunFacts, known: Known) -> tuple[list[Report], Known]:
    """Return the reports that are due, in the order in which they are to be told, and what is known with them."""
    if known.clear_number != run.clear_number:
        known = replace(known, clear_number=run.clear_number, progress=0)
    if known.end and run.state not in RUN_ENDS:
        known = replace(known, reopened=True)
    known = replace(known, created=run.created)
    events = _events(run.tasks, known.tries)
    # After a stop no task starts before the run is cleared: one that was under way makes no other end of it.
    if known.reopened and run.stop is None and any(state == RUNNING for _moment, _task, state in events):
        known = replace(known, end="", reopened=False)
    is_over = known.end.endswith(f"|{run.clear_number}")
    tries = dict(known.tries)
    done = {task.instance for task in run.tasks if _is_done(task) and tries.get(task.key) == task.state}
    steps = WholeSteps(run.tasks, known.tries)
    progress = known.progress
    reports: list[Report] = []
    for moment, task, state in events:
        tries[task.key] = state
        whole = steps.after(task, state)
        told = {"state": whole} if whole else None
        reports.append(Report("status", _status(run, task, state, moment), told))
        if state not in SUCCESSFUL:
            continue
        if task.is_last:
            done.add(task.instance)
        # 100 is left for the end of the run.
        progress = max(progress, min(99, int(100 * len(done) / max(run.total, 1))))
        if not is_over:  # a task that ends after its run is no progress of it
            full = {"progress": 100} if len(done) >= run.total else {}
            reports.append(Report("progress", _progress(run, RUNNING, progress, moment), full))
    known = replace(known, tries=tries, progress=progress)
    ending, known = _ending(run, known)
    return [*reports, *ending], known


def deletion(dag_id: str, run_id: str, known: Known, moment: datetime) -> Report:
    """Return the last report of a run that was deleted before its end."""
    payload: Progress = {
        "state": "failed",
        "dag_id": dag_id,
        "run_id": run_id,
        "progress": known.progress,
        "error": DELETED,
        "statistics": {},
        "logs": {},
        "timestamp": moment_text(moment),
    }
    return Report("progress", payload, {"statistics": "", "logs": ""})


def _is_done(task: TaskFact) -> bool:
    return task.is_last and task.state in SUCCESSFUL


def _events(tasks: Iterable[TaskFact], told: Mapping[str, str]) -> list[tuple[str, TaskFact, str]]:
    """Return ``(moment, task, state)`` of what is new, in order of time; an instance's tries stay in their order."""
    events: list[tuple[str, int, TaskFact, str]] = []
    latest: dict[tuple[str, int], str] = {}
    told = dict(told)
    for task in sorted(tasks, key=lambda item: (item.try_number, item.is_last)):
        # A task that was cleared and then skipped by a rule is in the history and the last with the same try.
        for moment, state in list(_news(task, told.get(task.key))):
            told[task.key] = state
            latest[task.instance] = max(latest.get(task.instance, ""), moment)
            events.append((latest[task.instance], len(events), task, state))
    events.sort(key=lambda event: event[:2])
    return [(moment, task, state) for moment, _number, task, state in events]


def _news(task: TaskFact, told: str | None) -> Iterator[tuple[str, str]]:
    """Yield what is new of one try. Of an earlier one there is one end; the last may be set to another by hand."""
    if told is None and task.started:
        yield moment_text(task.started), RUNNING
    is_new = task.state != told if task.is_last else told in (None, RUNNING)
    if task.state in TASK_ENDS and is_new:
        yield moment_text(task.ended or task.started), str(task.state)


def tells_of_an_end(reports: Iterable[Report]) -> bool:
    """Whether the end of a run is among reports."""
    return any(report.route == "progress" and cast(Progress, report.payload)["state"] in RUN_ENDS for report in reports)


def _end(run: RunFacts) -> str:
    """Return what tells an end from others: not its moment, which Airflow may write again for the same end."""
    return f"{run.state}|{run.clear_number}"


def _ending(run: RunFacts, known: Known) -> tuple[list[Report], Known]:
    """A run ends once for each time that it was cleared, or set to another state, or went on so that a task started."""
    if run.state not in RUN_ENDS:
        return [], known
    if known.end == _end(run):
        return [], replace(known, reopened=False)
    known = replace(known, end=_end(run), reopened=False, progress=100 if run.state == "success" else known.progress)
    moment = moment_text(run.ended)
    progress: Progress = {
        **_progress(run, run.state, known.progress, moment),
        **run_end(run),
        **_stopped(run.stop if run.state == "failed" else None),
    }
    reports = [Report("progress", progress, predecessors.end_of(run))]
    if run.state == "success":
        results: Results = {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "results": run.results or {},
            "timestamp": moment,
        }
        if run.has_long_results:
            results["left_out"] = LEFT_OUT
        named = {"results": predecessors.with_name_parts(results["results"])}
        reports.append(Report("results", results, named))
    return reports, known


def _stopped(stop: Stopped | None) -> Ended:
    """Return what the report of an end says besides ``failed`` if it was a stop."""
    return {"reason": STOPPED, "error": stop.text} if stop else {}


def _status(run: RunFacts, task: TaskFact, state: str, moment: str) -> Status:
    return {
        "state": state,
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "try_number": task.try_number,
        "timestamp": moment,
        **_stopped(run.stop if state == "failed" and run.was_stopped(task) else None),
    }


def _progress(run: RunFacts, state: str, progress: int, moment: str) -> Progress:
    return {
        "state": state,
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "progress": progress,
        "error": "",
        "timestamp": moment,
    }
