"""Schedules in the store: kept, pinned with the version, gone with the workflow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.library.errors import UnknownSchedule, UnknownWorkflow
from cwl_ui_plugin.library.revisions import Revision, digest_of_revision
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

SCHEDULE = Schedule(
    kind="cron",
    settings={"cron": "0 6 * * *"},
    job={"text": "{{ ds }}"},
    version="0" * 32,
    saved_by="ada",
    saved_at="2026-01-31T12:00:00+00:00",
    roots=("/inputs/uploads/one",),
    grant="a.b.c",
)


@pytest.fixture
def store(tmp_path: Path) -> WorkflowStore:
    return WorkflowStore(tmp_path / "store")


@pytest.fixture
def version(store: WorkflowStore) -> StoredVersion:
    return add_version(store, "count", plan_of("sort"), "one")


@pytest.mark.parametrize("text", ["a" * 32, f"{'a' * 32}@tasks", f"{'a' * 32}+{'b' * 32}", f"{'a' * 32}@x+{'b' * 32}"])
def test_a_revision_is_read_as_it_was_written(text: str) -> None:
    assert str(Revision.parse(text)) == text
    assert digest_of_revision(text) == "a" * 32


def test_a_workflow_has_one_schedule_and_runs_keep_theirs(store: WorkflowStore, version: StoredVersion) -> None:
    without = store.manifest()["count"]
    assert store.set_schedule("count", SCHEDULE, instead_of=None)
    first = store.manifest()["count"]
    other = replace(SCHEDULE, job={"text": "other"})
    assert store.set_schedule("count", other, instead_of=SCHEDULE.digest)

    assert store.schedules("count").current() == other
    assert len({without, first, store.manifest()["count"]}) == 3
    assert store.pinned("count", first).schedule == SCHEDULE
    assert store.pinned("count", first).revision == first
    assert store.pinned("count", without).schedule is None
    assert store.pinned("count", first).digest == version.digest


def test_a_schedule_that_has_changed_meanwhile_is_not_overwritten(store: WorkflowStore, version: StoredVersion) -> None:
    store.set_schedule("count", SCHEDULE, instead_of=None)
    assert not store.set_schedule("count", replace(SCHEDULE, is_paused=True), instead_of=None)
    assert not store.set_schedule("count", None, instead_of="f" * 32)
    assert store.schedules("count").current() == SCHEDULE
    assert store.set_schedule("count", None, instead_of=SCHEDULE.digest)
    assert store.schedules("count").current() is None


def test_deleting_a_workflow_deletes_its_schedule(store: WorkflowStore, version: StoredVersion) -> None:
    store.set_schedule("count", SCHEDULE, instead_of=None)
    pinned = store.manifest()["count"]
    store.delete("count")
    store.make_current("count", version.digest)
    assert store.schedules("count").current() is None
    assert store.pinned("count", pinned).schedule == SCHEDULE  # for runs that go on
    with pytest.raises(UnknownWorkflow):
        store.set_schedule("other", SCHEDULE, instead_of=None)


def test_with_its_last_version_nothing_is_left_of_a_workflow(store: WorkflowStore, version: StoredVersion) -> None:
    store.set_schedule("count", SCHEDULE, instead_of=None)
    store.delete("count")
    assert store.remove_version("count", version.digest, unused_since=version.folder.stat().st_mtime)
    assert not (store.workflows / "count").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "more": 1}'])
def test_a_schedule_that_can_t_be_read_is_told(store: WorkflowStore, version: StoredVersion, text: str) -> None:
    store.set_schedule("count", SCHEDULE, instead_of=None)
    (store.workflows / "count/schedules" / f"{SCHEDULE.digest}.json").write_text(text)
    with pytest.raises(UnknownSchedule, match="save it anew"):
        store.schedules("count").current()
    with pytest.raises(UnknownSchedule):
        store.schedules("count").kept("../../current")


def test_it_starts_only_the_version_it_was_checked_for() -> None:
    assert SCHEDULE.starts("0" * 32)
    assert not SCHEDULE.starts("1" * 32)
    assert not replace(SCHEDULE, is_paused=True).starts("0" * 32)
    assert not replace(SCHEDULE, problem="text is missing").starts("0" * 32)
