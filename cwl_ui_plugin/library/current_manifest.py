"""Which revision each workflow has, read anew only where something has changed: a store may have thousands at rest.

Whatever changes a revision replaces, adds or removes a file in the folder of its workflow, of its current version, or
in that version's folder of compilations, so each of these folders gets another time. Two changes that are closer than
the clock of the file system is fine can't be told apart; what was read right after a change is read again until that
has passed. No clocks are compared: that of a file server may be another.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cwl_ui_plugin.library.compilations import COMPILED_FOLDER
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.revisions import digest_of_revision
from cwl_ui_plugin.library.store import WorkflowStore

SETTLED_SECONDS = 10.0
"""A folder that has looked the same for so long has no change that its time does not show."""
READ_ANEW_SECONDS = 300.0
"""After this long everything is read once more, whatever it looks like."""

_Signature = tuple[int, ...]
_UNREADABLE: _Signature = ()
"""Of what could not be read: it is read again each time."""
log = logging.getLogger(__name__)


@dataclass
class _Entry:
    """What was read of a workflow: ``revision`` is None where it was deleted."""

    revision: str | None
    signature: _Signature
    seen: float
    read: float


class ManifestReader:
    """Reads the manifest of a store again and again. Safe to use from many threads."""

    def __init__(self, store: WorkflowStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def read(self) -> dict[str, str]:
        """Return ``{dag_id: revision}`` of the current versions, sorted by name: what the store's ``manifest`` is."""
        with self._lock:
            self._entries = {dag_id: self._entry(dag_id) for dag_id in self._store.all_dag_ids()}
            found = {dag_id: entry.revision for dag_id, entry in self._entries.items()}
        return {dag_id: revision for dag_id, revision in sorted(found.items()) if revision is not None}

    def _entry(self, dag_id: str) -> _Entry:
        now, known = self._clock(), self._entries.get(dag_id)
        is_same = known is not None and self._signature(dag_id, known.revision) == known.signature
        if known and is_same and known.read - known.seen >= SETTLED_SECONDS and now - known.read < READ_ANEW_SECONDS:
            return known
        try:
            revision = self._store.current_revision(dag_id)
        except UnknownWorkflow:
            revision = None
        except (OSError, ValueError) as error:  # of one workflow; the others have nothing to do with it
            if known is None or known.signature != _UNREADABLE:
                log.warning("The workflow %s can't be read now; what was read of it before holds: %r", dag_id, error)
            return _Entry(known.revision if known else None, _UNREADABLE, now, now)
        signature = self._signature(dag_id, revision)
        # What is settled was read between two looks that saw the same.
        seen = known.seen if known and is_same and signature == known.signature else now
        return _Entry(revision, signature, seen, now)

    def _signature(self, dag_id: str, revision: str | None) -> _Signature:
        folder = str(self._store.workflows / dag_id)
        digest = digest_of_revision(revision)
        if digest is None:
            return _time_of(folder)
        version = f"{folder}/versions/{digest}"
        return (*_time_of(folder), *_time_of(version), *_time_of(f"{version}/{COMPILED_FOLDER}"))


def manifest_of(store: WorkflowStore) -> dict[str, str]:
    """Return the manifest of a store, by what this process has read of it before."""
    told = store.told_manifest()
    return _reader(store.root).read() if told is None else told


@cache
def _reader(root: Path) -> ManifestReader:
    return ManifestReader(WorkflowStore(root))


def _time_of(folder: str) -> _Signature:
    try:
        found = os.stat(folder)  # noqa: PTH116 - thousands of times
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_ino
