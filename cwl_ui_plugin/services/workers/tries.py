"""Which try of which task a caller is: looked up by the task instance that its token names, each time anew."""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskLease, TaskTry
from cwl_ui_plugin.services.errors import NotFound

UNKNOWN = "Airflow knows no task instance of this token any more."


@dataclass(frozen=True)
class CallingTry:
    """The try of a token: ``instance`` is its id, ``hostname`` where Airflow was told that it runs.

    ``is_running`` as Airflow's database has it now; ``is_current`` is False for one that a later try has replaced.
    """

    task: TaskTry
    instance: str
    hostname: str
    is_running: bool
    is_current: bool

    @property
    def lease(self) -> TaskLease | None:
        """The lease that was written with this token, if it is held; nobody else's."""
        for held in run_folder.leases(self.task.dag_id, self.task.run_id):
            if held.path == self.task.lease_file and held.instance == self.instance:
                return held
        return None


def find(instance: str) -> CallingTry:
    """Return the try that a task instance is; raise :class:`NotFound` where Airflow knows it no more."""
    found = _current(instance) or _earlier(instance)
    if found is None:
        raise NotFound(UNKNOWN)
    return found


def _current(instance: str) -> CallingTry | None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    query = select(
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.try_number,
        TaskInstance.hostname,
        TaskInstance.state,
    ).where(TaskInstance.id == as_id(instance))
    with create_session(scoped=False) as session:
        row = session.execute(query).one_or_none()
    if row is None:
        return None
    dag_id, run_id, task_id, index, number, hostname, state = row
    is_running = state == TaskInstanceState.RUNNING
    task = TaskTry(dag_id, run_id, task_id, index, number)
    return CallingTry(task, instance, hostname or "", is_running=is_running, is_current=True)


def _earlier(instance: str) -> CallingTry | None:
    """Return the try if a later one has taken its place: it may still have to say that nothing of it is left."""
    from airflow.models.taskinstancehistory import TaskInstanceHistory as History
    from airflow.utils.session import create_session
    from sqlalchemy import select

    names = (History.dag_id, History.run_id, History.task_id, History.map_index, History.try_number)
    query = select(*names, History.hostname).where(History.task_instance_id == as_id(instance))
    with create_session(scoped=False) as session:
        row = session.execute(query).first()
    if row is None:
        return None
    dag_id, run_id, task_id, index, number, hostname = row
    task = TaskTry(dag_id, run_id, task_id, index, number)
    return CallingTry(task, instance, hostname or "", is_running=False, is_current=False)


def as_id(instance: str) -> object:
    """Return the id as the column has it: a UUID by now, a text in earlier versions of Airflow."""
    import uuid

    from airflow.models.taskinstance import TaskInstance

    try:
        is_uuid = TaskInstance.__table__.c.id.type.python_type is uuid.UUID
    except NotImplementedError:
        is_uuid = False
    return uuid.UUID(instance) if is_uuid else instance
