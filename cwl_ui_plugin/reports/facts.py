"""What Airflow's database says about runs that may need reports. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from sqlalchemy import Row, and_, exists, func, or_, select, true, tuple_, union

from cwl_ui_plugin.cwl.value_files import has_long
from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN, DISPATCHER, ERROR_KEY, STATISTICS_KEY
from cwl_ui_plugin.dags.xcoms import Xcoms, output_object, read_xcoms
from cwl_ui_plugin.reports.due import RUN_ENDS, RUNNING, TASK_ENDS, RunFacts, TaskFact
from cwl_ui_plugin.reports.final_report import moment_text
from cwl_ui_plugin.reports.stopped import Stopped
from cwl_ui_plugin.reports.stops import stops_of
from cwl_ui_plugin.reports.tables import ReportState
from cwl_ui_plugin.reports.task_logs import with_logs

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, CompoundSelect
    from sqlalchemy.orm import Session

# A run that ended longer ago, before anybody listened, is history.
LOOK_BACK = timedelta(hours=24)
# What is written late, with an older time stamp, is written by then.
JUST_ENDED = timedelta(seconds=30)
LATELY_ENDED = timedelta(minutes=5)
RUNS_AT_ONCE = 50
NEWEST_RUNS = 200
COMPARED_RUNS = 200
_RUN = (
    DagRun.id,
    DagRun.dag_id,
    DagRun.run_id,
    DagRun.state.label("state"),
    DagRun.start_date,
    DagRun.end_date,
    DagRun.clear_number,
    DagRun.created_at,
)
_TRY = ("dag_id", "run_id", "task_id", "map_index", "try_number", "state", "start_date", "end_date")
_STATE = and_(ReportState.dag_id == DagRun.dag_id, ReportState.run_id == DagRun.run_id)

RunRow = Row[Any]
"""A run: ``id, dag_id, run_id, state, start_date, end_date, clear_number, created_at``."""
TryRow = Row[Any]
"""A try of a task: the columns of :data:`_TRY`."""


def runs_to_look_at(session: Session, *, late: bool = False) -> list[RunRow]:
    """Return the runs of CWL Dags, and of the one that stops runs, that may have something to tell, oldest first.

    Many times a minute it looks at those that an index finds: how many runs have ended makes no difference. ``late``
    looks at all, and adds runs that ended within a day and whose tasks somebody has set to another state since.
    """
    has_ended = and_(DagRun.state.in_(RUN_ENDS), _ended_recently())
    is_new = and_(ReportState.run_id.is_(None), or_(has_ended, DagRun.clear_number > 0))
    wanted = [DagRun.state == RUNNING, is_new, and_(ReportState.run_id.is_not(None), ~_is_settled(), _has_begun())]
    if late:
        wanted.append(and_(_ended_recently(), _was_touched()))
    where = true() if late else DagRun.id.in_(_likely_runs())
    is_cwl = exists().where(
        TaskInstance.dag_id == DagRun.dag_id,
        TaskInstance.run_id == DagRun.run_id,
        TaskInstance.task_id == DISPATCHER,
    )
    is_ours = or_(is_cwl, DagRun.dag_id == CLEAN_DAG_RUN)
    query = select(*_RUN).outerjoin(ReportState, _STATE).where(where, or_(*wanted), is_ours).order_by(DagRun.id)
    return list(session.execute(query))


def _likely_runs() -> CompoundSelect[object]:
    """The ids of runs that go on, or whose end is not recorded, or that are among the newest.

    Others have something to tell only if they went on and ended while nobody looked.
    """
    newest = select(func.max(DagRun.id)).scalar_subquery()
    return union(
        select(DagRun.id).where(DagRun.state == RUNNING),
        select(ReportState.run_key).where(ReportState.settled_end.is_(None)),
        select(DagRun.id).where(DagRun.id > newest - NEWEST_RUNS),
    )


def runs_just_ended(session: Session, within: timedelta) -> list[RunRow]:
    """Return the runs of which something was recorded within some time, by this machine's clock, and that have ended.

    Whoever writes to such a run may have begun before its end was recorded, so time stamps don't tell what is new.
    """
    lately = and_(ReportState.updated_at > datetime.now(timezone.utc) - within, ReportState.settled_end.is_not(None))
    query = select(*_RUN).join(ReportState, and_(_STATE, ReportState.run_key == DagRun.id)).where(lately)
    return list(session.execute(query.order_by(DagRun.id)))


def ended_runs(session: Session, after: int) -> list[RunRow]:
    """Return the next runs with ids above ``after`` that ended within a day, as many as are compared at once."""
    known = and_(_STATE, ReportState.run_key == DagRun.id, ReportState.settled_end.is_not(None))
    query = select(*_RUN).join(ReportState, known).where(DagRun.id > after, _ended_recently())
    return list(session.execute(query.order_by(DagRun.id).limit(COMPARED_RUNS)))


def run_row(session: Session, dag_id: str, run_id: str) -> RunRow | None:
    """Return one run, or None where there is none."""
    return session.execute(select(*_RUN).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one_or_none()


def in_parts(rows: Sequence[RunRow]) -> Iterator[Sequence[RunRow]]:
    """Yield as many rows as are read at once."""
    for first in range(0, len(rows), RUNS_AT_ONCE):
        yield rows[first : first + RUNS_AT_ONCE]


def facts_of(rows: Sequence[RunRow], session: Session) -> list[RunFacts]:
    """Return the states of some runs and of all their tries; a run that changes meanwhile is left for the next look.

    The order of the queries matters: a try moves from the instances to the history, never back.
    """
    keys = [(row.dag_id, row.run_id) for row in rows]
    instances = _by_run(_tries(TaskInstance, keys, session))
    earlier = _by_run(_tries(TaskInstanceHistory, keys, session))
    stops = stops_of(session, keys)
    unchanged = _unchanged(rows, session)
    return [
        _facts(row, instances[key], earlier[key], stops.get(key))
        for key, row in zip(keys, rows, strict=True)
        if row in unchanged
    ]


def with_outcome(run: RunFacts, session: Session, *, with_files: bool = False) -> RunFacts | None:
    """Add what the tasks of a run left: errors, statistics, results; None if the run has changed meanwhile.

    Only the report of an end has them, and they may be large. ``with_files`` also names the logs of what failed.
    """
    row = run_row(session, run.dag_id, run.run_id)
    xcoms = read_xcoms(session, run.dag_id, run.run_id)
    is_same = row is not None and (row.id, str(row.state), row.clear_number or 0) == (
        run.run_key,
        run.state,
        run.clear_number,
    )
    if row is None or not is_same or not _unchanged([row], session):
        return None
    tasks = tuple(_with_outcome(task, xcoms) if task.is_last else task for task in run.tasks)
    results = output_object(xcoms, run.dag_id, run.run_id) if run.state == "success" else None
    whole = replace(run, tasks=tasks, results={} if has_long(results) else results, has_long_results=has_long(results))
    return with_logs(whole, session) if with_files and run.state == "failed" else whole


def _with_outcome(task: TaskFact, xcoms: Xcoms) -> TaskFact:
    error = xcoms.get((*task.instance, ERROR_KEY)) if task.state == "failed" else None
    return replace(task, error=error, statistics=xcoms.get((*task.instance, STATISTICS_KEY)))


def _unchanged(rows: Sequence[RunRow], session: Session) -> set[RunRow]:
    """Return those of some runs that are still as they were read."""
    again = set(session.execute(select(*_RUN).where(DagRun.id.in_([row.id for row in rows]))))
    return again.intersection(rows)


def _facts(row: RunRow, instances: list[TryRow], earlier: list[TryRow], stop: Stopped | None) -> RunFacts:
    kept = {_key(item) for item in earlier}
    last = {_key(item) for item in instances if _tells_of_its_try(item)}
    have_run = _that_have_run([*earlier, *instances])
    tasks = [_earlier_try(item, row, have_run) for item in earlier if _key(item) not in last]
    for item in instances:
        is_over = _key(item) in kept and not _tells_of_its_try(item)
        tasks.append(_last_try(item, has_started=_key(item) in have_run and not is_over))
    return RunFacts(
        dag_id=row.dag_id,
        run_id=row.run_id,
        run_key=row.id,
        state=str(row.state),
        started=row.start_date,
        ended=row.end_date,
        clear_number=row.clear_number or 0,
        total=sum(item.state != "removed" for item in instances),
        tasks=tuple(tasks),
        created=moment_text(row.created_at),
        stop=stop,
    )


def _key(item: TryRow) -> tuple[str, int, int]:
    return item.task_id, item.map_index, item.try_number


def _tells_of_its_try(item: TryRow) -> bool:
    """Whether an instance still is in the try that its number says: to be retried, it is in the history already."""
    return item.state in ("up_for_retry", RUNNING)


def _that_have_run(items: Iterable[TryRow]) -> set[tuple[str, int, int]]:
    """Return the tries that had a process.

    A state that is set without one has the same moment as its start and its end. A try that was queued, but never ran,
    still has the start of the one before.
    """
    first: dict[object, TryRow] = {}
    for item in sorted(items, key=lambda item: item.try_number):
        if item.start_date is not None and item.start_date != item.end_date:
            first.setdefault((item.task_id, item.map_index, item.start_date), item)
    return {_key(item) for item in first.values()}


def _last_try(item: TryRow, *, has_started: bool) -> TaskFact:
    """``has_started``: not, if the try that ran is in the history, and what the instance says was set without one."""
    has_started = has_started and item.state in (*TASK_ENDS, RUNNING)
    return TaskFact(
        task_id=item.task_id,
        map_index=item.map_index,
        try_number=item.try_number,
        state=str(item.state) if item.state else None,
        started=item.start_date if has_started else None,
        ended=item.end_date,
    )


def _earlier_try(item: TryRow, run: RunRow, have_run: set[tuple[str, int, int]]) -> TaskFact:
    """Return a try before the last. In a run that nobody has cleared, a failed one was to be retried."""
    state = str(item.state)
    if state not in ("success", "skipped") and not run.clear_number:
        state = "up_for_retry"
    return TaskFact(
        task_id=item.task_id,
        map_index=item.map_index,
        try_number=item.try_number,
        state=state,
        started=item.start_date if _key(item) in have_run else None,
        ended=item.end_date,
        is_last=False,
    )


def _tries(
    table: type[TaskInstance | TaskInstanceHistory], keys: list[tuple[str, str]], session: Session
) -> Iterable[TryRow]:
    columns = [getattr(table, name) for name in _TRY]
    return session.execute(select(*columns).where(tuple_(table.dag_id, table.run_id).in_(keys)))


def _by_run(rows: Iterable[TryRow]) -> dict[tuple[str, str], list[TryRow]]:
    found: dict[tuple[str, str], list[TryRow]] = defaultdict(list)
    for row in rows:
        found[row.dag_id, row.run_id].append(row)
    return found


def _ended_recently() -> ColumnElement[bool]:
    return or_(DagRun.end_date.is_(None), DagRun.end_date > datetime.now(timezone.utc) - LOOK_BACK)


def _is_settled() -> ColumnElement[bool]:
    return and_(
        ReportState.run_key == DagRun.id,
        ReportState.settled_end.is_not(None),
        or_(DagRun.end_date.is_(None), ReportState.settled_end == DagRun.end_date),
        or_(ReportState.settled_state.is_(None), ReportState.settled_state == DagRun.state),
    )


def _has_begun() -> ColumnElement[bool]:
    """A run that waits for its start has nothing to tell, unless it was cleared."""
    return or_(DagRun.state != "queued", DagRun.clear_number > 0)


def _was_touched() -> ColumnElement[bool]:
    return exists().where(
        TaskInstance.dag_id == DagRun.dag_id,
        TaskInstance.run_id == DagRun.run_id,
        TaskInstance.updated_at > ReportState.updated_at,
    )
