"""No run of two versions: the version of the bundle that a run is pinned to has the workflow that its tasks are of.

Airflow's Dag processor asks the bundle for its version, reads the Dag files later, and writes what it found with
whichever version it asked for last. An upload between the two gives a Dag of one revision the version of another, which
may not even have the workflow. Nothing in Airflow can be told which version a Dag file is of, but its Dag names its
revision. So each process that writes runs (API server, scheduler, command line) looks at a run before it is written,
whoever creates it or clears it, and pins it to the bundle version that has nothing but that revision.

Airflow also writes over the Dag of a version that has no task instances yet. Who creates a run has read the Dag before,
and who writes over it has looked for task instances before: so the one looks again, and the other waits.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from sqlalchemy import event, false, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session, object_session

from cwl_ui_plugin.dags import created_runs
from cwl_ui_plugin.dags.names import BUNDLE, revision_named_in
from cwl_ui_plugin.library.errors import DamagedManifest, UnknownWorkflow
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.library.store import WorkflowStore

if TYPE_CHECKING:
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import InstanceState

log = logging.getLogger(__name__)
_ENDS = frozenset(("success", "failed"))
_MAX_REVISIONS = 1000
_CREATED = "cwl_created_runs"
"""Of a session: the runs that it has created and not yet looked at again."""
_revisions: dict[tuple[str, str | None], tuple[str | None]] = {}
"""By version of a Dag, and the hash of its content: a version that no run has had yet is written over.

For several threads: what is there may be gone a moment later.
"""


def watch() -> None:
    """Look at each run before it is written, from when Airflow's tables are known: nothing is imported for it."""
    event.listen(Mapper, "after_configured", _watch_runs)


def _watch_runs() -> None:
    models = sys.modules.get("airflow.models.dagrun")
    if models is None or event.contains(models.DagRun, "before_insert", _before_insert):
        return
    event.listen(models.DagRun, "before_insert", _before_insert)
    event.listen(models.DagRun, "before_update", _before_update)
    event.listen(Session, "before_commit", _before_commit)
    event.listen(Session, "after_commit", created_runs.after_commit)
    if assets := sys.modules.get("airflow.models.asset"):
        event.listen(assets.AssetEvent, "before_insert", _before_asset_event)


def _before_insert(_mapper: object, _connection: object, run: DagRun) -> None:
    session = object_session(run)
    created_runs.tell_when_committed(session)
    make_whole(run)
    if session is not None:
        session.info.setdefault(_CREATED, []).append(run)


def _before_commit(session: Session) -> None:
    for run in session.info.pop(_CREATED, ()):
        try:
            if inspect(run).persistent:
                _look_again(session, run)
        except SQLAlchemyError:
            raise  # the transaction can't be committed any more: Airflow tries it again, or says why not
        except Exception:
            log.exception("Whether the run %s of %s is of one version can't be told.", run.run_id, run.dag_id)


def _before_asset_event(_mapper: object, _connection: object, asset_event: object) -> None:
    created_runs.tell_when_committed(object_session(asset_event))  # a run that waits for it may be due now


def _before_update(_mapper: object, _connection: object, run: DagRun) -> None:
    state: InstanceState[DagRun] = inspect(run)
    now = state.attrs["_state"].history.added or ()
    if "queued" in now:  # it was cleared
        created_runs.tell_when_committed(object_session(run))
    if _ENDS.intersection(now):
        created_runs.tell_end_when_committed(object_session(run))
    if any(state.attrs[name].history.has_changes() for name in ("bundle_version", "created_dag_version_id")):
        make_whole(run)


def make_whole(run: DagRun) -> None:
    """Pin a run that is being written to a bundle version with the workflow of its Dag; leave all others as they are.

    What goes wrong here keeps no run from being written.
    """
    if run.bundle_version is None:
        return
    try:
        version = _dag_version(run)
        if version is not None and version.bundle_name == BUNDLE:
            _pin(run, revision_of(version))
    except Exception:
        log.exception("Whether the run %s of %s is of one version can't be told.", run.run_id, run.dag_id)


