"""What can be seen of runs, from Airflow's database: a fixed number of queries for each call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.access.grants import continued_in
from cwl_ui_plugin.dags.conf import SIGNATURE, WES
from cwl_ui_plugin.dags.run_job import job_of
from cwl_ui_plugin.dags.scheduling import STARTED_BY_AIRFLOW, scheduled_job
from cwl_ui_plugin.dags.xcoms import output_object, read_xcoms
from cwl_ui_plugin.library.errors import DamagedManifest, UnknownSchedule, UnknownWorkflow
from cwl_ui_plugin.library.revisions import digest_of_revision
from cwl_ui_plugin.reports.folder_sets import started_by_folders
from cwl_ui_plugin.reports.removals import removals_of
from cwl_ui_plugin.reports.stopped import STOPPED, Stopped
from cwl_ui_plugin.reports.stops import stops_of
from cwl_ui_plugin.reports.tables import RunKey, RunLabel
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.labelling import Label, exists_label, labels_of, labels_run
from cwl_ui_plugin.services.models import Page, iso
from cwl_ui_plugin.services.monitoring import approvals, run_states, slurm_ends
from cwl_ui_plugin.services.monitoring.run_steps import Names, StepMaker
from cwl_ui_plugin.services.run_models import RunDetail, RunFilter, RunSource, RunStamp, RunSummary, StepState
from cwl_ui_plugin.services.signatures import signature_of
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.workflows.details import cwl_dag_ids, pinned_workflow, stored_version

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import ColumnElement, Row, Select
    from sqlalchemy.orm import Session

MAX_PAGE = 500
_DONE = ("success", "skipped")
_WAITING = ("scheduled", "queued", "up_for_retry")


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
    from sqlalchemy.orm import joinedload, load_only, raiseload

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
        DagRun.run_type,
    )
    options = (load_only(*columns), joinedload(DagRun.dag_run_note), raiseload("*"))
    query = select(DagRun).where(*where).options(*options).order_by(DagRun.id.desc())
    with create_session(scoped=False) as session:
        total = session.scalar(select(func.count()).select_from(DagRun).where(*where)) or 0
        runs = session.scalars(query.limit(max(0, min(limit, MAX_PAGE))).offset(max(0, offset))).all()
        besides, tasks = _Besides.of(session, runs), _tasks_of_runs(session, runs)
        items = tuple(_summary(run, tasks.get((run.dag_id, run.run_id), _Tasks()), besides) for run in runs)
    return Page(items, total)


@dataclass(frozen=True)
class _Besides:
    """What is known of some runs besides what Airflow's table of them has; a query for each."""

    stops: Mapping[RunKey, Stopped]
    labels: Mapping[RunKey, Label]
    of_folders: frozenset[RunKey]

    @classmethod
    def of(cls, session: Session, runs: Iterable[DagRun]) -> _Besides:
        keys = [(run.dag_id, run.run_id) for run in runs]
        return cls(stops_of(session, keys), labels_of(session, keys), started_by_folders(session, keys))


@dataclass(frozen=True)
class _Tasks:
    """How far the tasks of a run are: up to 100, and whether one waits for somebody's word."""

    percent: int = 0
    is_waiting: bool = False


def _conditions(wanted: RunFilter) -> Iterator[ColumnElement[bool]]:
    from airflow.models.dagrun import DagRun

    if wanted.state:
        yield from run_states.in_airflow_state(wanted.state)
    yield from _exact(wanted)
    if wanted.shown_state:
        yield from run_states.in_shown_state(wanted.shown_state)
    for word in wanted.text.split():
        yield _named(word)
    if wanted.tag:
        yield exists_label(RunLabel.tags.contains(json.dumps(wanted.tag, ensure_ascii=False), autoescape=True))
    if wanted.user:
        yield DagRun.triggering_user_name.icontains(wanted.user, autoescape=True)
    if wanted.since:
        yield DagRun.queued_at >= wanted.since
    if wanted.until:
        yield DagRun.queued_at < wanted.until


