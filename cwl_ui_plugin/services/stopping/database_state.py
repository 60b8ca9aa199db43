"""A stop in Airflow's database: the run and its unfinished tasks fail, and it is written down who stopped them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.dags.folders import intermediate, run_folder
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import TaskProcess
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.reports.one_writer import keep_out_writers
from cwl_ui_plugin.reports.stops import NOTE, keep_stop, stop_line
from cwl_ui_plugin.services.database import retry_on_database_lock

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WhichRun:
    """Which of the runs that a name has had one after the other: SQLite gives the number of a row again."""

    row: int
    run_after: str | None

    @classmethod
    def of(cls, run: DagRun) -> WhichRun:
        """Return which one a run is."""
        return cls(run.id, tombstones.moment(run.run_after))


@dataclass(frozen=True)
class FoundRun:
    """A run as a stop found it: ``stopped`` are the tasks that it set to failed, ``running`` those that ran.

    ``stopped_by`` is who stopped it first, as its note has it; empty where nobody did. ``which`` and ``clear_number``
    say which run it is, and which beginning of it.
    """

    had_ended: bool = True
    stopped_by: str = ""
    stopped: tuple[str, ...] = ()
    running: tuple[TaskProcess, ...] = ()
    which: WhichRun | None = None
    clear_number: int = 0

    @property
    def exists(self) -> bool:
        """Whether there is such a run."""
        return self.which is not None


def which_run(dag_id: str, run_id: str) -> WhichRun | None:
    """Return which run has a name now; None for none."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session(scoped=False) as session:
        run = session.scalar(query)
        return None if run is None else WhichRun.of(run)


def fail_unfinished(dag_id: str, run_id: str, user: str, which: WhichRun | None = None) -> FoundRun:
    """Set the run and its unfinished tasks to failed, in one transaction; with ``which``, only if it is that one."""
    return retry_on_database_lock(
        lambda: _fail_once(dag_id, run_id, user, which=which), f"the stop of {dag_id} {run_id}"
    )


def fail_revived(stone: Tombstone) -> FoundRun:
    """Do it again for a run that was stopped, unless it was cleared since, or is another one by now."""
    dag_id, run_id = stone.dag_id, stone.run_id
    return retry_on_database_lock(
        lambda: _fail_once(dag_id, run_id, stone.user, stone), f"the stop of {dag_id} {run_id}"
    )


def _fail_once(
    dag_id: str, run_id: str, user: str, stone: Tombstone | None = None, which: WhichRun | None = None
) -> FoundRun:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import with_row_locks
    from airflow.utils.state import DagRunState, State, TaskInstanceState
    from sqlalchemy import select

    query = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session(scoped=False) as session:
        keep_out_writers(session)
        # The run first, as the scheduler does it: it then works on this run either before or after.
        run = session.scalar(with_row_locks(query, session, of=DagRun))
        if run is None or which not in (None, WhichRun.of(run)):
            return FoundRun()
        if stone and (run.id != stone.row or run.clear_number > stone.clear_number):
            return FoundRun()
        tasks = _unfinished_tasks(session, dag_id, run_id)
        running = tuple(_process(task) for task in tasks if task.state == TaskInstanceState.RUNNING)
        had_ended, was_failed = run.state in State.finished_dr_states, run.state == DagRunState.FAILED
        killed = [task for task in tasks if task.state == TaskInstanceState.RUNNING]
        if not had_ended:
            keep_stop(session, run, user)  # before the tasks: their ends are after it
        for task in tasks:
            task.set_state(TaskInstanceState.FAILED, session=session)
        if tasks or not had_ended:
            run.set_state(DagRunState.FAILED)
            _record(session, run, user, len(tasks))
            session.flush()
            _tell_listeners(None if was_failed else run, killed, user)
        return FoundRun(
            had_ended=had_ended,
            stopped_by=_stopped_by(run.note or ""),
            stopped=tuple(_name(task) for task in tasks),
            running=running,
            which=WhichRun.of(run),
            clear_number=run.clear_number,
        )


