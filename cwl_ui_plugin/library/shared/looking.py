"""Seeing what the bucket has now; and what a folder has that meets a bucket for the first time is put there.

Nothing is removed for an index that is not a later one of what was seen: then somebody has emptied the bucket, or has
put another one in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin.library.approvals import ApprovalFolder
from cwl_ui_plugin.library.errors import LibraryError, StoreAway
from cwl_ui_plugin.library.schedules import ScheduleFolder
from cwl_ui_plugin.library.shared import contents
from cwl_ui_plugin.library.shared.changes import LOST, change
from cwl_ui_plugin.library.shared.index import Archive, Entry, Index
from cwl_ui_plugin.library.store import WorkflowStore

if TYPE_CHECKING:
    from cwl_ui_plugin.library.shared.copies import Copies

Versions = dict[str, dict[str, Archive]]
log = logging.getLogger(__name__)


def look(store: Copies, *, may_join: bool = False) -> Index:
    """Return the index as it is in the bucket now; one request where it has not changed.

    With ``may_join``, what only the folder has is put into the bucket when they meet for the first time.

    Raises:
        StoreAway: the bucket does not answer, or has lost its index.

    """
    seen, etag = store.known.seen(), store.bucket.etag()
    if seen and etag == seen.etag:
        store.known.looked()
        return seen.index
    found = store.bucket.index() if etag else None
    if found is None and seen:
        raise StoreAway(LOST)
    index, told = found or (Index.new(), "")
    if seen is None or not index.is_later_than(seen.index):
        own = _only_here(store, index)
        is_back = seen is not None and seen.index.id == index.id
        if own or is_back or found is None:
            return _joined(store, own) if may_join else index
    store.known.see(index, told)
    return index


def _only_here(store: Copies, index: Index) -> dict[str, list[str]]:
    """Return the versions that the folder has and the bucket has not."""
    plain = WorkflowStore(store.root)
    found = {
        dag_id: [digest for digest in plain.digests(dag_id) if index.archive(dag_id, digest) is None]
        for dag_id in plain.all_dag_ids()
    }
    return {dag_id: digests for dag_id, digests in found.items() if digests}


def _joined(store: Copies, own: Mapping[str, list[str]]) -> Index:
    """Put what only the folder has into the bucket; what both have is as the bucket has it.

    Nothing of that is taken for what was in the bucket once and was removed there. The index names none of it before
    all is there: raise :class:`StoreAway` where some can't be put.
    """
    if own:
        log.warning("%d workflows of %s are put into the bucket of workflows", len(own), store.root)
        store.known.forget([(dag_id, digest) for dag_id, digests in own.items() for digest in digests])
    versions: Versions = {}
    for dag_id, digests in own.items():
        for digest in digests:
            folder = _readable(store, dag_id, digest)
            if folder is None:
                continue
            with suppress(FileNotFoundError):  # it was removed just now
                archive = contents.put_version(store.bucket, dag_id, digest, folder)
                versions.setdefault(dag_id, {})[digest] = archive
        contents.put_choices(store.bucket, store.workflows / dag_id)
    contents.put_others(store.bucket, store.root)

    seen = store.known.seen()
    serial = seen.index.serial if seen else 0

    def merged(index: Index) -> Index:
        found = index.next({**index.entries, **dict(_merged(store, index, versions))})
        return replace(found, serial=max(found.serial, serial + 1))

    index = change(store, merged) or store.index()
    for dag_id, archives in versions.items():
        for digest, archive in archives.items():
            store.known.bring(dag_id, digest, archive.sha256)
    return index


def _readable(store: Copies, dag_id: str, digest: str) -> Path | None:
    """Return the folder of a version that only this machine has; None for one that nobody could use."""
    try:
        return WorkflowStore(store.root).version(dag_id, digest).folder
    except (LibraryError, OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("The version %s of %s is not put into the bucket of workflows: %s", digest, dag_id, error)
        return None


def _merged(store: Copies, index: Index, versions: Versions) -> Iterator[tuple[str, Entry]]:
    plain = WorkflowStore(store.root)
    for dag_id, archives in versions.items():
        entry = index.entries.get(dag_id)
        if entry is None:
            current = plain.manifest_of(dag_id)
            workflow = store.workflows / dag_id
            current = current if current in archives else None
            yield (
                dag_id,
                Entry(
                    versions=archives,
                    numbers=plain.version_numbers(dag_id),
                    current=current,
                    layout=contents.layout_of(workflow / "versions" / current) if current else "",
                    schedule=ScheduleFolder(workflow).current_digest() if current else None,
                    approvals=ApprovalFolder(workflow).current_digest(),
                ),
            )
            continue
        for digest, archive in archives.items():
            if digest not in entry.versions:
                entry = entry.with_version(digest, archive)
        yield dag_id, entry
