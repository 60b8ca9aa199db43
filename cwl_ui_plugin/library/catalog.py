"""What a list shows of every workflow, without reading their files again: a cache, which the store knows nothing of.

The truth is the file ``current`` of each workflow. An entry holds for as long as that file is the one that it was read
with; only what has changed is read. The entries are kept in this process, and in ``catalog.json`` for the next.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from cwl_ui_plugin.cwl.plan import PLAN_FILE
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.files import write_text
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

log = logging.getLogger(__name__)
CATALOG_FILE = "catalog.json"
FORMAT = 1
MAX_LABEL = 300
_kept: dict[Path, dict[str, Entry]] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class WorkflowFacts:
    """What a list shows of the current version of a workflow; ``steps`` is their number."""

    dag_id: str
    digest: str
    kind: str
    cwl_version: str
    label: str | None
    steps: int
    filename: str
    uploaded_by: str
    uploaded_at: str


@dataclass(frozen=True)
class Entry(WorkflowFacts):
    """The current version of a workflow; ``stamp`` tells the file that says which one that is."""

    stamp: str


def entries(store: WorkflowStore) -> dict[str, Entry]:
    """Return an entry for each workflow of the store."""
    stamps = store.stamps()
    with _lock:
        known = _kept.get(store.root) or _read(store.root)
        found = {
            dag_id: entry
            for dag_id, stamp in stamps.items()
            if (entry := known.get(dag_id)) is not None and entry.stamp == stamp
        }
        new = {dag_id: entry for dag_id in stamps.keys() - found.keys() if (entry := _entry(store, dag_id, stamps))}
        found |= new
        _kept[store.root] = found
        if new or found.keys() != known.keys():
            _write(store.root, found)
    return found


def _entry(store: WorkflowStore, dag_id: str, stamps: dict[str, str]) -> Entry | None:
    try:
        version = store.current_here(dag_id)
        plan = _plan_of(version)
    except (UnknownWorkflow, FileNotFoundError):
        return None  # deleted while we looked, or not fetched yet
    return Entry(
        dag_id=dag_id,
        stamp=stamps[dag_id],
        digest=version.digest,
        kind=plan["kind"],
        cwl_version=plan["cwl_version"],
        label=plan["label"][:MAX_LABEL] if plan["label"] else None,
        steps=len(plan["steps"]),
        filename=version.filename,
        uploaded_by=version.uploaded_by,
        uploaded_at=version.uploaded_at,
    )


class _Plan(TypedDict):
    """What a list shows of a plan."""

    kind: str
    cwl_version: str
    label: str | None
    steps: list[object]


def _plan_of(version: StoredVersion) -> _Plan:
    """Return a plan as it was first written: what a list shows of it is the same in all formats."""
    plan: _Plan = json.loads((version.folder / PLAN_FILE).read_text(encoding="utf-8"))
    return plan


def _read(root: Path) -> dict[str, Entry]:
    try:
        data = json.loads((root / CATALOG_FILE).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return {}
        return {item["dag_id"]: Entry(**item) for item in data["workflows"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # it is made anew


def _write(root: Path, found: dict[str, Entry]) -> None:
    data = {"format": FORMAT, "workflows": [asdict(entry) for entry in found.values()]}
    try:
        write_text(root / CATALOG_FILE, json.dumps(data, ensure_ascii=False))
    except OSError as error:
        log.info("The catalog of %s can't be kept: %s", root, error)
