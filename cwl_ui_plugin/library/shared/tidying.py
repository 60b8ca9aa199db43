"""Objects that no index names: of uploads that were broken off, of versions that were removed. They go after a day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cwl_ui_plugin.library.shared.changes import change
from cwl_ui_plugin.library.shared.index import Index
from cwl_ui_plugin.library.shared.objects import archive_name

if TYPE_CHECKING:
    from cwl_ui_plugin.library.shared.copies import Copies

KEEP_SECONDS = 24 * 3600.0
"""A run that is pinned to a version just as that is removed may fetch it for so long."""


def tidy(store: Copies) -> None:
    """Remove them, by the index as it is in the bucket now."""
    oldest = time.time() - KEEP_SECONDS

    def without_old(index: Index) -> Index | None:
        kept = [one for one in index.removed if one.at > oldest]
        return index.next(index.entries, kept) if len(kept) < len(index.removed) else None

    change(store, without_old)
    index = store.index()
    named = {
        archive_name(dag_id, archive) for dag_id, entry in index.entries.items() for archive in entry.versions.values()
    }
    named |= {archive_name(one.dag_id, one.archive) for one in index.removed}
    old = [name for name, moment in store.bucket.listed("versions") if moment < oldest and name not in named]
    for folder in ("schedules", "approvals"):
        listed = store.bucket.listed(folder)
        old += [name for name, moment in listed if moment < oldest and name.split("/")[1] not in index.entries]
    old += [name for name, moment in store.bucket.listed("uploads") if moment < oldest]
    store.bucket.remove(old)
