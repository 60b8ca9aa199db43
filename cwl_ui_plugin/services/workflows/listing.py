"""All workflows of the store: searched, sorted, a page at a time; files and runs are looked at for that page only."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cwl_ui_plugin.library import catalog
from cwl_ui_plugin.library.catalog import Entry
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.scheduling.details import schedule_in_words
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.workflow_models import WorkflowSummary
from cwl_ui_plugin.services.workflows.recent_runs import recent_runs, with_runs

DEFAULT_SORT = "name"
SORTS: dict[str, Callable[[Entry], str | int | tuple[str, str]]] = {
    "name": lambda entry: (entry.label or entry.dag_id).casefold(),
    "kind": lambda entry: (entry.kind, entry.cwl_version),
    "steps": lambda entry: entry.steps,
    "uploaded": lambda entry: entry.uploaded_at,
    "by": lambda entry: entry.uploaded_by.casefold(),
}


def list_workflows(
    dag_ids: Iterable[str] | None = None,
    search: str = "",
    *,
    sort: str = DEFAULT_SORT,
    limit: int | None = None,
    offset: int = 0,
) -> Page[WorkflowSummary]:
    """Return the workflows among ``dag_ids`` (None: all) whose name, label or uploader holds all words of ``search``.

    ``sort`` is one of :data:`SORTS`, with ``-`` before it for the other way round; another is taken for the default.
    """
    store = open_store()
    wanted = None if dag_ids is None else set(dag_ids)
    words = search.casefold().split()
    found = [
        entry
        for dag_id, entry in catalog.entries(store).items()
        if (wanted is None or dag_id in wanted) and _matches(entry, words)
    ]
    name, is_reversed = sort.removeprefix("-"), sort.startswith("-")
    found.sort(key=lambda entry: entry.dag_id)
    found.sort(key=SORTS.get(name, SORTS[DEFAULT_SORT]), reverse=is_reversed)
    shown = found[offset:] if limit is None else found[offset : offset + limit]
    runs = recent_runs([entry.dag_id for entry in shown])
    return Page(tuple(with_runs(_summary(entry, store), runs) for entry in shown), len(found))


def deleted_workflows(dag_ids: Iterable[str]) -> list[StoredVersion]:
    """Return the newest version of each deleted workflow among ``dag_ids``, by name."""
    store = open_store()
    wanted = set(dag_ids)
    found = []
    for dag_id in store.deleted():
        try:
            found += store.versions(dag_id)[:1] if dag_id in wanted else []
        except UnknownWorkflow:
            continue  # restored while we looked
    return found


def _matches(entry: Entry, words: list[str]) -> bool:
    text = f"{entry.dag_id}\n{entry.label or ''}\n{entry.uploaded_by}".casefold()
    return all(word in text for word in words)


def _summary(entry: Entry, store: WorkflowStore) -> WorkflowSummary:
    return WorkflowSummary(
        dag_id=entry.dag_id,
        digest=entry.digest,
        kind=entry.kind,
        cwl_version=entry.cwl_version,
        label=entry.label,
        steps=entry.steps,
        filename=entry.filename,
        uploaded_by=entry.uploaded_by,
        uploaded_at=entry.uploaded_at,
        version_count=store.version_count(entry.dag_id),
        schedule=schedule_in_words(store, entry.dag_id, entry.digest),
    )
