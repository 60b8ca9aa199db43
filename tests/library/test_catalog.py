"""The catalog shows what the store has, and reads only what has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.library import catalog
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion


def add(store: WorkflowStore, dag_id: str, content: str = "one", steps: tuple[str, ...] = ("sort",)) -> StoredVersion:
    return add_version(store, dag_id, plan_of(*steps), content)


@pytest.fixture
def store(tmp_path: Path) -> WorkflowStore:
    return WorkflowStore(tmp_path)


def steps_of(store: WorkflowStore) -> dict[str, int]:
    return {dag_id: entry.steps for dag_id, entry in catalog.entries(store).items()}


def test_it_follows_what_is_added_replaced_deleted_and_restored(store: WorkflowStore) -> None:
    assert steps_of(store) == {}
    first = add(store, "a")
    add(store, "b")
    assert steps_of(store) == {"a": 1, "b": 1}
    add(store, "a", "two", ("sort", "count"))
    assert steps_of(store) == {"a": 2, "b": 1}
    store.make_current("a", first.digest)
    assert steps_of(store) == {"a": 1, "b": 1}
    store.delete("a")
    assert steps_of(store) == {"b": 1}
    assert store.deleted() == ["a"]
    store.make_current("a", first.digest)
    assert steps_of(store) == {"a": 1, "b": 1}
    assert store.deleted() == []


def test_another_process_reads_one_file_only(store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        add(store, f"w{number}")
    before = catalog.entries(store)
    catalog._kept.clear()
    monkeypatch.setattr(WorkflowStore, "current", lambda *_arguments: pytest.fail("it was read again"))
    assert catalog.entries(store) == before


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1, "workflows": [{"dag_id": "a"}]}', '{"format": 99}'])
def test_a_damaged_catalog_is_made_anew(store: WorkflowStore, content: str) -> None:
    add(store, "a")
    (store.root / catalog.CATALOG_FILE).write_text(content)
    catalog._kept.clear()
    assert steps_of(store) == {"a": 1}
