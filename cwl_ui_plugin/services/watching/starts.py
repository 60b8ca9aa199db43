"""Starting the run of a set, once: that it was started is written in the transaction that creates the run.

Airflow's own way, an AssetWatcher with a trigger, can't promise that. An event is in the memory of the triggerer until
it is stored: a triggerer that is killed loses it, or sends it twice if it looks again. Events that are stored while the
scheduler is busy become one run, not one for each; those for a paused Dag become none. Here a kill at any moment leaves
both the run and the word that its set was started, or neither, and then the next look starts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs.file_sets import FileSet, Watch, job_of, run_id_of
from cwl_ui_plugin.dags.access.schedule_grants import granted_roots
from cwl_ui_plugin.dags.job_templates import TemplateError, rendered
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, NotFound
from cwl_ui_plugin.services.inputs.access import GrantedAccess
from cwl_ui_plugin.services.triggering import triggers

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

MAX_NAME = 500


def start(dag_id: str, schedule: Schedule, watch: Watch, files: FileSet) -> str:
    """Create the run of a set, and return its name; also if it was there before.

    Raises:
        ServiceError: what :func:`triggering.triggers.trigger` raises for a run that can't be.

    """
    key, run_id = files.key(watch), run_id_of(watch, files)
    if started := started_run(dag_id, key):
        return started
    record = partial(_record, key=key, name=files.name[:MAX_NAME])
    try:
        triggers.trigger(
            dag_id,
            conf={"job": full_job(dag_id, schedule, watch, files)},
            run_id=run_id,
            user=schedule.saved_by,
            via=triggers.REST,
            files=access_of(dag_id, schedule),
            record=record,
        )
    except Conflict:
        if not _is_there(dag_id, run_id, record):
            raise
    return run_id


def access_of(dag_id: str, schedule: Schedule) -> GrantedAccess:
    """Return which files the runs of a schedule may use; raise :class:`InvalidJob` if its grant does not hold."""
    try:
        return GrantedAccess(granted_roots(dag_id, schedule))
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error


def full_job(dag_id: str, schedule: Schedule, watch: Watch, files: FileSet) -> dict[str, object]:
    """Return the job of a set: that of the schedule, where groups may be named, and what the set's files say."""
    names = {"dag_id": dag_id, "run_id": run_id_of(watch, files)}
    return {**filled(schedule.job, files, names), **job_of(watch, files)}


def filled(job: Mapping[str, object], files: FileSet, names: Mapping[str, str]) -> dict[str, object]:
    """Return the job of a schedule with its templates filled in; raise :class:`InvalidJob`."""
    try:
        return rendered(job, {**files.groups, **names})
    except TemplateError as error:
        raise InvalidJob("The job of the schedule can't be filled in for this set.", error.problems) from error


def started_run(dag_id: str, key: str) -> str | None:
    """Return the run that a set has started, whether Airflow still has it or not."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import FolderSet

    with create_session(scoped=False) as session:
        row = session.get(FolderSet, (dag_id, key))
        return row.run_id if row else None


def started_runs(dag_id: str) -> dict[str, str]:
    """Return ``{key: run_id}`` of all sets that were started for a Dag."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import FolderSet

    query = select(FolderSet.set_key, FolderSet.run_id).where(FolderSet.dag_id == dag_id)
    with create_session(scoped=False) as session:
        return {str(row[0]): str(row[1]) for row in session.execute(query)}


def allow_again(dag_id: str, run_id: str) -> None:
    """Let the set of a run that was deleted start again, once its folder is looked at anew.

    Raises:
        NotFound: no set has started that run.
        Conflict: Airflow still has the run.

    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    from cwl_ui_plugin.reports.tables import FolderSet

    with create_session(scoped=False) as session:
        query = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        if session.scalar(query) is not None:
            raise Conflict(f"The run {run_id!r} is still there: delete it first, or run it again on its page.")
        gone = session.execute(delete(FolderSet).where(FolderSet.dag_id == dag_id, FolderSet.run_id == run_id))
        if not getattr(gone, "rowcount", 0):
            raise NotFound(f"No set of files has started a run {run_id!r} of {dag_id!r}.")


def _is_there(dag_id: str, run_id: str, record: Callable[[Session, DagRun], None]) -> bool:
    """Whether the run of a set is there, as that of a server that was faster; note that its set was started."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is not None:
            record(session, run)
        return run is not None


def _record(session: Session, run: DagRun, *, key: str, name: str) -> None:
    from cwl_ui_plugin.reports.tables import FolderSet

    now = datetime.now(timezone.utc)
    session.merge(FolderSet(dag_id=run.dag_id, set_key=key, run_id=run.run_id, name=name, started_at=now))
    session.flush()