def write_after_runs(session: Session, dag_ids: Collection[str]) -> None:
    """Wait for runs of Dags that are being created, and let later ones wait for what the session writes of their Dags.

    What it asks for afterwards counts: whether a version of a Dag has task instances.
    """
    from airflow.models.serialized_dag import SerializedDagModel

    if session.get_bind().dialect.name == "sqlite":  # one writes at a time: who changes something, be it nothing
        session.execute(update(SerializedDagModel).where(false()).values(dag_hash=SerializedDagModel.dag_hash))
        return
    of_dags = select(SerializedDagModel.id).where(SerializedDagModel.dag_id.in_(dag_ids))
    session.execute(of_dags.order_by(SerializedDagModel.id).with_for_update())


def _look_again(session: Session, run: DagRun) -> None:
    """Give a run that was created just now the tasks of its version, if somebody has written over that meanwhile."""
    from airflow.models.serialized_dag import SerializedDagModel

    version = _dag_version(run)
    if run.bundle_version is None or version is None or version.bundle_name != BUNDLE or run.dag is None:
        return
    of_version = select(SerializedDagModel).where(SerializedDagModel.dag_version_id == version.id)
    digest = session.scalar(of_version.with_only_columns(SerializedDagModel.dag_hash).with_for_update(read=True))
    if digest is None or revision_of(version, digest) == revision_named_in(run.dag.doc_md):
        return
    stored = session.scalars(of_version.execution_options(populate_existing=True)).one()
    log.info(
        "The Dag %s was written anew while the run %s was created; it gets the tasks of now", run.dag_id, run.run_id
    )
    run.dag = stored.dag
    make_whole(run)
    for instance in run.get_task_instances(session=session):
        if not run.dag.has_task(instance.task_id):
            session.delete(instance)
    session.flush()
    run.verify_integrity(session=session, dag_version_id=version.id)
    session.flush()


def revision_of(version: DagVersion, digest: str | None = None) -> str | None:
    """Return the revision of the workflow that a Dag in Airflow's database was made from; None for other Dags.

    The Dag is read once for each content that it has: each run asks, and it may have megabytes. ``digest`` is the hash
    of its content, where that was asked for already.
    """
    session = object_session(version)
    digest = digest or (_digest_of(session, version) if session else None)
    key = (str(version.id), digest)
    if digest and (known := _revisions.get(key)):
        return known[0]
    stored = version.serialized_dag
    data = stored.data if stored else None
    found = revision_named_in(data["dag"].get("doc_md")) if data else None
    if digest and stored and stored.dag_hash == digest:
        if len(_revisions) >= _MAX_REVISIONS:
            _revisions.clear()
        _revisions[key] = (found,)
    return found


def _digest_of(session: Session, version: DagVersion) -> str | None:
    from airflow.models.serialized_dag import SerializedDagModel

    query = select(SerializedDagModel.dag_hash).where(SerializedDagModel.dag_version_id == version.id)
    with session.no_autoflush:  # a run is being written
        digest: str | None = session.scalar(query)
    return digest


def _dag_version(run: DagRun) -> DagVersion | None:
    from airflow.models.dag_version import DagVersion

    session = object_session(run)
    return session.get(DagVersion, run.created_dag_version_id) if session and run.created_dag_version_id else None


def _pin(run: DagRun, revision: str | None) -> None:
    store = site_store()
    if revision is None or not store.workflows.is_dir():  # a process that does not have the store leaves it to others
        return
    if _has(store, run, revision):
        return
    log.info("Airflow has the Dag %s of another version of its bundle; the run %s gets it", run.dag_id, run.run_id)
    run.bundle_version = store.keep_manifest({run.dag_id: revision})


def _has(store: WorkflowStore, run: DagRun, revision: str) -> bool:
    try:
        return store.kept_manifest(str(run.bundle_version)).get(run.dag_id) == revision
    except (UnknownWorkflow, DamagedManifest):
        return False
