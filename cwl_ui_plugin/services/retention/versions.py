"""Versions of workflows, and manifests of all workflows: they go when they are old and nothing refers to them.

So do workflows that nobody uploaded on purpose (``wes_workflows``); their versions follow when they are old.
"""

from __future__ import annotations

from collections.abc import Iterator

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.services.retention import trees, wes_workflows
from cwl_ui_plugin.services.retention.items import Item, limit_of
from cwl_ui_plugin.services.retention.references import known_manifests, pinned_manifests, pinned_versions
from cwl_ui_plugin.services.retention.removed import sweep_removed
from cwl_ui_plugin.services.retention.trees import Measurer, Size
from cwl_ui_plugin.services.stored_workflows import open_store

OPTION = "keep_versions_days"
_EARLIER_TRASH = "trash"
"""Where an earlier version of the plugin has put what it removed."""


def measure(measurer: Measurer) -> Size:
    """Return what the store of workflows takes."""
    return measurer.measure([config.workflows_folder()])


def find() -> Iterator[Item]:
    """Yield the versions and manifests that may go."""
    open_store().tidy()
    yield from wes_workflows.find()
    limit = limit_of(OPTION)
    if limit is None:
        return
    store = open_store()
    old = [found for found in store.superseded() if found[2] <= limit]
    pinned = pinned_versions(store) if old else set()
    for dag_id, digest, used in old:
        if (dag_id, digest) not in pinned:
            place = store.workflows / dag_id / "versions" / digest
            yield Item(f"{dag_id} {digest[:12]}", (place,), OPTION, used, dag_id=dag_id, digest=digest)
    manifests = [found for found in store.manifests() if found[1] <= limit]
    needed = pinned_manifests() | known_manifests(store) if manifests else set()
    for name, used in manifests:
        if name not in needed:
            yield Item(name, (store.manifest_file(name),), OPTION, used)


def remove(item: Item) -> bool:
    """Remove a version or a manifest, unless it was used since it was found."""
    if item.option == wes_workflows.OPTION:
        return wes_workflows.remove(item)
    store = open_store()
    if item.dag_id and item.digest:
        is_gone = store.remove_version(item.dag_id, item.digest, unused_since=item.last_use)
    else:
        is_gone = store.remove_manifest(item.name, unused_since=item.last_use)
    sweep()
    return is_gone


def sweep() -> None:
    """Go on with what was broken off."""
    root = open_store().root
    sweep_removed(root)
    for place in control_files.listed(root / _EARLIER_TRASH):
        trees.remove(place)
