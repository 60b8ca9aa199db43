"""What is left on a machine without common folders goes; what somebody may use stays."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.relaying import tidying
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone

OLD = time.time() - tidying.OLD_SECONDS - 100


@pytest.fixture
def leave(folders: Path) -> Callable[..., TaskTry]:
    """Leave files of a try, as a task does that was killed: ``leave(run_id, number)``."""

    def made(run_id: str, number: int = 1, *, age: float = OLD) -> TaskTry:
        task = TaskTry("d", run_id, "step", -1, number)
        (task.folder / "out").mkdir(parents=True)
        (task.folder / "out" / "data").write_text("much")
        (task.folder / "stderr.log").write_text("printed")
        let_be(run_folder.run_tmp("d", run_id), age)
        return task

    return made


def let_be(place: Path, when: float) -> None:
    for path in (*place.rglob("*"), place):
        os.utime(path, (when, when))


def tidy(*known: str) -> None:
    tidying.tidy(lambda run: run[1] in known)


def test_what_tasks_have_left_goes_once_it_is_old(leave: Callable[..., TaskTry]) -> None:
    old, new = leave("old"), leave("new", age=time.time())
    let_be(leave("both").folder, OLD)
    second = leave("both", 2, age=OLD)
    os.utime(second.folder / "stderr.log")
    tidy()
    assert not run_folder.run_tmp("d", "old").exists()
    assert (new.folder / "out" / "data").exists()
    assert (second.folder / "out" / "data").exists()
    assert not TaskTry("d", "both", "step", -1, 1).folder.exists()
    let_be(config.tmp_folder() / "d", OLD)
    tidy()
    assert not (config.tmp_folder() / "d").exists()
    assert not old.folder.exists()


def test_what_a_task_may_use_stays(leave: Callable[..., TaskTry]) -> None:
    known, leased = leave("known"), leave("leased")
    control_files.write(leased.lease_file, {"host": "h", "pid": 1, **asdict(leased)})
    tidy("known")
    assert (known.folder / "out" / "data").exists()
    assert (leased.folder / "out" / "data").exists()


def test_the_word_of_a_stop_goes_with_its_run(leave: Callable[..., TaskTry]) -> None:
    for run_id, at in (("old", OLD), ("new", time.time()), ("known", OLD)):
        tombstones.write(Tombstone("d", run_id, "eve", at))
    tidy("known")
    assert sorted(stone.run_id for stone in tombstones.all_of_them()) == ["known", "new"]


def test_no_link_of_a_tool_is_followed(leave: Callable[..., TaskTry], folders: Path) -> None:
    precious = folders / "precious" / "-1" / "1"
    precious.mkdir(parents=True)
    (precious / "file").write_text("mine")
    run = run_folder.run_tmp("d", leave("old").run_id)
    (run / "other").symlink_to(folders / "precious")
    run_folder.run_tmp("d", "away").symlink_to(folders / "precious")
    (config.tmp_folder() / "e").symlink_to(folders / "precious")
    let_be(folders / "precious", OLD)
    tidy()
    assert (precious / "file").read_text() == "mine"


def test_inputs_that_no_task_has_used_for_long_go(folders: Path) -> None:
    folder, now = config.fetched_folder(), time.time()
    names = {"a" * 64: now, "b" * 64: now - tidying.FETCHED_SECONDS - 9, f".{'c' * 64}.{'d' * 32}": 1.0, "notes": 1.0}
    for name, used in names.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(json.dumps(name))
        os.utime(folder / name, (used, used))
    tidy()
    tidy()
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["a" * 64, "notes"]