def remove_files(dag_id: str, run_id: str, before: Callable[[], object] = lambda: None) -> bool:
    """Remove the intermediate files of a run that has ended, or is gone; return whether it had.

    ``before`` is called where they are going to be removed.

    Whoever lets a run go on looks for the word of a removal while it has the run's row to itself; so does this for the
    state, once its word is there: either the run goes on with all of its files, or it is refused.

    Raises:
        OSError: no word can be left, so nothing was removed.

    """
    with intermediate.removing(dag_id, run_id):
        has_ended = retry_on_database_lock(lambda: _has_ended(dag_id, run_id), f"the files of {dag_id} {run_id}")
        if has_ended:
            before()
            with intermediate.said_again(dag_id, run_id):
                run_folder.remove_run_tmp(dag_id, run_id)
    return has_ended


def _has_ended(dag_id: str, run_id: str) -> bool:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import with_row_locks
    from airflow.utils.state import State
    from sqlalchemy import select

    query = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session(scoped=False) as session:
        keep_out_writers(session)
        run = session.scalar(with_row_locks(query, session, of=DagRun))
        return run is None or run.state in State.finished_dr_states


def _unfinished_tasks(session: Session, dag_id: str, run_id: str) -> list[TaskInstance]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import State
    from sqlalchemy import or_, select

    query = select(TaskInstance).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        or_(TaskInstance.state.is_(None), TaskInstance.state.not_in(State.finished)),
    )
    return list(session.scalars(query))


def _process(task: TaskInstance) -> TaskProcess:
    started = task.start_date or datetime.now(timezone.utc)
    return TaskProcess(task_id=_name(task), host=task.hostname or "", pid=task.pid or 0, started_at=started.timestamp())


def _name(task: TaskInstance) -> str:
    return task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"


def _stopped_by(note: str) -> str:
    return stop_line(note).removeprefix(NOTE).rpartition(" on ")[0].strip()


def _record(session: Session, run: DagRun, user: str, tasks: int) -> None:
    """Write who stopped the run into Airflow's audit log and the run's note."""
    from airflow.models.log import Log

    if not stop_line(run.note):
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        text = f"{NOTE} {user} on {moment}."
        run.note = f"{text}\n{run.note}" if run.note else text
    session.add(
        Log(event="cwl_stop", dag_id=run.dag_id, run_id=run.run_id, owner=user, extra=json.dumps({"tasks": tasks}))
    )


def _tell_listeners(run: DagRun | None, killed: list[TaskInstance], user: str) -> None:
    """Call the listeners as Airflow does when a run is set to failed by hand; theirs is not our failure."""
    from airflow.listeners.listener import get_listener_manager

    reason = f"{NOTE} {user}."
    hook = get_listener_manager().hook
    try:
        for task in killed:
            hook.on_task_instance_failed(previous_state=None, task_instance=task, error=reason)
        if run is not None:
            hook.on_dag_run_failed(dag_run=run, msg=reason)
    except Exception:
        log.exception("A listener failed")


def delete_run(dag_id: str, run_id: str, user: str, which: WhichRun | None = None) -> str | None:
    """Delete a run with all its records, as Airflow's own API does; return the greatest id of its task instances.

    With ``which``, only if it is that one: another run may have its name by now.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import with_row_locks
    from sqlalchemy import select

    query = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session(scoped=False) as session:
        run = session.scalar(with_row_locks(query, session, of=DagRun))  # the scheduler adds no task meanwhile
        if run is None or which not in (None, WhichRun.of(run)):
            return None
        last = last_instance(session, dag_id, run_id)
        session.delete(run)
        session.add(Log(event="cwl_remove", dag_id=dag_id, run_id=run_id, owner=user))
    return last


def last_instance(session: Session, dag_id: str, run_id: str) -> str | None:
    """Return the greatest id of a run's task instances: that of the one that was made last."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    query = select(TaskInstance.id).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    last = session.scalar(query.order_by(TaskInstance.id.desc()).limit(1))
    return None if last is None else str(last)