def _exact(wanted: RunFilter) -> Iterator[ColumnElement[bool]]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import func

    if wanted.states:
        yield DagRun._state.in_(wanted.states)
    if wanted.run_id is not None:
        yield DagRun.run_id == wanted.run_id
    date = func.coalesce(DagRun.logical_date, DagRun.queued_at)
    if wanted.dated_from:
        yield date >= wanted.dated_from
    if wanted.dated_to:
        yield date <= wanted.dated_to


def _named(word: str) -> ColumnElement[bool]:
    """Return the condition that a word is in what a run or its workflow is called, or in the run's note."""
    from airflow.models.dagrun import DagRun, DagRunNote
    from sqlalchemy import exists, or_

    texts = (DagRun.run_id, DagRun.dag_id)
    labels = (RunLabel.title, RunLabel.tags)
    note = DagRunNote.content.icontains(word, autoescape=True)
    return or_(
        *(text.icontains(word, autoescape=True) for text in texts),
        exists_label(or_(*(text.icontains(word, autoescape=True) for text in labels))),
        exists().where(DagRunNote.dag_run_id == DagRun.id, note),
    )


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
        rows = session.execute(query).all()
    text = "|".join([str(tuple(run)), *(str(tuple(row)) for row in rows)])
    began = run.start_date if run.end_date is None else None
    waits = run.state == "queued" or (run.state == "running" and any(row[0] in _WAITING for row in rows))
    return RunStamp(text, (datetime.now(timezone.utc) - began).total_seconds() if began else 0.0, waits)


