"""Continuing a run: what failed, and what follows it, is cleared by Airflow's own means, and runs again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cwl_ui_plugin.dags.folders import intermediate, run_folder
from cwl_ui_plugin.reports.one_writer import keep_out_writers
from cwl_ui_plugin.services.continuing import needs
from cwl_ui_plugin.services.continuing.models import Continuation, ContinuedRun, MissingFile
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import Conflict
from cwl_ui_plugin.services.monitoring.queries import find_run
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.workflows.details import is_cwl_dag

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

EVENT = "cwl_continue"
NOT_FAILED = "Only a run that has failed or was stopped can go on; this one {}."
_LOOKS = 3
_STATES = {"success": "has succeeded", "running": "goes on", "queued": "waits to begin"}


def continuation(dag_id: str, run_id: str) -> Continuation:
    """Return whether a run can go on, without changing anything; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        why_not = _why_not(run)
        if why_not:
            return Continuation(0, why_not)
        tasks = len(_failed(session, run))
    gone = needs.missing(dag_id, run_id)
    return Continuation(tasks, _no_task(tasks) or _told(gone), gone)


def continue_run(dag_id: str, run_id: str, *, user: str) -> ContinuedRun:
    """Let a run go on: its failed tasks and those that follow them run again, all others stay as they are.

    Of two who do this at once the second is told that the run goes on. Files are looked at before the database is
    locked; where some were removed meanwhile, again.

    Raises:
        NotFound: no such run.
        Conflict: it has not failed, is just being stopped, or what its tasks need is gone.

    """
    for _look in range(_LOOKS):
        looked = _look_at(dag_id, run_id)
        with suppress(_Changed):
            return retry_on_database_lock(partial(_continue, looked, user), f"continuing {dag_id} {run_id}")
    raise Conflict("The files of the run are just being changed. Try again in a moment.")


class _Changed(Exception):
    """What was looked at is not as it was."""


@dataclass(frozen=True)
class _Look:
    """What is ``gone`` of what a run would need, as long as its folder and its tasks are as they were (``state``)."""

    dag_id: str
    run_id: str
    state: tuple[object, ...]
    gone: tuple[MissingFile, ...]


def _look_at(dag_id: str, run_id: str) -> _Look:
    """Look what is gone of what a run would need, if it is one that can go on at all."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        state = _state(run)
        if _why_not(run):
            return _Look(dag_id, run_id, (), ())  # where it could go on by now, it is looked at again
    return _Look(dag_id, run_id, state, needs.missing(dag_id, run_id))


def _state(run: DagRun) -> tuple[object, ...]:
    """Return what changes when files of a run are removed, or it went on meanwhile."""
    try:
        found = run_folder.run_tmp(run.dag_id, run.run_id).stat()
        folder: object = (found.st_ino, found.st_mtime_ns)
    except OSError:
        folder = None
    return run.id, run.clear_number, str(run.state), run.end_date, folder


def _continue(looked: _Look, user: str) -> ContinuedRun:
    from airflow.models.dagrun import DagRun
    from airflow.models.log import Log
    from airflow.models.taskinstance import clear_task_instances
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import with_row_locks
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    dag_id, run_id = looked.dag_id, looked.run_id
    with create_session(scoped=False) as session:
        keep_out_writers(session)
        query = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        run = session.scalar(with_row_locks(query, session, of=DagRun)) or find_run(session, dag_id, run_id)
        why_not = _why_not(run)
        if why_not:
            raise Conflict(why_not)
        if _state(run) != looked.state:
            raise _Changed
        tasks = _failed(session, run)
        refused = _no_task(len(tasks)) or _told(looked.gone)
        if refused:
            raise Conflict(refused)
        names = tuple(task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]" for task in tasks)
        clear_task_instances(tasks, session, DagRunState.QUEUED)
        extra = json.dumps({"tasks": len(tasks)})
        session.add(Log(event=EVENT, dag_id=dag_id, run_id=run_id, owner=user, extra=extra))
        return ContinuedRun(dag_id, run_id, str(DagRunState.QUEUED), names)


def _why_not(run: DagRun) -> str | None:
    """Return why a run can't go on, as far as its row says."""
    if not is_cwl_dag(run.dag_id):
        return f"{run.dag_id!r} is not a CWL workflow: clear its tasks on Airflow's page of the run."
    if run.state != "failed":
        return NOT_FAILED.format(_STATES.get(str(run.state), f"is {run.state}"))
    if stops.progress(run.dag_id, run.run_id) is not None:
        return "The run is just being stopped. Wait until that is done."
    if intermediate.is_removing(run.dag_id, run.run_id):
        return "Files of the run are just being removed. Run it again instead."
    return None


def _failed(session: Session, run: DagRun) -> list[TaskInstance]:
    """Return the task instances that failed, and those that could not begin since others had failed."""
    from airflow.models.dagbag import DBDagBag

    dag = DBDagBag(load_op_links=False).get_dag_for_run(dag_run=run, session=session)
    if dag is None:
        raise Conflict(
            f"Airflow does not have the version of {run.dag_id!r} any more that this run uses. Run it again."
        )
    return list(dag.clear(dry_run=True, run_id=run.run_id, only_failed=True, session=session))


def _no_task(tasks: int) -> str | None:
    return None if tasks else "None of its tasks has failed: clear on Airflow's page of the run what is to run again."


def _told(gone: tuple[MissingFile, ...]) -> str | None:
    """Return what is told of files that going on would need."""
    if not gone:
        return None
    made = sorted({file.task for file in gone if file.task})
    names = ", ".join(file.name for file in gone[:5]) + (", …" if len(gone) > 5 else "")
    by = f" (made by {', '.join(made)})" if made else ""
    return f"The run can't go on: what it would need is gone: {names}{by}. Run it again instead."
