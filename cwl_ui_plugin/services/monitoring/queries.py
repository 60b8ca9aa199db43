"""What can be seen of runs, from Airflow's database: a fixed number of queries for each call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.dags.names import (
    DISPATCHER,
    ERROR_KEY,
    GATHERER,
    STATISTICS_KEY,
)
from cwl_ui_plugin.dags.xcoms import Xcoms, output_object, read_xcoms
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.store import digest_of_revision
from cwl_ui_plugin.reports.removals import removals_of
from cwl_ui_plugin.reports.stops import STOPPED, Stopped, stops_of, stops_run
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.models import Page, RunDetail, RunFilter, RunSource, RunStamp, RunSummary, StepState, iso
from cwl_ui_plugin.services.signatures import signature_of
from cwl_ui_plugin.services.workflows.details import cwl_dag_ids, open_store, stored_version

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import Row, Select
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.cwl.plan import Step

MAX_PAGE = 500
STATES = ("queued", "running", "success", "failed", STOPPED)
_DONE = ("success", "skipped")
_NO_STATUS = "no_status"


def list_runs(
    dag_ids: Iterable[str] | None = None,
    *,
    state: str | None = None,
    wanted: RunFilter | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Page[RunSummary]:
    """Return runs of the CWL Dags among ``dag_ids`` (None: all), newest first; raise :class:`BadRequest`."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select
    from sqlalchemy.orm import load_only, raiseload

    where = [DagRun.dag_id.in_(cwl_dag_ids(dag_ids)), *_conditions(wanted or RunFilter(state=state))]
    columns = (
        DagRun.dag_id,
        DagRun.run_id,
        DagRun._state,
        DagRun.queued_at,
        DagRun.start_date,
        DagRun.end_date,
        DagRun.logical_date,
        DagRun.triggering_user_name,
    )
    query = select(DagRun).where(*where).options(load_only(*columns), raiseload("*")).order_by(DagRun.id.desc())
    with create_session(scoped=False) as session:
        total = session.scalar(select(func.count()).select_from(DagRun).where(*where)) or 0
        runs = session.scalars(query.limit(max(0, min(limit, MAX_PAGE))).offset(max(0, offset))).all()
        keys = [(run.dag_id, run.run_id) for run in runs]
        progress, stops = _progress(session, runs), stops_of(session, keys)
        items = tuple(_summary(run, progress.get(key, 0), stops.get(key)) for run, key in zip(runs, keys, strict=True))
    return Page(items, total)


def _conditions(wanted: RunFilter) -> Iterator[Any]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import exists, or_

    if wanted.state:
        if wanted.state not in STATES:
            raise BadRequest(f"{wanted.state!r} is no state of a run; use one of {', '.join(STATES)}.")
        yield DagRun.state == ("failed" if wanted.state == STOPPED else wanted.state)
    if wanted.state == STOPPED:
        yield exists().where(stops_run())
    for word in wanted.text.split():
        yield or_(DagRun.run_id.icontains(word, autoescape=True), DagRun.dag_id.icontains(word, autoescape=True))
    if wanted.user:
        yield DagRun.triggering_user_name.icontains(wanted.user, autoescape=True)
    if wanted.since:
        yield DagRun.queued_at >= wanted.since
    if wanted.until:
        yield DagRun.queued_at < wanted.until


