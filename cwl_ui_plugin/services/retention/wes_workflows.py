"""Workflows that WES clients sent with a run: one for each document, and nobody deletes them.

One goes as if somebody had deleted it, when it was not sent for long, no run in Airflow's list is of it, and nobody has
made it one of their own: with a schedule, a preset, approvals, a batch or another version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.retention.items import Item, limit_of
from cwl_ui_plugin.services.retention.references import dags_in_use
from cwl_ui_plugin.services.stored_workflows import WES_DIGITS, WES_PREFIX, open_store

OPTION = "keep_wes_workflows_days"
_NAME = re.compile(rf"{WES_PREFIX}-.+-[0-9a-f]{{{WES_DIGITS}}}")


def find() -> Iterator[Item]:
    """Yield the workflows that may go."""
    limit = limit_of(OPTION)
    if limit is None:
        return
    store = open_store()
    old = [(version, used) for version, used in _sent(store) if used <= limit]
    in_use = dags_in_use() if old else set()
    for version, used in old:
        if version.dag_id not in in_use:
            place = store.workflows / version.dag_id
            yield Item(version.dag_id, (place,), OPTION, used, dag_id=version.dag_id)


def remove(item: Item) -> bool:
    """Delete a workflow, unless it was sent since it was found, or has a run now."""
    store, dag_id = open_store(), str(item.dag_id)
    try:
        version = store.current(dag_id)
        if not store.delete(dag_id, unused_since=item.last_use):
            return False
    except (UnknownWorkflow, FileNotFoundError):
        return False
    if dag_id in dags_in_use():  # somebody was faster
        store.make_current(dag_id, version.digest)
        return False
    registration.unregister(dag_id)
    presets.forget_workflow(dag_id)
    return True


def _sent(store: WorkflowStore) -> Iterator[tuple[StoredVersion, float]]:
    """Yield the workflows that are as they were sent, with when each was sent last, in seconds since 1970."""
    for dag_id in store.dag_ids():
        if not _NAME.fullmatch(dag_id) or store.version_count(dag_id) != 1:
            continue
        try:
            version = store.current(dag_id)
            is_sent = version.origin is not None or dag_id.endswith(version.digest[:WES_DIGITS])
            is_changed = store.schedules(dag_id).current_digest() or store.approvals(dag_id).current_digest()
            if is_sent and not is_changed:
                yield version, version.folder.stat().st_mtime
        except (UnknownWorkflow, FileNotFoundError):
            continue
