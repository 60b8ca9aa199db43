"""Entries for reuse go when nobody has used them for some days, and never under a run that has used them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.interleaving import ThreadActor, orders

from cwl_ui_plugin import last_use
from cwl_ui_plugin.cwl.engine import reuse as kept_outputs
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.retention.cached import REUSE

Keep = Callable[..., None]
KEY = "ab" * 32


@pytest.fixture
def entry(folders: Path, age: Keep) -> Path:
    """Outputs that were used 100 days ago."""
    return made(folders, KEY, age)


def made(folders: Path, key: str, age: Keep) -> Path:
    source = folders / "source.txt"
    source.write_text("kept")
    (folders / "reuse").mkdir(exist_ok=True)
    kept_outputs.keep(folders / "reuse", key, {"#out": {"class": "File", "location": source.as_uri()}})
    place = folders / "reuse" / key
    age(100, place)
    return place


def removed() -> list[str]:
    return [item.name for item in REUSE.find() if REUSE.remove(item)]


def used(folders: Path) -> str | None:
    """Use the entry as a task does; return what is in its file then."""
    found = kept_outputs.kept(folders / "reuse", KEY)
    return Path(found["#out"]["location"].removeprefix("file://")).read_text() if found else None


@pytest.fixture(autouse=True)
def nobody_runs(airflow_home: Path) -> None:
    """Runs of other tests in the same database have ended."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun._state.in_(["running", "queued"])).values(_state="success"))


def test_what_nobody_uses_goes(entry: Path, folders: Path) -> None:
    assert removed() == [KEY]
    assert [path.name for path in (folders / "reuse").iterdir()] == [".lock"]
    assert used(folders) is None


def test_what_is_used_stays(entry: Path, folders: Path, keep: Keep) -> None:
    assert used(folders) == "kept"
    assert removed() == []
    keep(reuse=0)
    os.utime(entry, (1, 1))
    assert removed() == []


@pytest.mark.parametrize(("days", "goes"), [(89.9, False), (90.1, True)])
def test_they_are_kept_for_90_days(entry: Path, age: Keep, days: float, goes: bool) -> None:
    age(days, entry)
    assert bool(removed()) == goes


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_run_that_may_still_read_them_keeps_them(
    entry: Path, workflow: str, run_id: str, runs: Any, state: str
) -> None:
    """A run that goes on for longer than entries are kept, or that failed and can be cleared."""
    from datetime import datetime, timedelta, timezone

    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    long_ago = datetime.now(timezone.utc) - timedelta(days=101)
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(run_after=long_ago))
    if state == "running":
        runs.begin_again(run_id)
    else:
        runs.end(run_id, state="failed")
        task = TaskTry(workflow, run_id, "step", -1, 1)
        task.folder.mkdir(parents=True)
        task.lease_file.parent.mkdir(parents=True)
    assert removed() == []
    runs.delete(run_id)
    if state == "running":
        assert removed() == [KEY]


def test_a_run_that_began_later_does_not_keep_them(entry: Path, run_id: str, runs: Any) -> None:
    runs.begin_again(run_id)
    assert removed() == [KEY]


def test_what_was_never_complete_goes_what_is_somebody_elses_stays(folders: Path, age: Keep) -> None:
    place = folders / "reuse"
    half, new, notes = place / f".{KEY}.{'0' * 32}", place / f".{KEY}.{'1' * 32}", place / "notes"
    for folder in (half, new, notes):
        (folder / "files").mkdir(parents=True)
    age(8, half, notes)
    REUSE.sweep()
    assert sorted(path.name for path in place.iterdir()) == sorted([new.name, "notes"])
    age(1000, notes)
    assert removed() == []


@pytest.mark.parametrize("order", orders(["clean"] * 2, ["use"] * 2))
def test_a_task_has_the_whole_entry_or_none(
    order: tuple[str, ...], entry: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaner, task = ThreadActor(removed), ThreadActor(lambda: used(folders))
    cleaner.hold(monkeypatch, last_use, "take_away")
    task.hold(monkeypatch, kept_outputs, "local_paths")
    for name in order:
        (cleaner if name == "clean" else task).step()
    task.step(free=True)
    assert (cleaner.error, task.error) == (None, None)
    assert (task.result, cleaner.result) in ((None, [KEY]), ("kept", []))
    assert entry.exists() == (task.result == "kept")


def test_another_users_lock_is_enough_to_use_an_entry(entry: Path, folders: Path) -> None:
    used(folders)
    os.utime(entry, (1_000_000, 1_000_000))
    for folder in (folders / "reuse").parents:
        folder.chmod(folder.stat().st_mode | 0o11) if folder != Path("/") else None
    (folders / "reuse").chmod(0o755)
    child = os.fork()
    if not child:
        os.setgid(65534)
        os.setuid(65534)
        os._exit(0 if kept_outputs.kept(folders / "reuse", KEY) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_link_in_the_place_of_an_entry_is_no_entry(folders: Path, tmp_path: Path) -> None:
    (folders / "reuse").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/result.json").write_text(json.dumps({}))
    (folders / "reuse" / KEY).symlink_to(tmp_path / "other")
    os.utime(folders / "reuse" / KEY, (0, 0), follow_symlinks=False)
    assert removed() == []
    assert (tmp_path / "other/result.json").exists()
