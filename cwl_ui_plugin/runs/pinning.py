"""Runs of an earlier version of a workflow: Airflow itself only starts runs of the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.runs.errors import Conflict
from cwl_ui_plugin.runs.workflows import open_store

if TYPE_CHECKING:
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session


def pin(session: Session, run: DagRun, digest: str) -> None:
    """Let a run that this transaction has created use a version of its workflow.

    Raises:
        Conflict: Airflow does not have that version: it was replaced before its first run.

    """
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import delete

    version = _version(session, run.dag_id, digest)
    if version is None:
        raise Conflict(
            f"The version {digest[:12]} of {run.dag_id!r} was replaced before its first run: Airflow does not have "
            "it. Make it the current one to run it."
        )
    if version.id == run.created_dag_version_id:
        return
    session.execute(delete(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id))
    session.expire(run, ["task_instances"])
    run.created_dag_version = version
    run.bundle_version = version.bundle_version
    run.dag = version.serialized_dag.dag
    run.verify_integrity(session=session, dag_version_id=version.id)
    session.flush()


def _version(session: Session, dag_id: str, digest: str) -> DagVersion | None:
    """Return Airflow's newest version of a Dag that is made from a version of the workflow."""
    from airflow.models.dag_version import DagVersion
    from sqlalchemy import select

    store = open_store()
    found = session.scalars(
        select(DagVersion).where(DagVersion.dag_id == dag_id).order_by(DagVersion.version_number.desc())
    )
    for version in found:
        try:
            if version.bundle_version and store.kept_manifest(version.bundle_version).get(dag_id) == digest:
                return version
        except UnknownWorkflow:
            continue  # of another store
    return None