def _run_stamp_query(dag_id: str, run_id: str) -> Select[object]:
    """Return the query for what changes of a run and of its reports: columns, in a tenth of an object's time."""
    from airflow.models.dagrun import DagRun, DagRunNote
    from sqlalchemy import and_, select

    from cwl_ui_plugin.reports.tables import ReportState

    of_run = and_(ReportState.dag_id == DagRun.dag_id, ReportState.run_id == DagRun.run_id)
    return (
        select(DagRun.id, DagRun.state, DagRun.start_date, DagRun.end_date, DagRunNote.content)
        .add_columns(ReportState.sequence, ReportState.delivered, RunLabel.labelled_at)
        .outerjoin(RunLabel, labels_run())
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
        answers = approvals.answers(session, dag_id, run_id, (task.task_id for task in tasks))
        besides = _Besides.of(session, [run])
        stop = besides.stops.get((dag_id, run_id)) if str(run.state) == "failed" else None
        names = Names.of(dag_id, version)
        ends = slurm_ends.read(session, dag_id, run_id)
        steps = names.in_order(StepMaker(xcoms, answers, names, stop, ends).steps(tasks))
        conf = run.conf if isinstance(run.conf, dict) else {}
        inputs = _inputs(dag_id, version)
        secrets = _secrets(inputs)
        done = sum(step.state in _DONE for step in steps)
        is_waiting = any(step.state == run_states.ASKING for step in steps)
        return RunDetail(
            summary=_summary(run, _Tasks(_percent(done, len(steps)), is_waiting), besides),
            steps=tuple(steps),
            error=stop.text if stop else _error(str(run.state), steps),
            job={name: value for name, value in _job(run, inputs).items() if name not in secrets},
            outputs=output_object(xcoms, dag_id, run_id),
            version=version,
            has_signature=bool(conf.get(SIGNATURE)),
            signature=signature_of(session, run),
            removed=removals_of(session, run),
            continued_from=continued_in(run.conf),
            wes=conf.get(WES),
        )


def run_source(dag_id: str, run_id: str) -> RunSource:
    """Return what a run was started with, its secrets included; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        version = _pinned_version(dag_id, run.bundle_version)
        inputs = _inputs(dag_id, version)
        return RunSource(dag_id, _job(run, inputs), version, _secrets(inputs), run.triggering_user_name)


def _job(run: DagRun, inputs: Iterable[Parameter]) -> dict[str, object]:
    return {**_scheduled_job(run), **job_of(inputs, run.conf)}


def _scheduled_job(run: DagRun) -> dict[str, object]:
    """Return the job that a run has from its workflow's schedule; nothing where it can't be filled in any more."""
    if str(run.run_type) not in STARTED_BY_AIRFLOW:
        return {}
    try:
        version = pinned_workflow(run.dag_id, run.bundle_version)
        return scheduled_job(run, version.schedule if version else None)
    except (JobError, UnknownSchedule):
        return {}


def _inputs(dag_id: str, version: str | None) -> tuple[Parameter, ...]:
    """Return the inputs of a version of a workflow; none where it is not stored."""
    stored = stored_version(dag_id, version) if version else None
    return stored.plan.inputs if stored else ()


def _secrets(inputs: Iterable[Parameter]) -> frozenset[str]:
    """Return the inputs that the workflow says are secret."""
    return frozenset(item.id for item in inputs if item.is_secret)


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


def _tasks_of_runs(session: Session, runs: Sequence[DagRun]) -> dict[RunKey, _Tasks]:
    """Return how far each run is, with one query for all of them."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import case, func, select, tuple_

    done = func.sum(case((TaskInstance.state.in_(_DONE), 1), else_=0))
    asking = func.sum(case((run_states.asks(), 1), else_=0))
    query = (
        select(TaskInstance.dag_id, TaskInstance.run_id, done, func.count(), asking)
        .where(tuple_(TaskInstance.dag_id, TaskInstance.run_id).in_([(run.dag_id, run.run_id) for run in runs]))
        .group_by(TaskInstance.dag_id, TaskInstance.run_id)
    )
    return {
        (dag_id, run_id): _Tasks(_percent(count, total), bool(waiting))
        for dag_id, run_id, count, total, waiting in session.execute(query)
    }


def _percent(done: int, total: int) -> int:
    return int(100 * done / total) if total else 0


def _summary(run: DagRun, tasks: _Tasks, besides: _Besides) -> RunSummary:
    key, state = (run.dag_id, run.run_id), str(run.state)
    stop = besides.stops.get(key) if state == "failed" else None
    label = besides.labels.get(key, Label())
    return RunSummary(
        dag_id=run.dag_id,
        run_id=run.run_id,
        state=state,
        shown_state=run_states.shown_state(state, is_stopped=stop is not None, is_waiting=tasks.is_waiting),
        # 100 means: the run succeeded, not only its last task.
        progress=100 if state == "success" else min(tasks.percent, 99),
        user=run.triggering_user_name,
        queued_at=iso(run.queued_at),
        started_at=iso(run.start_date),
        ended_at=iso(run.end_date),
        logical_date=iso(run.logical_date),
        reason=STOPPED if stop else None,
        stopped_by=stop.user if stop else None,
        stopped_at=iso(stop.moment) if stop else None,
        run_type=str(run.run_type),
        from_folder=key in besides.of_folders,
        title=label.title,
        tags=label.tags,
        note=run.note,
    )


def _tasks(session: Session, dag_id: str, run_id: str) -> Sequence[Row[Any]]:
    """Return what is shown of task instances: rows take a tenth of the time of objects, and there may be thousands."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    table = TaskInstance.__table__
    names = ("task_id", "map_index", "state", "try_number", "start_date", "end_date", "duration", "max_tries")
    shown = (*names, "task_display_name", "rendered_map_index")
    query = select(*(table.c[name] for name in shown)).where(table.c.dag_id == dag_id, table.c.run_id == run_id)
    return session.execute(query).all()


def _pinned_version(dag_id: str, bundle_version: str | None) -> str | None:
    """Return the digest of the workflow's version that a run is pinned to."""
    if not bundle_version:
        return None
    try:
        return digest_of_revision(open_store().kept_manifest(bundle_version).get(dag_id))
    except (UnknownWorkflow, DamagedManifest):
        return None


def _error(state: str, steps: Sequence[StepState]) -> str | None:
    """Return why a run failed: the first step that did."""
    if state != "failed":
        return None
    failed = sorted((step for step in steps if step.shown_state == "failed"), key=lambda step: step.ended_at or "~")
    for step in failed:
        if step.error:
            return f"{step.subject}: {step.error}"
    names = ", ".join(step.subject for step in failed)
    return f"Failed: {names}. Airflow's log of the task says why." if names else "The run failed."
