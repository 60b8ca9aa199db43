"""Documents of tasks: which revision a task's run is pinned to, and that as an archive; nothing of other workflows."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import BinaryIO, cast

from cwl_ui_plugin.dags.access import grants
from cwl_ui_plugin.dags.names import BUNDLE
from cwl_ui_plugin.library import carrying
from cwl_ui_plugin.services.errors import NotAllowed, NotFound
from cwl_ui_plugin.services.stored_workflows import library_errors, open_store
from cwl_ui_plugin.services.workers.tries import CallingTry

_IN_MEMORY = 1024 * 1024


@dataclass(frozen=True)
class Pinned:
    """The revision of the Dag of a task."""

    dag_id: str
    revision: str


def pinned(caller: CallingTry) -> Pinned:
    """Return the revision that the run of a try is pinned to, or that its workflow has now where it is to none.

    Raises:
        NotAllowed: the try does not run.
        NotFound: its Dag is no uploaded workflow, or the store has it no more.

    """
    if not caller.is_running:
        raise NotAllowed("This try of the task does not run any more, as far as Airflow knows.")
    bundle, version = _bundle_of(caller.instance)
    if bundle != BUNDLE:
        raise NotFound(f"{caller.task.dag_id!r} comes from a Dag file of another bundle, {bundle!r}.")
    store, dag_id = open_store(), caller.task.dag_id
    with library_errors():
        return Pinned(dag_id, store.kept_revision(version, dag_id) if version else store.current_revision(dag_id))


def archive(found: Pinned) -> tuple[BinaryIO, int, str]:
    """Return an archive of a revision, opened, with its size and SHA-256; raise :class:`NotFound`."""
    file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - the answer closes it
    try:
        with library_errors():
            carrying.pack(open_store(), found.dag_id, found.revision, file)
        size = file.tell()
        file.seek(0)
        digest = hashlib.sha256()
        while part := file.read(_IN_MEMORY):
            digest.update(part)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, size, digest.hexdigest()


def grant_key(name: str) -> str:
    """Return the public key of grants of a name; raise :class:`NotFound`. It is no secret."""
    found = grants.kept_key(name)
    if found is None:
        raise NotFound("There is no such key of grants.")
    return found


def _bundle_of(instance: str) -> tuple[str, str | None]:
    """Return the bundle that the Dag of a task instance is of, and the version of it that the run is pinned to."""
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, select

    from cwl_ui_plugin.services.workers.tries import as_id

    same_run = and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
    query = (
        select(DagModel.bundle_name, DagRun.bundle_version)
        .select_from(TaskInstance)
        .join(DagRun, same_run)
        .join(DagModel, DagModel.dag_id == TaskInstance.dag_id)
        .where(TaskInstance.id == as_id(instance))
    )
    with create_session(scoped=False) as session:
        row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound("Airflow knows the run of this task no more.")
    return str(row[0] or ""), row[1]
