"""Outputs go only if an option says so, and a run that is in the list says so; what is somebody else's stays."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.interleaving import ThreadActor, orders
from support.stored import BEGAN

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags.folders import claims, placement
from cwl_ui_plugin.reports import removals
from cwl_ui_plugin.services.answers import run_json
from cwl_ui_plugin.services.errors import Conflict, InvalidJob
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.retention import cleaning, items, outputs, trees
from cwl_ui_plugin.services.triggering import triggers

Keep = Callable[..., None]


@dataclass
class Delivered:
    """A run that has delivered a file and a folder."""

    dag_id: str
    run_id: str
    source: Path
    age: Keep

    @property
    def folder(self) -> Path:
        return config.outputs_folder() / self.dag_id / self.run_id

    def deliver(self, text: str = "result") -> None:
        task = self.source / uuid.uuid4().hex
        (task / "quant/deep").mkdir(parents=True)
        (task / "out.txt").write_text(text)
        (task / "quant/deep/table.csv").write_text(text)
        values = {
            "out": {"class": "File", "location": (task / "out.txt").as_uri()},
            "all": [{"class": "Directory", "location": (task / "quant").as_uri()}],
        }
        record, lock = claims.record_of(self.folder), claims.file_of(self.folder)
        deliver(values, Destination(self.folder, config.outputs_folder(), record=record, lock=lock))

    def grow_old(self, days: float) -> None:
        self.age(days, claims.record_of(self.folder), claims.file_of(self.folder))


@dataclass
class Part(Delivered):
    """A group of tasks that has delivered, in a Dag that somebody wrote."""

    name: str

    @property
    def folder(self) -> Path:
        return placement.hold_part(self.dag_id, self.run_id, BEGAN, self.name).folders.outputs.path


@pytest.fixture
def delivered(workflow: str, run_id: str, tmp_path: Path, age: Keep) -> Delivered:
    made = Delivered(workflow, run_id, tmp_path / "tasks", age)
    made.deliver()
    return made


@pytest.fixture
def gone(delivered: Delivered, runs: Any) -> Delivered:
    """A run that has delivered its outputs 11 days ago, and was deleted."""
    runs.end(delivered.run_id, days_ago=11)
    runs.delete(delivered.run_id)
    delivered.grow_old(11)
    return delivered


@pytest.fixture
def old(delivered: Delivered, runs: Any) -> Delivered:
    """A run in the list that has ended and delivered its outputs 11 days ago."""
    runs.end(delivered.run_id, days_ago=11)
    delivered.grow_old(11)
    return delivered


def removed() -> list[str]:
    return [str(item.run_id) for item in outputs.find() if outputs.remove(item)]


def page_says(run: Delivered) -> list[tuple[str, str]]:
    return [(told.what, told.option) for told in queries.get_run(run.dag_id, run.run_id).removed]


def test_nothing_goes_by_default(gone: Delivered) -> None:
    gone.grow_old(10_000)
    assert removed() == []


def test_outputs_of_a_run_that_is_gone_go_with_folder_and_claim(gone: Delivered, keep: Keep) -> None:
    keep(outputs=10)
    assert removed() == [gone.run_id]
    assert not gone.folder.exists()
    assert claims.of(gone.folder) is None
    assert not claims.record_of(gone.folder).exists()
    assert removed() == []


def test_each_part_of_a_dag_that_somebody_wrote_has_outputs_of_its_own(
    other_dag: str, tmp_path: Path, age: Keep, keep: Keep
) -> None:
    parts = [Part(other_dag, "a-run-that-is-gone", tmp_path / "tasks", age, name) for name in ("one", "outer.two")]
    for part in parts:
        part.deliver()
    parts[0].grow_old(11)
    keep(outputs=10)
    assert removed() == ["a-run-that-is-gone"]
    assert [path.name for path in parts[1].folder.parent.iterdir()] == ["outer.two"]
    assert (parts[1].folder / "out.txt").exists()


@pytest.mark.parametrize(("seconds", "goes"), [(-1, False), (0, True), (1, True)])
def test_the_limit_is_exact(
    gone: Delivered, keep: Keep, monkeypatch: pytest.MonkeyPatch, seconds: float, goes: bool
) -> None:
    keep(outputs=10)
    now = 2_000_000_000.0
    monkeypatch.setattr(items.time, "time", lambda: now)
    for path in (claims.record_of(gone.folder), claims.file_of(gone.folder)):
        os.utime(path, (0, now - 10 * items.DAY - seconds))
    assert bool(removed()) == goes


def test_outputs_of_a_run_in_the_list_stay_unless_that_is_said(old: Delivered, keep: Keep) -> None:
    keep(outputs=1)
    assert removed() == []
    assert (old.folder / "out.txt").exists()
    assert page_says(old) == []


def test_where_it_is_said_the_run_tells_that_they_are_gone(old: Delivered, keep: Keep) -> None:
    keep(listed_outputs=10)
    assert removed() == [old.run_id]
    assert not old.folder.exists()
    assert page_says(old) == [("outputs", "keep_listed_outputs_days")]
    told = run_json(queries.get_run(old.dag_id, old.run_id), None, {}, None)["removed"]
    assert told[0]["option"] == "keep_listed_outputs_days"
    assert claims.of(old.folder) is not None  # it is the run's to deliver there again
    assert removed() == []


def test_a_run_that_ended_a_moment_ago_keeps_them(old: Delivered, keep: Keep, runs: Any) -> None:
    keep(listed_outputs=10)
    runs.end(old.run_id, days_ago=9.9)
    assert removed() == []


def test_a_run_that_goes_on_again_keeps_them(old: Delivered, keep: Keep, runs: Any) -> None:
    keep(listed_outputs=10, outputs=10)
    runs.begin_again(old.run_id)
    assert removed() == []


def test_a_run_that_delivers_again_does_not_say_so_any_more(old: Delivered, keep: Keep, runs: Any) -> None:
    keep(listed_outputs=10)
    removed()
    runs.begin_again(old.run_id)
    assert page_says(old) == []
    old.deliver("again")
    runs.end(old.run_id)
    assert page_says(old) == []
    assert (old.folder / "out.txt").read_text() == "again"
    assert removed() == []


def test_what_somebody_else_has_put_there_stays(gone: Delivered, keep: Keep, tmp_path: Path) -> None:
    keep(outputs=10)
    (tmp_path / "mine").write_text("mine")
    (gone.folder / "notes.txt").hardlink_to(tmp_path / "mine")
    (gone.folder / "quant/deep/notes.txt").write_text("mine")
    (gone.folder / "quant/link").symlink_to(tmp_path / "mine")
    assert removed() == [gone.run_id]
    left = sorted(path.relative_to(gone.folder).as_posix() for path in gone.folder.rglob("*"))
    assert left == ["notes.txt", "quant", "quant/deep", "quant/deep/notes.txt", "quant/link"]
    assert claims.of(gone.folder) is not None
    assert (tmp_path / "mine").read_text() == "mine"


def test_without_a_list_of_what_was_delivered_what_has_changed_since_stays(gone: Delivered, keep: Keep) -> None:
    keep(outputs=10)
    record = claims.record_of(gone.folder)
    names = json.loads(record.read_text())["names"]
    record.write_text(json.dumps({"names": names}))
    for path in gone.folder.rglob("*"):
        gone.age(12, path)
    (gone.folder / "quant/new.txt").write_text("mine")
    gone.grow_old(11)
    removed()
    assert [path.name for path in gone.folder.rglob("*")] == ["quant", "new.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"names": 3}', "null"])
def test_a_record_that_can_not_be_read_keeps_all(gone: Delivered, keep: Keep, content: str) -> None:
    keep(outputs=10)
    claims.record_of(gone.folder).write_text(content)
    gone.grow_old(11)
    assert removed() == []
    assert (gone.folder / "out.txt").exists()


def test_what_another_run_has_for_an_input_stays(
    gone: Delivered, keep: Keep, add: Callable[..., Any], runs: Any
) -> None:
    keep(outputs=10, listed_outputs=10)
    add("reader")
    run_id = start("reader", gone.folder / "quant/deep/table.csv")
    runs.end(run_id, days_ago=100)
    gone.grow_old(11)
    assert removed() == []
    runs.delete(run_id)
    assert removed() == [gone.run_id]


def start(dag_id: str, path: Path) -> str:
    job = {"text": "x", "file": {"class": "File", "location": str(path)}}
    run = triggers.trigger(
        dag_id,
        conf={"job": job},
        run_id=f"run-{uuid.uuid4()}",
        user="ada",
        via=triggers.REST,
        files=InputAccess("ada", lambda _dag: True),
    )
    return run.run_id


@pytest.mark.parametrize("order", orders(["clean"] * 3, ["start"] * 2))
def test_a_run_that_starts_has_the_outputs_or_is_refused(
    order: tuple[str, ...], gone: Delivered, keep: Keep, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(outputs=10)
    file = gone.folder / "out.txt"
    cleaner, starter = ThreadActor(removed), ThreadActor(lambda: start(workflow, file))
    cleaner.hold(monkeypatch, outputs, "_is_still_old")
    cleaner.hold(monkeypatch, outputs, "_remove_delivered")
    starter.hold(monkeypatch, triggers, "_insert")
    for name in order:
        (cleaner if name == "clean" else starter).step()
    assert cleaner.error is None
    if starter.error is None:
        assert file.read_text() == "result"
        assert cleaner.result == []
    else:
        assert isinstance(starter.error, (InvalidJob, Conflict)), starter.error
        assert cleaner.result == [gone.run_id]


def test_outputs_that_a_run_delivers_just_now_are_left_alone(
    old: Delivered, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.cwl.engine.outputs import delivery

    keep(listed_outputs=10)
    deliverer = ThreadActor(lambda: old.deliver("again"))
    deliverer.hold(monkeypatch, delivery, "_delivered")
    deliverer.step()
    found = list(outputs.find())
    assert [outputs.remove(item) for item in found] == [False]
    deliverer.step()
    assert deliverer.error is None
    assert [outputs.remove(item) for item in found] == [False]
    assert (old.folder / "out.txt").read_text() == "again"


def test_a_delivery_waits_until_a_removal_is_over(old: Delivered, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(listed_outputs=10)
    cleaner = ThreadActor(removed)
    cleaner.hold(monkeypatch, outputs, "_remove_delivered")
    cleaner.step()
    deliverer = ThreadActor(lambda: old.deliver("again"))
    deliverer._go.release()  # it comes to the lock that the remover has
    cleaner.step()
    assert deliverer._arrived.acquire(timeout=60)
    assert (cleaner.result, deliverer.error) == ([old.run_id], None)
    assert (old.folder / "out.txt").read_text() == "again"
    assert sorted(path.name for path in old.folder.iterdir()) == ["out.txt", "quant"]


def test_a_removal_that_was_killed_is_gone_on_with(old: Delivered, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(listed_outputs=10)
    child = os.fork()
    if not child:
        monkeypatch.setattr(trees, "open_folder", lambda *_arguments: os._exit(9))
        removed()
        os._exit(0)
    assert os.waitpid(child, 0)[1] != 0
    assert page_says(old) == [("outputs", "keep_listed_outputs_days")]
    with pytest.raises((InvalidJob, StepError)):  # what is gone can't be used, and nobody waits for ever
        start(old.dag_id, old.folder / "gone.txt")
    old.grow_old(11)
    assert removed() == [old.run_id]
    assert not old.folder.exists()


def test_what_was_half_removed_can_be_used_where_it_is_there(
    old: Delivered, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(listed_outputs=10)
    with monkeypatch.context() as patch:
        patch.setattr(outputs, "_remove_delivered", lambda *_arguments, **_more: False)
        assert removed() == []
    assert start(old.dag_id, old.folder / "out.txt")


def test_a_folder_that_became_a_link_leads_nowhere(gone: Delivered, keep: Keep, tmp_path: Path) -> None:
    keep(outputs=10)
    gone.folder.rename(tmp_path / "elsewhere")
    gone.folder.symlink_to(tmp_path / "elsewhere")
    removed()
    assert (tmp_path / "elsewhere/out.txt").exists()
    assert (tmp_path / "elsewhere/quant/deep/table.csv").exists()


def test_a_claim_on_a_folder_that_the_site_does_not_name_is_left_alone(
    gone: Delivered, keep: Keep, tmp_path: Path
) -> None:
    keep(outputs=10)
    claim = claims.of(gone.folder)
    assert claim is not None
    elsewhere = tmp_path / "data"
    (elsewhere / "out.txt").parent.mkdir()
    (elsewhere / "out.txt").write_text("data")
    forged = {**claim.__dict__, "folder": str(elsewhere)}
    claims.file_of(gone.folder).write_text(json.dumps(forged))
    gone.grow_old(11)
    assert removed() == []
    assert (elsewhere / "out.txt").exists()


def test_what_can_not_be_removed_is_tried_again(gone: Delivered, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(outputs=10)
    unlink = os.unlink

    def refuse(path: Any, **more: Any) -> None:
        if path == "table.csv":
            raise OSError(5, "Input/output error", path)
        unlink(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        assert removed() == []
    assert (gone.folder / "quant/deep/table.csv").exists()
    assert removed() == [gone.run_id]
    assert not gone.folder.exists()


def test_two_cleaners_do_it_once(gone: Delivered, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(outputs=10)
    actors = [ThreadActor(removed), ThreadActor(removed)]
    for actor in actors:
        actor.hold(monkeypatch, outputs, "remove")
    for actor in (*actors, *actors):
        actor.step()
    assert actors[0].result + actors[1].result == [gone.run_id]


def test_it_is_told_what_would_go_and_what_went(gone: Delivered, keep: Keep) -> None:
    keep(outputs=10)
    would = {kind.kind: kind for kind in cleaning.removable(lambda _dag: True)}["outputs"]
    assert (would.items, would.files, would.is_all) == (1, 2, True)
    assert would.names == (f"{gone.dag_id} {gone.run_id}",)
    assert {kind.kind: kind for kind in cleaning.removable(lambda _dag: False)}["outputs"].names == ()
    assert (gone.folder / "out.txt").exists()
    went = {kind.kind: kind for kind in cleaning.clean()}["outputs"]
    assert (went.items, went.bytes, went.files) == (1, would.bytes, 2)


def test_what_is_noted_goes_with_its_run(old: Delivered, runs: Any) -> None:
    removals.note([(old.dag_id, old.run_id), ("no", "such")], removals.LOGS, "keep_logs_days")
    removals.note([(old.dag_id, old.run_id)], removals.LOGS, "keep_logs_days")
    assert page_says(old) == [("logs", "keep_logs_days")]
    removals.forget_gone()
    assert page_says(old) == [("logs", "keep_logs_days")]
    runs.delete(old.run_id)
    assert removals.forget_gone() == 1
