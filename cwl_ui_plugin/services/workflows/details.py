"""One workflow of the store, with what Airflow knows of its runs; see ``workflow_list`` for all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.graph import Graph, graph_of
from cwl_ui_plugin.cwl.plan import read_packed
from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN, TAG
from cwl_ui_plugin.dags.site import site_policy
from cwl_ui_plugin.library.errors import DamagedManifest, UnknownSchedule, UnknownWorkflow
from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.opened import Place, place_of
from cwl_ui_plugin.services.errors import Conflict, NotFound, Unavailable
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.scheduling.details import schedule_in_words
from cwl_ui_plugin.services.stored_workflows import library_errors, open_store
from cwl_ui_plugin.services.workflow_models import PortLabels, VersionSummary, WorkflowDetail, WorkflowSummary
from cwl_ui_plugin.services.workflows.compilation_state import compilation_of
from cwl_ui_plugin.services.workflows.recent_runs import recent_runs, with_runs

log = logging.getLogger(__name__)
MAX_SOURCE = 2 * 1024 * 1024


@contextmanager
def readable_documents(dag_id: str) -> Iterator[None]:
    """Turn what is wrong with the compiled documents of a workflow into :class:`Unavailable`, with what to do."""
    try:
        with library_errors():
            yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("The compiled documents of %s can't be read: %s", dag_id, error)
        raise Unavailable(
            f"The compiled documents of the workflow {dag_id!r} can't be read: files are missing in the folder of "
            "workflows, or damaged. Upload the workflow again, or ask an administrator."
        ) from error


def get_workflow(dag_id: str, digest: str | None = None) -> WorkflowDetail:
    """Return everything about one version of a workflow, the current one by default; raise :class:`NotFound`."""
    store = open_store()
    with library_errors():
        current = store.current(dag_id)
        version = current if digest is None else store.version(dag_id, digest)
        versions = store.versions(dag_id)
    numbers = store.version_numbers(dag_id)
    compilation = compilation_of(version, is_current=version.digest == current.digest)
    if compilation.engine is None:
        raise Unavailable(f"The workflow {dag_id!r} can't be shown now. {compilation.message}", compilation.problems)
    return WorkflowDetail(
        summary=_summary(version),
        version=version,
        plan=version.plan,
        versions=tuple(_version_summary(item, current, numbers) for item in versions),
        sources=tuple(source_names(version)),
        compilation=compilation,
    )


def workflow_graph(dag_id: str, digest: str | None = None) -> Graph:
    """Return the graph of one version of a workflow (see :mod:`cwl_ui_plugin.cwl.graph`); raise :class:`NotFound`."""
    with readable_documents(dag_id):
        store = open_store()
        version = store.current(dag_id) if digest is None else store.version(dag_id, digest)
        plan, packed = version.plan, read_packed(version.compiled)
    return graph_of(plan, packed, site_policy())


def source_text(dag_id: str, path: str, digest: str | None = None) -> str:
    """Return the text of one file of an upload, at most 2 MiB of it; raise :class:`NotFound`."""
    with library_errors():
        store = open_store()
        version = store.current(dag_id) if digest is None else store.version(dag_id, digest)
    try:
        with source_place(version).open(path) as file:
            return file.read(MAX_SOURCE).decode("utf-8", "replace")
    except (OSError, ValueError):
        raise NotFound(f"The workflow {dag_id!r} has no file {path!r}.") from None


def version_numbers(dag_id: str) -> dict[str, int]:
    """Return the numbers that people know the versions of a workflow by, 1 for the first that was uploaded."""
    return open_store().version_numbers(dag_id)


def delete_workflow(dag_id: str) -> None:
    """Take a workflow out of the store and of Airflow's lists; its runs stay, its presets go.

    Raises:
        Conflict: some have not ended, or a batch has rows whose runs have not begun. Airflow's scheduler goes on with
            no run of a Dag that is gone, and ends none.

    """
    store = open_store()
    with library_errors():
        store.current(dag_id)
        _check_all_ended(dag_id)
        _check_all_begun(dag_id)
        store.delete(dag_id)
    registration.unregister(dag_id)
    presets.forget_workflow(dag_id)


def _check_all_ended(dag_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import select

    query = select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.state.in_(State.unfinished_dr_states))
    with create_session(scoped=False) as session:
        left = list(session.scalars(query.order_by(DagRun.id)))
    if left:
        others = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise Conflict(
            f"Runs of {dag_id!r} have not ended: {left[0]}{others}. Stop them, or wait for their end; then delete it."
        )


def _check_all_begun(dag_id: str) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.batch_tables import BatchRecord, BatchRowRecord

    query = (
        select(BatchRecord.name)
        .join(BatchRowRecord, BatchRowRecord.batch_id == BatchRecord.batch_id)
        .where(BatchRecord.dag_id == dag_id, BatchRowRecord.state == "pending")
    )
    with create_session(scoped=False) as session:
        name = session.scalar(query.limit(1))
    if name is not None:
        raise Conflict(
            f"The batch {name!r} of {dag_id!r} has rows that have not begun. Stop it; then delete the workflow."
        )


def is_stored(dag_id: str) -> bool:
    """Whether there is an uploaded workflow of this name, which was not deleted."""
    return dag_id in open_store()


def is_cwl_dag(dag_id: str) -> bool:
    """Whether a Dag is made from CWL: of the store, or of a Dag file."""
    return dag_id in open_store() or bool(cwl_dag_ids([dag_id]))


def cwl_dag_ids(dag_ids: Iterable[str] | None = None) -> list[str]:
    """Return which of ``dag_ids`` (None: all) Airflow knows as CWL Dags, deleted ones included."""
    from airflow.models.dag import DagTag
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(DagTag.dag_id).where(DagTag.name == TAG, DagTag.dag_id != CLEAN_DAG_RUN)
    if dag_ids is not None:
        query = query.where(DagTag.dag_id.in_(list(dag_ids)))
    with create_session(scoped=False) as session:
        return list(session.scalars(query))


def stored_version(dag_id: str, digest: str | None = None) -> StoredVersion | None:
    """Return a version of a workflow, the current one by default, or None if the store has none."""
    store = open_store()
    try:
        return store.current(dag_id) if digest is None else store.version(dag_id, digest)
    except UnknownWorkflow:
        return None


def origin_of(dag_id: str, digest: str | None) -> Origin | None:
    """Return where a version came from, if it was no user's file and is still there."""
    version = stored_version(dag_id, digest) if digest else None
    return version.origin if version else None


