"""Machines that share workflows by a bucket: what one has put, all have; what is lost on a machine is there again."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.shared_workflows import Machines, add, content_of, facts, follow
from support.stored import add_version, plan_of

from cwl_ui_plugin.library import compilations
from cwl_ui_plugin.library.current_manifest import manifest_of
from cwl_ui_plugin.library.errors import StoreAway, UnknownWorkflow
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.shared import contents, tidying
from cwl_ui_plugin.library.store import WorkflowStore


def schedule_of(version: str, name: str = "daily") -> Schedule:
    return Schedule("cron", {"cron": "0 6 * * *"}, {"text": name}, version, "ada", "2026-01-31T12:00:00+00:00")


def test_what_one_machine_has_put_the_other_has(machines: Machines) -> None:
    one, two = machines.store("one"), machines.store("two")
    two.refresh()
    first = add(one, "a", "one")
    assert "a" not in two
    two.refresh()
    assert "a" in two
    assert two.dag_ids() == ["a"]
    assert not (two.workflows / "a").exists(), "it is fetched when it is needed"
    assert content_of(two.current("a")) == "one"
    assert two.current("a").plan == first.plan
    assert manifest_of(two) == manifest_of(one) == {"a": first.digest}
    assert two.keep_manifest(manifest_of(two)) == one.keep_manifest(manifest_of(one))
    second = add(two, "a", "two")
    one.refresh()
    assert [version.digest for version in one.versions("a")] == [second.digest, first.digest]
    assert one.version_numbers("a") == {first.digest: 1, second.digest: 2}


def change_much(store: WorkflowStore) -> None:
    """Whatever can be done to workflows."""
    first = add(store, "a", "one")
    second = add(store, "a", "two")
    add(store, "b", "one")
    add(store, "gone", "one")
    store.set_schedule("a", schedule_of(second.digest), instead_of=None)
    store.set_approvals("a", ["sort"])
    store.set_approvals("b", ["sort"])
    store.set_approvals("b", [])
    store.make_current("a", first.digest)
    store.delete("gone")
    store.discard("b", add(store, "b", "three").digest, previous=store.versions("b")[-1].digest)
    store.remove_version("a", second.digest, unused_since=time.time() + 60)


def test_it_is_what_a_folder_would_be(machines: Machines, tmp_path: Path) -> None:
    plain, one = WorkflowStore(tmp_path / "plain"), machines.store("one")
    change_much(plain)
    change_much(one)
    assert facts(one) == facts(plain)
    assert one.manifest() == plain.manifest() == manifest_of(one)
    assert one.deleted() == plain.deleted() == ["gone"]
    empty = machines.store("empty")
    follow(empty)
    assert facts(empty) == facts(plain)
    for store in (one, empty):
        contents.fill(store)
        back = WorkflowStore(store.root)
        assert (back.manifest(), back.deleted()) == (plain.manifest(), ["gone"]), "should the site go back to folders"
        assert back.approvals("a").current() == ("sort",)


def test_a_machine_whose_disk_is_lost_loses_nothing(machines: Machines) -> None:
    one = machines.store("one")
    change_much(one)
    before = facts(one)
    shutil.rmtree(one.root)
    assert facts(machines.store("one")) == before
    shutil.rmtree(one.root)
    one.refresh()
    assert facts(one) == before, "also in a process that goes on"


def test_what_is_damaged_here_is_looked_for_anew(machines: Machines) -> None:
    one = machines.store("one")
    version = add(one, "a", "one")
    (one.root / ".shared/index.json").write_bytes(b'"etag"\n{')
    assert machines.store("one").current("a").digest == version.digest
    (one.root / ".shared/brought.json").write_bytes(b"{")
    follow(machines.store("one"))
    shutil.rmtree(version.folder)
    assert content_of(machines.store("one").current("a")) == "one"


def test_the_bucket_has_it_before_anything_is_here(machines: Machines) -> None:
    one = machines.store("one")
    one.refresh()
    seen = []

    def look(environ: dict[str, str], _start: object) -> None:
        if environ["REQUEST_METHOD"] == "PUT":
            is_here = (one.workflows / "a").exists() or "a" in one
            seen.append((environ["PATH_INFO"].partition(machines.prefix)[2].split("/")[1], is_here))

    machines.server.moods.append(look)  # type: ignore[arg-type]
    add(one, "a", "one")
    assert seen == [("versions", False), ("manifests", False), ("index.json", False)]


def test_at_rest_a_look_is_one_question_and_reading_is_none(machines: Machines) -> None:
    one = machines.store("one")
    version = add(one, "a", "one")
    follow(one)

    def read() -> None:
        facts(one)
        manifest_of(one)
        one.kept_manifest(one.keep_manifest(one.manifest()))
        one.pinned("a", version.revision)
        contents.fill(one)
        one.freshen()

    assert machines.asked(one.refresh) == ["HEAD index.json"]
    assert machines.asked(read) == []


def test_two_uploads_at_once_are_both_there(machines: Machines) -> None:
    stores = [machines.store(name) for name in ("one", "two")]
    for store in stores:
        store.refresh()
    begin = threading.Barrier(len(stores))
    failures: list[Exception] = []

    def upload(number: int) -> None:
        begin.wait(60)
        try:
            for time_ in range(3):
                add(stores[number], "common", f"{number} {time_}")
                add(stores[number], f"own-{number}", f"{time_}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    for store in stores:
        follow(store)
    assert facts(stores[0]) == facts(stores[1])
    found = facts(stores[0])
    assert set(found) == {"common", "own-0", "own-1"}
    contents_ = {f"{number} {time_}" for number in range(2) for time_ in range(3)}
    assert set(found["common"]["versions"].values()) == contents_
    assert sorted(found["common"]["numbers"].values()) == list(range(1, 7))
    assert found["common"]["current"] in found["common"]["versions"]


def test_the_same_upload_on_two_machines_is_one_version(machines: Machines) -> None:
    one, two = machines.store("one"), machines.store("two")
    two.refresh()
    version = add(one, "a", "same")
    assert add(two, "a", "same").digest == version.digest
    follow(one)
    assert facts(one) == facts(two)
    assert one.version_numbers("a") == {version.digest: 1}


def test_a_schedule_that_was_changed_elsewhere_is_not_replaced(machines: Machines) -> None:
    one, two = machines.store("one"), machines.store("two")
    version = add(one, "a", "one")
    two.refresh()
    daily, weekly = schedule_of(version.digest), schedule_of(version.digest, "weekly")
    assert one.set_schedule("a", daily, instead_of=None)
    assert not two.set_schedule("a", weekly, instead_of=None)
    assert two.schedules("a").current() == daily
    assert two.set_schedule("a", daily, instead_of=daily.digest), "nothing is changed, as in a folder"
    assert two.set_schedule("a", weekly, instead_of=daily.digest)
    one.refresh()
    assert one.schedules("a").current() == weekly
    for store in (one, two):
        with pytest.raises(UnknownWorkflow):
            store.set_schedule("none", daily, instead_of=None)
        with pytest.raises(UnknownWorkflow):
            store.set_approvals("none", ["sort"])


def test_a_run_gets_exactly_the_revision_that_it_is_pinned_to(machines: Machines) -> None:
    one = machines.store("one")
    first = add(one, "a", "one")
    one.set_schedule("a", schedule_of(first.digest), instead_of=None)
    one.set_approvals("a", ["sort"])
    revision, manifest = one.current_revision("a"), one.keep_manifest(one.manifest())
    add(one, "a", "two")
    one.set_schedule("a", None, instead_of=schedule_of(first.digest).digest)
    one.set_approvals("a", ["count"])
    worker = machines.store("worker")
    assert worker.kept_revision(manifest, "a") == revision
    assert worker.kept_manifest(manifest) == {"a": revision}
    found = worker.pinned("a", revision)
    assert (content_of(found), found.schedule, found.asked) == ("one", schedule_of(first.digest), ("sort",))


def test_a_manifest_of_one_run_is_in_the_bucket_too(machines: Machines) -> None:
    one, two = machines.store("one"), machines.store("two")
    version = add(one, "a", "one")
    add(one, "b", "one")
    name = one.keep_manifest({"a": version.revision})
    assert two.kept_manifest(name) == {"a": version.revision}
    with pytest.raises(UnknownWorkflow):
        two.kept_manifest("0" * 32)

    def ask_again() -> None:
        with pytest.raises(UnknownWorkflow):
            two.kept_manifest("0" * 32)

    assert machines.asked(ask_again) == [], "what the bucket does not have is not asked for all the time"


def test_what_is_removed_is_fetched_for_a_day_by_runs_that_have_just_begun(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = (machines.store(name) for name in ("one", "two", "three"))
    first = add(one, "a", "one")
    add(one, "a", "two")
    follow(two)
    assert one.remove_version("a", first.digest, unused_since=time.time() + 60)
    assert not one.remove_version("a", first.digest, unused_since=time.time() + 60)
    tidying.tidy(one)
    assert content_of(three.pinned("a", first.digest)) == "one"
    assert first.digest not in three.digests("a")
    follow(two)
    monkeypatch.setattr(tidying, "KEEP_SECONDS", -60.0)
    tidying.tidy(one)
    follow(two)
    follow(three)
    for store in (one, two, three):
        assert not (store.workflows / "a" / "versions" / first.digest).exists()
        with pytest.raises(UnknownWorkflow):
            machines.store(store.root.name).pinned("a", first.digest)
    assert len([name for name in machines.names() if name.startswith("versions/a/")]) == 1


def test_of_a_workflow_that_is_removed_for_good_nothing_is_left(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machines.store("one"), machines.store("two")
    version = add(one, "a", "one")
    one.set_schedule("a", schedule_of(version.digest), instead_of=None)
    one.set_approvals("a", ["sort"])
    follow(two)
    one.delete("a")
    assert not one.remove_version("a", version.digest, unused_since=0.0)
    assert one.remove_version("a", version.digest, unused_since=time.time() + 60)
    monkeypatch.setattr(tidying, "KEEP_SECONDS", -60.0)
    tidying.tidy(one)
    follow(two)
    for store in (one, two):
        assert store.all_dag_ids() == []
        assert not (store.workflows / "a").exists()
    assert {name.split("/")[0] for name in machines.names()} == {"index.json", "manifests"}


def test_manifests_go_with_retention(machines: Machines) -> None:
    one, two = machines.store("one"), machines.store("two")
    add(one, "a", "one")
    name = two.keep_manifest(two.manifest())
    names = {found for found, _moment in two.manifests()}
    assert name in names
    assert not two.remove_manifest(name, unused_since=0.0)
    assert two.remove_manifest(name, unused_since=time.time() + 60)
    with pytest.raises(UnknownWorkflow):
        machines.store("three").kept_manifest(name)


def test_what_was_compiled_again_is_given_to_all(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = machines.store("one"), machines.store("two")
    version = add_version(one, "a", replace(plan_of("sort"), engine="cwltool-3"), "one")
    follow(two)
    monkeypatch.setattr(compilations, "own_compiler", lambda: "99-of-tomorrow")
    monkeypatch.setattr(compilations.Compilation, "is_readable", True)
    staging = compilations.staging_folder(version.folder)
    shutil.copytree(version.folder, staging, ignore=shutil.ignore_patterns("compiled", "source"))
    plan = json.loads((staging / "plan.json").read_text())
    plan["steps"][0]["task_id"] = "renamed"
    (staging / "plan.json").write_text(json.dumps(plan))
    compilations.add(version.folder, staging)
    one.keep_compilation("a", version.digest)
    revision = one.current_revision("a")
    assert "@" in revision
    follow(two)
    assert two.current_revision("a") == revision
    assert two.pinned("a", revision).plan.steps[0].task_id == "renamed"
    third = machines.store("three")
    assert third.pinned("a", revision).compiled.name == two.pinned("a", revision).compiled.name
    assert third.pinned("a", version.digest).plan.steps[0].task_id == "sort", "runs of before keep their tasks"


def test_folders_that_meet_a_bucket_put_what_it_has_not(machines: Machines) -> None:
    for name, content in (("one", "of one"), ("two", "of two")):
        plain = WorkflowStore(machines.top / name)
        version = add(plain, "common", content)
        add(plain, f"only-{name}", content)
        plain.set_schedule(f"only-{name}", schedule_of(version.digest), instead_of=None)
        plain.set_approvals(f"only-{name}", ["sort"])
        pinned = plain.keep_manifest(plain.manifest())
    one, two = machines.store("one"), machines.store("two")
    one.refresh()
    two.refresh()
    follow(one)
    assert facts(one) == facts(two) == facts(machines.store("three"))
    found = facts(one)
    assert set(found) == {"common", "only-one", "only-two"}
    assert content_of(one.current("common")) == "of one", "the first one was there"
    assert set(found["common"]["versions"].values()) == {"of one", "of two"}
    assert found["only-two"]["approvals"] == ("sort",)
    assert machines.store("three").kept_manifest(pinned) == WorkflowStore(two.root).kept_manifest(pinned)
    assert machines.asked(two.refresh) == ["HEAD index.json"]


def test_an_index_that_is_gone_removes_nothing(machines: Machines) -> None:
    one = machines.store("one")
    change_much(one)
    before = facts(one)
    machines.server.client.delete_object(Bucket="workflows", Key=f"{machines.prefix}/index.json")
    with pytest.raises(StoreAway, match=r"no index\.json any more"):
        one.refresh()
    with pytest.raises(StoreAway, match=r"no index\.json any more"):
        add(one, "new", "one")
    assert facts(one) == before
    shutil.rmtree(one.root / ".shared")
    again = machines.store("one")
    again.refresh()
    assert set(facts(again)) >= {"a", "b"}


def test_an_earlier_index_is_completed(machines: Machines) -> None:
    one, two = machines.store("one"), machines.store("two")
    first = add(one, "a", "one")
    earlier = machines.read("index.json")
    second = add(one, "a", "two")
    add(one, "b", "one")
    follow(two)
    machines.put("index.json", earlier)
    follow(one)
    assert set(one.digests("a")) == {first.digest, second.digest}
    assert "b" in one.all_dag_ids()
    follow(two)
    assert facts(two) == facts(one)
    assert machines.asked(two.refresh) == ["HEAD index.json"]


def test_grants_of_one_machine_hold_on_the_other(machines: Machines) -> None:
    import hashlib

    key = b"-----BEGIN PUBLIC KEY-----"
    name = hashlib.sha256(key).hexdigest()
    machines.store("one").put_grant_key(name, key)
    assert machines.store("two").grant_key(name) == key
    machines.put(f"grants/{name}.pem", b"another")
    assert machines.store("two").grant_key(name) is None
    assert machines.store("two").grant_key("../index") is None


def test_a_removed_file_of_the_last_schedule_is_not_taken_for_none(machines: Machines) -> None:
    one = machines.store("one")
    version = add(one, "a", "one")
    one.set_schedule("a", replace(schedule_of(version.digest), is_paused=True), instead_of=None)
    shutil.rmtree(one.workflows / "a" / "schedules")
    found = one.schedules("a").current()
    assert found is not None
    assert found.is_paused
