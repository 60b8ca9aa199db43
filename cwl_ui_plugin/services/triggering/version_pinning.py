"""Which version of its workflow a run uses: an earlier one, or the newest.

Airflow itself only starts runs of the newest that it knows. That no run has parts of two sees ``dags.whole_runs`` to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.dags.names import revision_named_in
from cwl_ui_plugin.dags.registration import register
from cwl_ui_plugin.dags.whole_runs import revision_of
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.revisions import digest_of_revision
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import Conflict, Unavailable
from cwl_ui_plugin.services.health import missing_settings
from cwl_ui_plugin.services.stored_workflows import open_store

if TYPE_CHECKING:
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session


T = TypeVar("T")
log = logging.getLogger(__name__)
TRIES = 3


class _OldRun(Exception):
    """A run would be of an older version of its workflow than the newest, which was asked for."""


def whole(dag_id: str, create: Callable[[], T]) -> T:
    """Return what ``create`` returns; where its run would be of an older version, register the newest, and try again.

    Raises:
        Unavailable: Airflow keeps the Dag of another version.

    """
    for _ in range(TRIES):
        try:
            return create()
        except _OldRun:
            log.warning("Airflow has the Dag %s of an older version; it is registered anew", dag_id)
            _register(dag_id)
    settings = " ".join(map(str, missing_settings()))
    raise Unavailable(
        f"Airflow has not stored the Dag of the current version of {dag_id!r} yet, so no run is started. Try again in "
        f"half a minute. {settings}".strip()
    )


def settle(session: Session, run: DagRun, digest: str | None) -> None:
    """Let a run that this transaction has created use a version of its workflow, or the newest.

    To be called within :func:`whole`. Raises :class:`Conflict` as :func:`pin` does.
    """
    if digest in (None, _current_digest(run.dag_id)) and _is_old(run):
        raise _OldRun
    if digest:
        pin(session, run, digest)


def _current_digest(dag_id: str) -> str | None:
    try:
        return open_store().current(dag_id).digest
    except UnknownWorkflow:
        return None


def _is_old(run: DagRun) -> bool:
    """Whether the tasks of a run are of another revision of its workflow than the current one of the store.

    Airflow may not have stored that yet, or the Dag processor may have come round late with what it read before.
    """
    if run.bundle_version is None:
        return False  # not of our bundle: it has no versions
    try:
        current = open_store().current_revision(run.dag_id)
    except UnknownWorkflow:
        return False
    return current != revision_named_in(getattr(run.dag, "doc_md", None))


def _register(dag_id: str) -> None:
    try:
        retry_on_database_lock(lambda: register(dag_id), f"the registration of {dag_id}")
    except RegistrationError as error:
        raise Unavailable(f"Airflow can't be told the current version of {dag_id!r}: {error}") from error


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

    found = session.scalars(
        select(DagVersion).where(DagVersion.dag_id == dag_id).order_by(DagVersion.version_number.desc())
    )
    return next((version for version in found if digest_of_revision(revision_of(version)) == digest), None)