def port_labels(dag_id: str, digest: str | None) -> PortLabels:
    """Return what the author calls the inputs and outputs of a version; none where it is not stored."""
    version = stored_version(dag_id, digest) if digest else None
    if version is None:
        return PortLabels()
    inputs, outputs = version.plan.inputs, version.plan.outputs
    return PortLabels(*({port.id: port.label for port in ports if port.label} for ports in (inputs, outputs)))


def pinned_workflow(dag_id: str, bundle_version: str | None) -> StoredVersion | None:
    """Return the version of a workflow that runs of a version of the bundle use, in the compilation that they use."""
    store = open_store()
    try:
        revision = store.kept_manifest(bundle_version).get(dag_id) if bundle_version else None
        return store.pinned(dag_id, revision) if revision else None
    except (UnknownWorkflow, UnknownSchedule, DamagedManifest):
        return None


def _summary(version: StoredVersion) -> WorkflowSummary:
    plan = version.plan
    return with_runs(
        WorkflowSummary(
            dag_id=version.dag_id,
            digest=version.digest,
            kind=plan.kind,
            cwl_version=plan.cwl_version,
            label=plan.label,
            steps=len(plan.steps),
            filename=version.filename,
            uploaded_by=version.uploaded_by,
            uploaded_at=version.uploaded_at,
            version_count=open_store().version_count(version.dag_id),
            schedule=schedule_in_words(open_store(), version.dag_id, open_store().manifest_of(version.dag_id)),
        ),
        recent_runs([version.dag_id]),
    )


def _version_summary(version: StoredVersion, current: StoredVersion, numbers: Mapping[str, int]) -> VersionSummary:
    return VersionSummary(
        digest=version.digest,
        filename=version.filename,
        uploaded_by=version.uploaded_by,
        uploaded_at=version.uploaded_at,
        is_current=version.digest == current.digest,
        number=numbers.get(version.digest),
    )


def source_place(version: StoredVersion) -> Place:
    """Return the folder with the files of an upload, for opening them."""
    folder = place_of(version.source, (config.workflows_folder(),))
    if folder is None:
        raise NotFound(f"The files of {version.dag_id!r} are not in the folder of workflows.")
    return folder


def source_names(version: StoredVersion) -> list[str]:
    """Return the names of the files of an upload, sorted."""
    return sorted(source_place(version).files())


def digest_with(dag_id: str, content: bytes) -> str | None:
    """Return the current version of a workflow if it consists of this one document; None if not."""
    version = stored_version(dag_id)
    if version is None:
        return None
    names = source_names(version)
    try:
        if len(names) != 1:
            return None
        with source_place(version).open(names[0]) as file:
            return version.digest if file.read(len(content) + 1) == content else None
    except (OSError, ValueError):
        return None