def run_stamp(dag_id: str, run_id: str) -> RunStamp:
    """Return whether there may be something new to see of a run, without looking at it; raise :class:`NotFound`."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    task = TaskInstance
    # Not the column as it is: SQLite would read the tasks of all runs of the Dag, as an index has those by state. And
    # nothing with a parameter: to PostgreSQL that can be another expression in each of its places.
    state = func.lower(task.state)
    query = (
        select(state, func.count(), func.max(task.start_date), func.max(task.end_date), func.sum(task.try_number))
        .where(task.dag_id == dag_id, task.run_id == run_id)
        .group_by(state)
        .order_by(state)
    )
    with create_session(scoped=False) as session:
        run = session.execute(_run_stamp_query(dag_id, run_id)).one_or_none()
        if run is None:
            raise _no_run(dag_id, run_id)
        text = "|".join([str(tuple(run)), *(str(tuple(row)) for row in session.execute(query))])
    began = run.start_date if run.end_date is None else None
    return RunStamp(text, (datetime.now(timezone.utc) - began).total_seconds() if began else 0.0)


def _run_stamp_query(dag_id: str, run_id: str) -> Select[Any]:
    """Return the query for what changes of a run and of its reports: columns, in a tenth of an object's time."""
    from airflow.models.dagrun import DagRun, DagRunNote
    from sqlalchemy import and_, select

    from cwl_ui_plugin.reports.tables import ReportState

    of_run = and_(ReportState.dag_id == DagRun.dag_id, ReportState.run_id == DagRun.run_id)
    return (
        select(DagRun.id, DagRun._state, DagRun.start_date, DagRun.end_date, DagRunNote.content)
        .add_columns(ReportState.sequence, ReportState.delivered)
        .outerjoin(DagRunNote, DagRunNote.dag_run_id == DagRun.id)
        .outerjoin(ReportState, of_run)
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    )


def get_run(dag_id: str, run_id: str) -> RunDetail:
    """Return everything about a run; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        tasks = _tasks(session, dag_id, run_id)
        xcoms = read_xcoms(session, dag_id, run_id)
        version = _pinned_version(dag_id, run.bundle_version)
        steps = _in_order([_step(task, xcoms) for task in tasks], dag_id, version)
        conf = run.conf if isinstance(run.conf, dict) else {}
        secrets = _secrets(dag_id, version)
        done = sum(step.state in _DONE for step in steps)
        stop = stops_of(session, [(dag_id, run_id)]).get((dag_id, run_id))
        return RunDetail(
            summary=_summary(run, _percent(done, len(steps)), stop),
            steps=tuple(steps),
            error=stop.text if stop and run.state == "failed" else _error(str(run.state), steps, run.note),
            job={name: value for name, value in _job(run).items() if name not in secrets},
            outputs=output_object(xcoms),
            version=version,
            has_signature=bool(conf.get(SIGNATURE)),
            signature=signature_of(session, run),
            note=run.note,
            removed=removals_of(session, run),
        )


def run_source(dag_id: str, run_id: str) -> RunSource:
    """Return what a run was started with, its secrets included; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        version = _pinned_version(dag_id, run.bundle_version)
        return RunSource(dag_id, _job(run), version, _secrets(dag_id, version), run.triggering_user_name)


def _job(run: DagRun) -> dict[str, Any]:
    job = run.conf.get("job") if isinstance(run.conf, dict) else None
    return job if isinstance(job, dict) else {}


def _secrets(dag_id: str, version: str | None) -> frozenset[str]:
    """Return the inputs that the workflow says are secret."""
    stored = stored_version(dag_id, version) if version else None
    return frozenset(item.id for item in stored.plan.inputs if item.is_secret) if stored else frozenset()


def find_run(session: Session, dag_id: str, run_id: str) -> DagRun:
    """Return the run in a session; raise :class:`NotFound`."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    run: DagRun | None = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        raise _no_run(dag_id, run_id)
    return run


def _no_run(dag_id: str, run_id: str) -> NotFound:
    return NotFound(f"The Dag {dag_id!r} has no run {run_id!r}.")


def _progress(session: Session, runs: Sequence[DagRun]) -> dict[tuple[str, str], int]:
    """Return how far each run is, with one query for all of them."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import case, func, select, tuple_

    done = func.sum(case((TaskInstance.state.in_(_DONE), 1), else_=0))
    query = (
        select(TaskInstance.dag_id, TaskInstance.run_id, done, func.count())
        .where(tuple_(TaskInstance.dag_id, TaskInstance.run_id).in_([(run.dag_id, run.run_id) for run in runs]))
        .group_by(TaskInstance.dag_id, TaskInstance.run_id)
    )
    return {(dag_id, run_id): _percent(count, total) for dag_id, run_id, count, total in session.execute(query)}


def _percent(done: int, total: int) -> int:
    return int(100 * done / total) if total else 0


