"""The manifest is read anew where something has changed, and only there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.library import compilations
from cwl_ui_plugin.library.current_manifest import READ_ANEW_SECONDS, SETTLED_SECONDS, ManifestReader
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.store import WorkflowStore


class Counted(WorkflowStore):
    """A store that counts what is read of it."""

    reads = 0

    def current_revision(self, dag_id: str) -> str:
        self.reads += 1
        return super().current_revision(dag_id)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Counted:
    made = Counted(tmp_path / "store")
    for name in ("a", "b"):
        add_version(made, name, plan_of("one"), name)
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(store: Counted, clock: Clock) -> ManifestReader:
    """A reader that knows the store as it has been for a while."""
    made = ManifestReader(store, clock)
    made.read()
    clock.now += SETTLED_SECONDS
    made.read()
    store.reads = 0
    return made


def test_a_store_at_rest_is_not_read(store: Counted, reader: ManifestReader, clock: Clock) -> None:
    assert reader.read() == store.manifest()
    store.reads = 0
    reader.read()
    assert store.reads == 0
    clock.now += READ_ANEW_SECONDS
    reader.read()
    assert store.reads == 2, "once in a while all the same"


def test_each_change_is_seen_at_once(store: Counted, reader: ManifestReader) -> None:
    first = store.current("a")
    changes: list[Callable[[], object]] = [
        lambda: add_version(store, "a", plan_of("one"), "other"),
        lambda: store.set_approvals("a", ["one"]),
        lambda: store.set_approvals("a", []),
        lambda: store.make_current("a", first.digest),
        lambda: store.delete("a"),
        lambda: store.make_current("a", first.digest),
        lambda: add_version(store, "c", plan_of("one"), "c"),
        lambda: _compile_again(store),
    ]
    for change in changes:
        before = reader.read()
        change()
        assert reader.read() == store.manifest() != before


def _compile_again(store: WorkflowStore) -> None:
    """Let a version have a compilation in which its tasks have other names."""
    folder = store.current("b").folder
    (compilations.staging_folder(folder).parent / f"{compilations.own_compiler()}@abcdef").mkdir()


def test_a_change_within_the_same_moment_of_the_file_system_is_seen(
    store: Counted, reader: ManifestReader, clock: Clock
) -> None:
    add_version(store, "a", plan_of("one"), "other")
    folder = store.workflows / "a"
    reader.read()
    times = folder.stat()
    second = add_version(store, "a", plan_of("one"), "third")
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert reader.read()["a"] == second.revision


def test_the_revision_of_one_workflow_is_found_in_a_manifest(store: Counted) -> None:
    name = store.keep_manifest({"a": "1", "a.b": "2@x+y!z", "aXb": "3"})
    assert [store.kept_revision(name, dag_id) for dag_id in ("a", "a.b", "aXb")] == ["1", "2@x+y!z", "3"]
    for missing in ("b", "a.", ".*"):
        with pytest.raises(UnknownWorkflow):
            store.kept_revision(name, missing)
    with pytest.raises(UnknownWorkflow):
        store.kept_revision("0" * 32, "a")
