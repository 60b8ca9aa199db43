"""One workflow of the store, with what Airflow knows of its runs; see ``workflow_list`` for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.graph import graph_of
from cwl_ui_plugin.cwl.plan import read_packed
from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN, TAG
from cwl_ui_plugin.dags.site import site_policy
from cwl_ui_plugin.library.errors import BadDagId, NotCompiled, UnknownWorkflow
from cwl_ui_plugin.library.store import StoredVersion, WorkflowStore
from cwl_ui_plugin.opened import Place, place_of
from cwl_ui_plugin.services.errors import BadRequest, NotFound, Unavailable
from cwl_ui_plugin.services.models import VersionSummary, WorkflowDetail, WorkflowSummary
from cwl_ui_plugin.services.workflows.compilation_state import compilation_of
from cwl_ui_plugin.services.workflows.recent_runs import recent_runs, with_runs

MAX_SOURCE = 2 * 1024 * 1024


def open_store() -> WorkflowStore:
    """Return the store that ``[cwl] workflows_folder`` names."""
    return WorkflowStore(config.workflows_folder())


@contextmanager
def library_errors() -> Iterator[None]:
    """Turn the store's errors into those of this layer."""
    try:
        yield
    except UnknownWorkflow as error:
        raise NotFound(str(error)) from error
    except BadDagId as error:
        raise BadRequest(str(error)) from error
    except NotCompiled as error:
        raise Unavailable(str(error)) from error


def get_workflow(dag_id: str, digest: str | None = None) -> WorkflowDetail:
    """Return everything about one version of a workflow, the current one by default; raise :class:`NotFound`."""
    store = open_store()
    with library_errors():
        current = store.current(dag_id)
        version = current if digest is None else store.version(dag_id, digest)
        versions = store.versions(dag_id)
    compilation = compilation_of(version, is_current=version.digest == current.digest)
    if compilation.engine is None:
        raise Unavailable(f"The workflow {dag_id!r} can't be shown now. {compilation.message}", compilation.problems)
    return WorkflowDetail(
        summary=_summary(version),
        version=version,
        plan=version.plan,
        versions=tuple(_version_summary(item, current) for item in versions),
        sources=tuple(source_names(version)),
        compilation=compilation,
    )


def workflow_graph(dag_id: str, digest: str | None = None) -> dict[str, Any]:
    """Return the graph of one version of a workflow (see :mod:`cwl_ui_plugin.cwl.graph`); raise :class:`NotFound`."""
    with library_errors():
        store = open_store()
        version = store.current(dag_id) if digest is None else store.version(dag_id, digest)
        plan = version.plan
    return graph_of(plan, read_packed(version.compiled), site_policy())


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


def delete_workflow(dag_id: str) -> None:
    """Take a workflow out of the store and of Airflow's lists; its runs stay, and go on to their end."""
    with library_errors():
        open_store().delete(dag_id)
    registration.unregister(dag_id)


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


def pinned_workflow(dag_id: str, bundle_version: str | None) -> StoredVersion | None:
    """Return the version of a workflow that runs of a version of the bundle use, in the compilation that they use."""
    store = open_store()
    try:
        revision = store.kept_manifest(bundle_version).get(dag_id) if bundle_version else None
        return store.pinned(dag_id, revision) if revision else None
    except UnknownWorkflow:
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
        ),
        recent_runs([version.dag_id]),
    )


def _version_summary(version: StoredVersion, current: StoredVersion) -> VersionSummary:
    return VersionSummary(
        digest=version.digest,
        filename=version.filename,
        uploaded_by=version.uploaded_by,
        uploaded_at=version.uploaded_at,
        is_current=version.digest == current.digest,
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
