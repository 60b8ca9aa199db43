"""Versions go when they are old, replaced, and no run in the list is pinned to them; manifests with them."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.interleaving import ThreadActor, orders

from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import Conflict, NotFound
from cwl_ui_plugin.services.retention import clean, versions
from cwl_ui_plugin.services.retention.items import DAY
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.workflows import versions as workflow_versions

Keep = Callable[..., None]
Add = Callable[..., StoredVersion]
OLD = 200 * DAY


@pytest.fixture
def dag_id() -> str:
    return f"grown-{uuid.uuid4().hex[:8]}"


def start(dag_id: str, version: str | None = None) -> str:
    run = triggers.trigger(
        dag_id, conf={"job": {"text": "x"}}, run_id=f"run-{uuid.uuid4()}", user="ada", via="rest", version=version
    )
    return run.run_id


def make_old(store: WorkflowStore, dag_id: str) -> None:
    """Let all of a workflow have been uploaded and replaced 200 days ago."""
    moment = time.time() - OLD
    for folder in (store.workflows / dag_id / "versions").iterdir():
        text = (folder / "version.json").read_text()
        year = time.strftime("%Y")
        (folder / "version.json").write_text(text.replace(f'"uploaded_at": "{year}', '"uploaded_at": "2001'))
        os.utime(folder, (moment, moment))
    for path in (store.root / "manifests").iterdir():
        os.utime(path, (moment, moment))


def removed() -> list[str]:
    """Return the digests of the versions that go; of manifests, nothing."""
    return [str(item.digest) for item in versions.find() if versions.remove(item) and item.digest]


def test_what_was_replaced_goes_the_current_version_stays(add: Add, store: WorkflowStore, dag_id: str) -> None:
    first, second = add(dag_id, "one"), add(dag_id, "two")
    make_old(store, dag_id)
    assert removed() == [first.digest]
    assert [version.digest for version in store.versions(dag_id)] == [second.digest]
    assert not [path.name for path in store.root.iterdir() if path.name.startswith(".removed")]
    assert start(dag_id)


@pytest.mark.parametrize(("days", "goes"), [(179.9, False), (180.1, True)])
def test_it_is_kept_for_180_days_after_it_was_replaced(
    add: Add, store: WorkflowStore, dag_id: str, age: Keep, days: float, goes: bool
) -> None:
    first = add(dag_id, "one")
    add(dag_id, "two")
    make_old(store, dag_id)
    age(days, first.folder)
    assert bool(removed()) == goes


def test_a_version_was_current_until_the_next_came(add: Add, store: WorkflowStore, dag_id: str) -> None:
    """Also one from before that was noted."""
    first = add(dag_id, "one")
    add(dag_id, "two")
    os.utime(first.folder, (0, 0))
    assert removed() == []


def test_replacing_and_deleting_is_when_the_days_begin(add: Add, store: WorkflowStore, dag_id: str) -> None:
    first, second = add(dag_id, "one"), add(dag_id, "two")
    make_old(store, dag_id)
    store.make_current(dag_id, first.digest)
    assert removed() == []
    os.utime(first.folder, (0, 0))
    store.delete(dag_id)
    assert removed() == []
    assert store.has_version(dag_id, second.digest)


def test_nothing_is_left_of_a_workflow_that_was_deleted_long_ago(add: Add, store: WorkflowStore, dag_id: str) -> None:
    version = add(dag_id, "one")
    store.delete(dag_id)
    registration.unregister(dag_id)
    make_old(store, dag_id)
    assert removed() == [version.digest]
    assert not (store.workflows / dag_id).exists()
    assert dag_id not in store.deleted()
    assert add(dag_id, "one").digest == version.digest


def test_what_a_run_in_the_list_is_pinned_to_stays(add: Add, store: WorkflowStore, dag_id: str, runs: Any) -> None:
    first = add(dag_id, "one")
    run_id = start(dag_id)
    add(dag_id, "two")
    runs.end(run_id, days_ago=1000)
    make_old(store, dag_id)
    assert removed() == []
    manifest = _manifest_of(run_id)
    assert store.kept_manifest(manifest)[dag_id] == first.digest
    runs.delete(run_id)
    assert removed() == [first.digest]


def _manifest_of(run_id: str) -> str:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return str(session.scalar(select(DagRun.bundle_version).where(DagRun.run_id == run_id)))


def test_a_run_keeps_its_own_workflow_only(add: Add, store: WorkflowStore, dag_id: str) -> None:
    """The manifest that it is pinned to names those of all others, too."""
    other = add(f"{dag_id}-other", "one")
    add(dag_id, "one")
    start(dag_id)
    add(f"{dag_id}-other", "two")
    make_old(store, f"{dag_id}-other")
    assert removed() == [other.digest]


def test_manifests_go_that_nothing_refers_to(add: Add, store: WorkflowStore, dag_id: str, runs: Any) -> None:
    add(dag_id, "one")
    run_id = start(dag_id)
    pinned = _manifest_of(run_id)
    add(dag_id, "two")
    unused = store.keep_manifest({"gone": "0" * 32})
    current = store.keep_manifest(store.manifest())
    make_old(store, dag_id)
    removed()
    left = {name for name, _used in store.manifests()}
    assert {pinned, current} <= left
    assert unused not in left
    runs.delete(run_id)
    removed()  # the version goes, and with the next round what named it
    removed()
    assert pinned not in {name for name, _used in store.manifests()}
    assert start(dag_id)


def test_a_damaged_manifest_keeps_what_it_may_name_and_the_rest_goes(
    add: Add, store: WorkflowStore, dag_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As a machine leaves it that fails before the file is on its disk. Other kinds are cleaned, too."""
    other = f"{dag_id}-other"
    add(dag_id, "one")
    damaged = _manifest_of(start(dag_id))
    add(dag_id, "two")
    old = add(other, "one")
    add(other, "two")
    for name in (dag_id, other):
        make_old(store, name)
    store.manifest_file(damaged).write_text("")
    make_old(store, dag_id)
    gone = [(item.dag_id, item.digest) for item in versions.find() if versions.remove(item) and item.digest]
    assert gone == [(other, old.digest)]
    assert len(store.digests(dag_id)) == 2, "nobody can say which of them the run is pinned to"
    assert damaged in {name for name, _used in store.manifests()}
    assert f"{damaged}.json is damaged" in caplog.text
    assert [told.problem for told in clean() if told.problem] == []