def _summary(run: DagRun, progress: int, stop: Stopped | None) -> RunSummary:
    state = str(run.state)
    stop = stop if state == "failed" else None
    return RunSummary(
        dag_id=run.dag_id,
        run_id=run.run_id,
        state=state,
        # 100 means: the run succeeded, not only its last task.
        progress=100 if state == "success" else min(progress, 99),
        user=run.triggering_user_name,
        queued_at=iso(run.queued_at),
        started_at=iso(run.start_date),
        ended_at=iso(run.end_date),
        logical_date=iso(run.logical_date),
        reason=STOPPED if stop else None,
        stopped_by=stop.user if stop else None,
        stopped_at=iso(stop.moment) if stop else None,
    )


def _tasks(session: Session, dag_id: str, run_id: str) -> Sequence[Row[Any]]:
    """Return what is shown of task instances: rows take a tenth of the time of objects, and there may be thousands."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    table = TaskInstance.__table__
    names = ("task_id", "map_index", "state", "try_number", "start_date", "end_date", "duration")
    shown = (*names, "task_display_name", "rendered_map_index")
    query = select(*(table.c[name] for name in shown)).where(table.c.dag_id == dag_id, table.c.run_id == run_id)
    return session.execute(query).all()


def _step(task: Row[Any], xcoms: Xcoms) -> StepState:
    error = _mapping(xcoms.get((task.task_id, task.map_index, ERROR_KEY)))
    statistics = _mapping(xcoms.get((task.task_id, task.map_index, STATISTICS_KEY)))
    has_failed = task.state == "failed"
    command = error.get("command") if has_failed else statistics.get("command")
    exit_code = error.get("exit_code") if has_failed else statistics.get("exit_code")
    return StepState(
        task_id=task.task_id,
        label=task.task_display_name or task.task_id,
        map_index=task.map_index,
        element=task.rendered_map_index or (str(task.map_index) if task.map_index >= 0 else None),
        reused=bool(statistics.get("reused")),
        state=str(task.state or _NO_STATUS),
        try_number=task.try_number,
        started_at=iso(task.start_date),
        ended_at=iso(task.end_date),
        seconds=task.duration,
        error=error.get("message") if has_failed else None,
        error_kind=error.get("kind") if has_failed else None,
        stderr=(error.get("stderr") or None) if has_failed else None,
        exit_code=exit_code,
        command=tuple(map(str, command)) if isinstance(command, list) else None,
        cpu_seconds=statistics.get("cpu_seconds"),
        peak_memory_bytes=statistics.get("peak_memory_bytes"),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _in_order(steps: list[StepState], dag_id: str, digest: str | None) -> list[StepState]:
    """Sort the tasks as the workflow has them; of a Dag that is not in the store, as they began."""
    version = stored_version(dag_id, digest) if digest else None
    planned = list(_tasks_of(version.plan.steps)) if version else []
    rank = {task_id: number for number, task_id in enumerate([DISPATCHER, *planned], start=-1)}
    rank[GATHERER] = len(rank)
    unplanned = len(rank)

    def place(step: StepState) -> tuple[int, str, str, int]:
        known = rank.get(step.task_id)
        began = "" if known is not None else step.started_at or "~"
        return unplanned if known is None else known, began, step.task_id, step.map_index

    return sorted(steps, key=place)


def _tasks_of(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the ids of the tasks of steps, in their order."""
    for step in steps:
        first, *others = step.tasks
        yield first
        yield from _tasks_of(step.steps)
        yield from others


def _pinned_version(dag_id: str, bundle_version: str | None) -> str | None:
    """Return the digest of the workflow's version that a run is pinned to."""
    if not bundle_version:
        return None
    try:
        return digest_of_revision(open_store().kept_manifest(bundle_version).get(dag_id))
    except UnknownWorkflow:
        return None


def _error(state: str, steps: Sequence[StepState], note: str | None) -> str | None:
    """Return why a run failed: the first step that did, or who stopped it."""
    if state != "failed":
        return None
    failed = sorted((step for step in steps if step.state == "failed"), key=lambda step: step.ended_at or "~")
    for step in failed:
        if step.error:
            return f"{step.label}: {step.error}"
    if note:
        return note
    names = ", ".join(step.label for step in failed)
    return f"Failed: {names}. Airflow's log of the task says why." if names else "The run failed."
