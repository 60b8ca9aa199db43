"""Uploads go when no run in the list has named them for some days, and never just as a run starts with them."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.interleaving import ThreadActor, orders
from support.stored import set_run

from cwl_ui_plugin.services.errors import InvalidJob
from cwl_ui_plugin.services.inputs import owners, resumable, single
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.retention import items, uploads
from cwl_ui_plugin.services.retention.cleaning import clean
from cwl_ui_plugin.services.triggering import triggers

Keep = Callable[..., None]


@pytest.fixture
def upload(age: Keep) -> Path:
    """A file that Ada has uploaded 31 days ago."""
    return uploaded(age)


def uploaded(age: Keep, days: float = 31) -> Path:
    path = single.save_input("reads.txt", io.BytesIO(b"reads"), user="ada")
    age(days, path.parent)
    return path


def removed() -> list[str]:
    return [item.name for item in uploads.find() if uploads.remove(item)]


def job_with(path: Path) -> dict[str, Any]:
    return {"text": "x", "file": {"class": "File", "location": str(path)}}


def start(workflow: str, job: dict[str, Any], run_id: str | None = None) -> str:
    run = triggers.trigger(
        workflow,
        conf={"job": job},
        run_id=run_id or f"run-{uuid.uuid4()}",
        user="ada",
        via=triggers.REST,
        files=InputAccess("ada", lambda _dag: True),
    )
    return run.run_id


def test_what_nobody_names_goes_with_its_owner(upload: Path) -> None:
    assert removed() == [upload.parent.name]
    assert not upload.parent.exists()
    assert owners.owner_of(upload.parent.name) is None
    assert [path.name for path in upload.parent.parent.iterdir()] == [".lock"]


@pytest.mark.parametrize(("seconds", "goes"), [(-1, False), (0, True), (1, True)])
def test_the_limit_is_exact(
    upload: Path, keep: Keep, monkeypatch: pytest.MonkeyPatch, seconds: float, goes: bool
) -> None:
    keep(uploads=10)
    now = 2_000_000_000.0
    monkeypatch.setattr(items.time, "time", lambda: now)
    moment = now - 10 * items.DAY - seconds
    os.utime(upload.parent, (moment, moment))
    assert bool(removed()) == goes


def test_nothing_goes_where_the_option_is_0(upload: Path, keep: Keep) -> None:
    keep(uploads=0)
    assert removed() == []


def test_what_a_run_names_stays_and_its_days_begin_anew(upload: Path, workflow: str, runs: Any, age: Keep) -> None:
    run_id = start(workflow, job_with(upload))
    age(40, upload.parent)
    assert removed() == []
    runs.end(run_id, days_ago=400)
    age(40, upload.parent)
    assert removed() == []
    runs.delete(run_id)
    assert removed() == []  # a run had it a moment ago
    age(40, upload.parent)
    assert removed() == [upload.parent.name]


def test_the_days_begin_when_nobody_names_it_any_more(
    workflow: str, runs: Any, age: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_noted", {})
    upload, unnamed = uploaded(age, days=5), uploaded(age, days=5)
    run_id = start(workflow, job_with(upload))
    age(29, upload.parent)
    uploads.sweep()
    assert upload.parent.stat().st_mtime > unnamed.parent.stat().st_mtime + items.DAY
    runs.delete(run_id)
    age(29, upload.parent)
    uploads.sweep()  # once a day
    assert removed() == []
    age(31, upload.parent)
    assert removed() == [upload.parent.name]


@pytest.mark.parametrize(
    "name",
    [
        lambda path: {"class": "File", "location": path.as_uri()},
        lambda path: {"class": "File", "path": str(path)},
        lambda path: {"class": "File", "location": f"uploads/{path.parent.name}/../{path.parent.name}/{path.name}"},
        lambda path: {"class": "Directory", "location": str(path.parent)},
        lambda path: {"class": "Directory", "location": str(path.parent.parent)},
        lambda path: [[{"r": {"class": "File", "location": "/x", "secondaryFiles": [{"location": str(path)}]}}]],
        lambda path: {"class": "Directory", "listing": [{"class": "File", "location": str(path)}]},
    ],
)
@pytest.mark.parametrize("conf", [lambda value: {"job": {"in": value}}, lambda value: {"other": value}])
def test_whatever_way_a_conf_names_it(
    upload: Path, run_id: str, runs: Any, name: Callable[[Path], Any], conf: Callable[[Any], Any]
) -> None:
    runs.set_conf(run_id, conf(name(upload)))
    assert removed() == []


def test_a_link_elsewhere_names_it_too(upload: Path, run_id: str, runs: Any, folders: Path) -> None:
    (folders / "inputs/shared").symlink_to(upload.parent)
    runs.set_conf(run_id, {"job": {"in": {"class": "File", "location": str(folders / "inputs/shared/reads.txt")}}})
    assert removed() == []


@pytest.mark.parametrize("conf", [{}, None, {"job": {"in": {"location": "a\0b"}}}, {"job": [[["x"]]]}])
def test_confs_of_any_kind_do_not_disturb(upload: Path, run_id: str, runs: Any, conf: Any) -> None:
    runs.set_conf(run_id, conf)
    assert removed() == [upload.parent.name]


def test_what_is_not_an_upload_of_a_user_stays(folders: Path, age: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folders / "inputs/uploads"
    opened = uploaded(age).parent
    monkeypatch.setenv("AIRFLOW__CWL__INPUT_ROOTS", str(opened))
    nobodys, foreign, link = place / str(uuid.uuid4()), place / "notes", place / str(uuid.uuid4())
    nobodys.mkdir()
    foreign.mkdir()
    link.symlink_to(folders / "outputs")
    age(100, nobodys, foreign)
    os.utime(link, (0, 0), follow_symlinks=False)
    assert removed() == []
    assert opened.exists()
    assert nobodys.exists()
    assert foreign.exists()


def test_an_upload_goes_on_into_a_folder_that_is_old(upload: Path) -> None:
    second = single.save_input("more.txt", io.BytesIO(b"more"), user="ada", folder=upload.parent.name)
    assert removed() == []
    assert second.exists()


def test_a_large_file_arrives_after_its_folder_was_removed(age: Keep) -> None:
    part = resumable.start("large.txt", 4, user="ada")
    (folder,) = [path for path in uploads.config.uploads_folder().iterdir() if single.is_uuid(path.name)]
    age(31, folder)
    assert removed() == [folder.name]
    path = resumable.add(part.id, 0, b"done", user="ada").path
    assert path is not None
    assert owners.owner_of(path.parent.name) == "ada"


def test_broken_off_uploads_go_after_a_week(age: Keep, folders: Path) -> None:
    part = resumable.start("large.txt", 4, user="ada")
    data = folders / "inputs/uploads/.parts" / part.id / "data"
    age(6, data)
    uploads.sweep()
    assert data.exists()
    age(8, data)
    uploads.sweep()
    assert not data.parent.exists()


@pytest.mark.parametrize("order", orders(["clean"] * 2, ["start"] * 2))
def test_a_run_that_starts_has_its_upload_or_is_refused(
    order: tuple[str, ...], upload: Path, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaner = ThreadActor(removed)
    starter = ThreadActor(lambda: start(workflow, job_with(upload)))
    cleaner.hold(monkeypatch, owners, "remove_unused")
    starter.hold(monkeypatch, triggers, "_insert")
    for name in order:
        (cleaner if name == "clean" else starter).step()
    assert cleaner.error is None
    if starter.error is None:
        assert upload.read_bytes() == b"reads"
        assert owners.owner_of(upload.parent.name) == "ada"
    else:
        assert isinstance(starter.error, InvalidJob)
        assert cleaner.result == [upload.parent.name]
        assert not upload.parent.exists()


@pytest.mark.parametrize("order", orders(["clean"] * 2, ["upload"] * 2))
def test_a_file_that_is_sent_into_an_old_folder_is_kept_with_its_owner(
    order: tuple[str, ...], upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = upload.parent.name
    cleaner = ThreadActor(removed)
    sender = ThreadActor(lambda: single.save_input("new.txt", io.BytesIO(b"new"), user="ada", folder=name))
    cleaner.hold(monkeypatch, owners, "remove_unused")
    sender.hold(monkeypatch, owners, "claim")
    for actor in order:
        (cleaner if actor == "clean" else sender).step()
    assert sender.error is None
    assert (upload.parent / "new.txt").read_bytes() == b"new"
    assert owners.owner_of(name) == "ada"


def test_two_cleaners_do_it_once(upload: Path, age: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    more = [uploaded(age) for _ in range(5)]
    actors = [ThreadActor(removed), ThreadActor(removed)]
    for actor in actors:
        actor.hold(monkeypatch, owners, "remove_unused", once=True)
    for actor in (*actors, *actors):
        actor.step()
    assert sorted(actors[0].result + actors[1].result) == sorted(path.parent.name for path in (upload, *more))


def test_a_removal_that_was_killed_is_gone_on_with(upload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = os.fork()
    if not child:
        monkeypatch.setattr(uploads, "sweep_removed", lambda *_arguments: os._exit(9))
        removed()
        os._exit(0)
    assert os.waitpid(child, 0)[1] != 0
    uploads.sweep()
    assert [path.name for path in upload.parent.parent.iterdir()] == [".lock"]


def test_a_full_disk_does_not_keep_it_from_being_emptied(upload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any, **_more: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("mkdir", "link", "symlink"):
        monkeypatch.setattr(os, name, full)
    monkeypatch.setattr(Path, "mkdir", full)
    monkeypatch.setattr(Path, "write_text", full)
    assert removed() == [upload.parent.name]
    assert not upload.parent.exists()


def test_all_kinds_are_cleaned_though_one_can_not_be(upload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__KEEP_OUTPUTS_DAYS", "soon")
    done = {kind.kind: kind for kind in clean()}
    assert "keep_outputs_days must be a number" in done["outputs"].problem
    assert done["uploads"].items == 1


def test_what_a_row_of_a_batch_names_stays_until_its_run_is_there_and_then_with_the_run(
    workflow: str, upload: Path, age: Keep
) -> None:
    from cwl_ui_plugin.services.batches import batches, sheets, starts
    from cwl_ui_plugin.services.batches.submitting import Wanted, submit

    sheet = sheets.read_text(f"sample,text,file\nA,x,\nB,x,{upload}\n")
    files = InputAccess("ada", lambda _dag: True)
    batch = submit(Wanted(workflow, sheet, max_active=1), user="ada", files=files).batch
    assert batch is not None
    age(31, upload.parent)
    assert removed() == []
    batches.stop(workflow, batch.id, user="ada", wait=False)
    assert removed() == []  # it may be started again
    other = submit(Wanted(workflow, sheet, max_active=1), user="ada", files=files).batch
    assert other is not None
    for run_id in (starts.run_id_of(batch.id, 2, "A"), starts.run_id_of(other.id, 2, "A")):
        set_run(workflow, run_id, "success")
    starts.start_some(other.id)
    age(31, upload.parent)
    assert batches.get(workflow, other.id).counts == {"success": 1, "queued": 1}
    assert removed() == []