def test_an_earlier_version_that_is_kept_can_be_run(add: Add, store: WorkflowStore, dag_id: str, runs: Any) -> None:
    first = add(dag_id, "one")
    run_id = start(dag_id)
    add(dag_id, "two")
    runs.delete(run_id)
    make_old(store, dag_id)
    os.utime(first.folder)
    removed()
    assert start(dag_id, first.digest)


@pytest.mark.parametrize("order", orders(["clean"] * 2, ["start"] * 2))
def test_a_run_of_an_earlier_version_has_it_or_is_refused(
    order: tuple[str, ...], add: Add, store: WorkflowStore, dag_id: str, runs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add(dag_id, "one")
    runs.end(start(dag_id))
    pinned_once = _last_run(dag_id)
    add(dag_id, "two")
    runs.delete(pinned_once)
    make_old(store, dag_id)
    cleaner, starter = ThreadActor(removed), ThreadActor(lambda: start(dag_id, first.digest))
    cleaner.hold(monkeypatch, WorkflowStore, "remove_version")
    starter.hold(monkeypatch, triggers, "_insert")
    for name in order:
        (cleaner if name == "clean" else starter).step()
    assert cleaner.error is None
    if starter.error is None:
        assert store.has_version(dag_id, first.digest)
        assert cleaner.result == []
    else:
        assert isinstance(starter.error, (NotFound, Conflict)), starter.error
        assert cleaner.result == [first.digest]


def _last_run(dag_id: str) -> str:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return str(session.scalar(select(DagRun.run_id).where(DagRun.dag_id == dag_id).order_by(DagRun.id.desc())))


@pytest.mark.parametrize("order", orders(["clean"] * 2, ["make"] * 2))
def test_a_version_that_is_made_current_is_there(
    order: tuple[str, ...], add: Add, store: WorkflowStore, dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add(dag_id, "one"), add(dag_id, "two")
    make_old(store, dag_id)
    cleaner = ThreadActor(removed)
    maker = ThreadActor(lambda: workflow_versions.make_current(dag_id, first.digest))
    cleaner.hold(monkeypatch, WorkflowStore, "remove_version")
    maker.hold(monkeypatch, WorkflowStore, "make_current", once=True)
    for name in order:
        (cleaner if name == "clean" else maker).step()
    assert cleaner.error is None
    if maker.error is None:
        assert store.current(dag_id).digest == first.digest
        assert first.folder.exists()
    else:
        assert isinstance(maker.error, NotFound), maker.error
        assert store.current(dag_id).digest == second.digest


def test_what_is_no_version_stays(add: Add, store: WorkflowStore, dag_id: str, tmp_path: Path) -> None:
    add(dag_id, "one")
    strange = store.workflows / dag_id / "versions" / "notes"
    strange.mkdir()
    broken = store.workflows / f"{dag_id}-broken" / "versions" / ("0" * 32)
    broken.mkdir(parents=True)
    make = [strange, broken]
    for path in make:
        os.utime(path, (0, 0))
    removed()
    assert strange.exists()
    assert broken.exists()


def test_what_rows_of_a_batch_will_use_stays(add: Add, store: WorkflowStore, dag_id: str) -> None:
    from cwl_ui_plugin.services.batches import sheets
    from cwl_ui_plugin.services.batches.submitting import Wanted, submit
    from cwl_ui_plugin.services.inputs.access import shared_only
    from cwl_ui_plugin.services.stopping.database_state import delete_run

    first = add(dag_id, "one")
    batch = submit(
        Wanted(dag_id, sheets.read_text("text\nx\ny\n"), max_active=1), user="ada", files=shared_only()
    ).batch
    assert batch is not None
    add(dag_id, "two")
    delete_run(dag_id, f"batch-{batch.id}-2-row-2", "ada")
    make_old(store, dag_id)
    assert removed() == []
    assert store.has_version(dag_id, first.digest)
