"""The store: what is put in is found again, whole or not at all."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.library import numbering
from cwl_ui_plugin.library.errors import BadDagId, UnknownWorkflow
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion


@pytest.fixture
def store(tmp_path: Path) -> WorkflowStore:
    return WorkflowStore(tmp_path / "store")


def add(store: WorkflowStore, dag_id: str, text: str) -> StoredVersion:
    """Add a workflow whose document is ``text``."""
    upload = store.uploads / text
    (upload / "source").mkdir(parents=True)
    (upload / "source" / "main.cwl").write_text(text)
    compiled = upload / "compiled"
    compiled.mkdir()
    plan = Plan(
        kind="Workflow", cwl_version="v1.2", main="main.cwl", label=text, doc=None, inputs=(), outputs=(), steps=()
    )
    (compiled / "plan.json").write_text(plan.to_json())
    return store.add(
        dag_id, source=upload / "source", compiled=compiled, main="main.cwl", filename="a.cwl", uploaded_by="ada"
    )


def test_an_empty_store_has_nothing(store: WorkflowStore) -> None:
    assert store.dag_ids() == []
    assert "a" not in store
    with pytest.raises(UnknownWorkflow, match="no CWL workflow 'a'"):
        store.current("a")


def test_what_was_added_is_found_with_its_source_and_plan(store: WorkflowStore) -> None:
    added = add(store, "a", "one")

    found = store.current("a")

    assert found == added
    assert (found.source / "main.cwl").read_text() == "one"
    assert found.plan.label == "one"
    assert (found.uploaded_by, found.filename, found.main) == ("ada", "a.cwl", "main.cwl")


def test_a_new_version_is_current_and_the_old_one_stays(store: WorkflowStore) -> None:
    first = add(store, "a", "one")
    second = add(store, "a", "two")

    assert store.current("a") == second
    assert [version.digest for version in store.versions("a")] == [second.digest, first.digest]
    assert store.make_current("a", first.digest) == store.current("a")


def test_the_same_content_again_is_the_same_version(store: WorkflowStore) -> None:
    first = add(store, "a", "one")
    other = store.uploads / "again"
    (other / "source").mkdir(parents=True)
    (other / "source" / "main.cwl").write_text("one")
    (other / "compiled").mkdir()

    again = store.add(
        "a", source=other / "source", compiled=other / "compiled", main="main.cwl", filename="b.cwl", uploaded_by="bob"
    )

    assert again == first
    assert len(store.versions("a")) == 1


def test_a_version_taken_back_leaves_what_was_there_before(store: WorkflowStore) -> None:
    first = add(store, "a", "one")
    second = add(store, "a", "two")
    store.discard("a", second.digest, previous=first.digest)
    assert store.versions("a") == [first]

    store.discard("a", first.digest, previous=None)
    assert store.dag_ids() == []


def test_a_kept_manifest_is_found_after_the_store_has_moved_on(store: WorkflowStore) -> None:
    first = add(store, "a", "one")
    name = store.keep_manifest(store.manifest())
    add(store, "a", "two")

    assert store.kept_manifest(name) == {"a": first.digest}
    with pytest.raises(UnknownWorkflow):
        store.kept_manifest("f" * 32)


@pytest.mark.parametrize("dag_id", ["", "..", "../a", "a/b", ".hidden", "a b", "ä", "a" * 201, "a\n"])
def test_a_name_that_is_no_dag_id_is_refused(store: WorkflowStore, dag_id: str) -> None:
    with pytest.raises(BadDagId, match="can't be a dag_id"):
        add(store, dag_id, "one")
    with pytest.raises(UnknownWorkflow):
        store.current(dag_id)
    assert dag_id not in store


@pytest.mark.parametrize("digest", ["", "..", "../../b", "f" * 31, "F" * 32])
def test_a_version_that_leads_elsewhere_is_unknown(store: WorkflowStore, digest: str) -> None:
    add(store, "a", "one")
    with pytest.raises(UnknownWorkflow):
        store.version("a", digest)


def test_a_deleted_workflow_is_gone_but_its_runs_still_find_their_version(store: WorkflowStore) -> None:
    added = add(store, "a", "one")
    store.delete("a")

    assert store.dag_ids() == []
    assert store.version("a", added.digest) == added
    with pytest.raises(UnknownWorkflow):
        store.delete("a")


def test_versions_are_counted_by_upload_and_keep_their_numbers(store: WorkflowStore) -> None:
    digests = [add(store, "a", text).digest for text in ("one", "two", "three")]
    assert store.version_numbers("a") == dict(zip(digests, (1, 2, 3), strict=True))

    assert store.remove_version("a", digests[0], unused_since=time.time() + 60)
    store.make_current("a", digests[1])
    assert store.remove_version("a", digests[2], unused_since=time.time() + 60)
    fourth = add(store, "a", "four").digest

    assert store.version_numbers("a") == {**dict(zip(digests, (1, 2, 3), strict=True)), fourth: 4}


def test_versions_of_a_store_without_numbers_are_counted_by_their_upload(store: WorkflowStore) -> None:
    digests = [add(store, "a", text).digest for text in ("one", "two", "three")]
    numbers = store.workflows / "a" / "numbers.json"
    for text in (None, "[]", "{", '{"x": "y"}'):
        numbers.unlink(missing_ok=True)
        if text is not None:
            numbers.write_text(text)
        assert store.version_numbers("a") == dict(zip(digests, (1, 2, 3), strict=True))

    numbers.unlink()
    store.remove_version("a", digests[0], unused_since=time.time() + 60)

    assert store.version_numbers("a")[digests[1]] == 2


def test_the_number_of_a_version_that_was_taken_back_is_given_to_the_next(store: WorkflowStore) -> None:
    first = add(store, "a", "one")
    store.discard("a", add(store, "a", "two").digest, previous=first.digest)

    third = add(store, "a", "three")

    assert store.version_numbers("a")[third.digest] == 2


def test_no_workflow_no_numbers(store: WorkflowStore) -> None:
    assert store.version_numbers("a") == store.version_numbers("../a") == {}


@pytest.mark.parametrize("method", ["keep", "kept"])
@pytest.mark.parametrize("is_first", [True, False])
def test_what_can_not_be_added_whole_leaves_the_store_as_it_was(
    store: WorkflowStore, monkeypatch: pytest.MonkeyPatch, method: str, is_first: bool
) -> None:
    """On a disk that is full whatever comes after the version's folder, too, may fail."""
    before = None if is_first else add(store, "a", "one")
    numbers = store.version_numbers("a")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        if method == "keep":
            patched.setattr(numbering.NumberFile, "keep", full)
        else:
            patched.setattr(store, "_set_current", full)
        with pytest.raises(OSError, match="No space"):
            add(store, "a", "two")
    assert store.digests("a") == ([before.digest] if before else [])
    assert store.version_numbers("a") == numbers
    assert (store.workflows / "a").exists() == (before is not None)
    assert not before or store.current("a") == before
    assert not [path.name for path in store.root.iterdir() if path.name.startswith(".removed")]
    shutil.rmtree(store.uploads / "two")
    added = add(store, "a", "two")
    assert store.version_numbers("a")[added.digest] == (1 if is_first else 2)
