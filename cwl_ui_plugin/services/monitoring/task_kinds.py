"""Which tasks of Airflow run CWL, whoever has made their Dag."""

from __future__ import annotations

from cwl_ui_plugin.services.errors import NotFound

_MARK = "Cwl"
"""Is in the names of all our operators, also of what ``@task.cwl`` makes."""


def runs_cwl(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> bool:
    """Whether a task instance is one of ours; raise :class:`NotFound` where there is none."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance.operator).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == map_index,
    )
    with create_session(scoped=False) as session:
        found = session.execute(query).first()
    if found is None:
        raise NotFound(f"The run {run_id!r} of {dag_id!r} has no task {task_id!r}.")
    return _MARK in (found.operator or "")
