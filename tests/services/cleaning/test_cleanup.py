"""What runs leave behind is cleaned up: commands without a task, and files that nobody will need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl import value_files
from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.machine import this_host
from cwl_ui_plugin.dags.folders import claims, control_files, kept_values, run_folder
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.dags.folders.run_folder import TaskTry, this_installation
from cwl_ui_plugin.dags.stopping import janitor
from cwl_ui_plugin.services.cleaning import cleanup

GONE_PID = 2**22 + 1


@pytest.fixture
def left_try(folders: Path) -> Callable[..., TaskTry]:
    """A try with a file, and with a lease that names a task process: ``left_try(run_id, number, pid)``."""

    def leave(run_id: str, number: int = 1, pid: int | None = None) -> TaskTry:
        task = TaskTry("cleaned", run_id, "step", -1, number)
        (task.folder / "out_1").mkdir(parents=True)
        (task.folder / "stdout.log").write_text("printed")
        task.lease_file.parent.mkdir(parents=True, exist_ok=True)
        if pid:
            lease = {"host": this_host(), "pid": pid, "installation": this_installation(), **asdict(task)}
            task.lease_file.write_text(json.dumps(lease))
        return task

    return leave


@pytest.fixture
def command() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start a process with the mark of a task."""
    started = []

    def start(mark: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, task_processes.TAG_VARIABLE: mark}
        started.append(subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_commands_of_a_killed_task_are_ended_those_of_a_living_one_not(
    left_try: Callable[..., TaskTry], command: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    killed, living = left_try("killed", pid=GONE_PID), left_try("living", pid=os.getpid())
    orphan, working = command(killed.tag), command(living.tag)
    assert janitor.end_abandoned() == 1
    assert orphan.wait(timeout=10) < 0
    assert not killed.lease_file.exists()
    assert working.poll() is None
    assert living.lease_file.exists()


def test_a_new_try_ends_what_a_killed_one_left_and_keeps_only_its_logs(
    left_try: Callable[..., TaskTry], command: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    first = left_try("retried", pid=GONE_PID)
    orphan = command(first.tag)
    second = TaskTry("cleaned", "retried", "step", -1, 2)
    with run_folder.lease(second, grace=1):
        assert orphan.wait(timeout=10) < 0
        assert not (first.folder / "out_1").exists()
        assert (first.folder / "stdout.log").exists()
    assert run_folder.leases("cleaned", "retried") == []


def test_a_new_try_keeps_the_files_of_one_that_succeeded(left_try: Callable[..., TaskTry]) -> None:
    """The task was cleared: what others made of its outputs may still name its files."""
    first = left_try("cleared")
    with run_folder.lease(first, grace=1):
        pass
    with run_folder.lease(TaskTry("cleaned", "cleared", "step", -1, 2), grace=1):
        assert (first.folder / "out_1").exists()


@pytest.mark.parametrize(("age", "is_there"), [(timedelta(days=6), True), (timedelta(days=8), False), (None, True)])
def test_files_of_a_failed_run_are_kept_for_some_days(
    workflow: str, run_id: str, age: timedelta | None, is_there: bool
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    end = datetime.now(timezone.utc) - age if age else None
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(_state="failed", end_date=end))
    folder = run_folder.run_tmp(workflow, run_id)
    folder.mkdir(parents=True)
    control_files.run_control(workflow, run_id).mkdir(parents=True)
    assert cleanup.remove_expired(days=7) == (not is_there)
    assert folder.exists() == is_there


def test_files_of_a_forgotten_run_go_others_in_the_folder_stay(left_try: Callable[..., TaskTry], folders: Path) -> None:
    old, leased = left_try("old"), left_try("leased", pid=os.getpid())
    for task in (old, leased):
        os.utime(task.lease_file.parent, (0, 0))
    new = left_try("new")
    other = folders / "tmp" / "somebody" / "data"
    other.mkdir(parents=True)
    os.utime(other, (0, 0))
    assert cleanup.remove_expired(days=7) == 1
    assert not old.folder.exists()
    assert leased.folder.exists()
    assert new.folder.exists()
    assert other.exists()


def set_state(run_id: str, state: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(state=state))


@pytest.mark.parametrize("state", ["queued", "running", "failed", "success"])
def test_files_of_a_run_go_once_its_success_is_stored(workflow: str, run_id: str, state: str) -> None:
    set_state(run_id, state)
    task = TaskTry(workflow, run_id, "step", -1, 1)
    task.folder.mkdir(parents=True)
    (task.folder / "stdout.log").write_text("printed")
    with run_folder.lease(task, grace=1):
        assert cleanup.remove_succeeded() == 0
    assert cleanup.remove_succeeded() == (state == "success")
    assert task.folder.exists() == (state != "success")
    if state == "success":
        assert (run_folder.kept_logs(workflow, run_id) / "step/-1/1/stdout.log").read_text() == "printed"


@pytest.mark.parametrize("moment", ["before", "logs kept", "half"])
def test_a_removal_that_was_killed_is_gone_on_with(
    workflow: str, run_id: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_state(run_id, "success")
    for number in range(3):
        task = TaskTry(workflow, run_id, "step", number, 1)
        with run_folder.lease(task, grace=1):
            (task.folder / "out").mkdir(parents=True)
            (task.folder / "stdout.log").write_text("printed")
    child = os.fork()
    if not child:
        die_at(moment, monkeypatch)
        cleanup.remove_succeeded()
        os._exit(0)
    assert os.waitpid(child, 0)[1] != 0
    cleanup.remove_succeeded()
    assert not run_folder.run_tmp(workflow, run_id).exists()
    assert len(list(run_folder.kept_logs(workflow, run_id).glob("step/*/1/stdout.log"))) == 3


def die_at(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if moment == "before":
        monkeypatch.setattr(run_folder, "keep_logs", lambda *_run: os._exit(9))
    elif moment == "logs kept":
        monkeypatch.setattr(run_folder, "remove_run_tmp", lambda *_run: os._exit(9))
    else:
        monkeypatch.setattr(os, "rmdir", lambda *_arguments, **_more: os._exit(9))


def test_folders_that_nothing_was_delivered_to_become_free(workflow: str, run_id: str, folders: Path) -> None:
    def claim(name: str, run: str, created: float = 1.0) -> Claim:
        made = Claim(workflow, run, str(folders / "outputs" / name), created)
        claims.take(made, folders / "outputs")
        return made

    kept = [claim("new", "gone", time.time()), claim("full", "gone"), claim("going on", run_id)]
    (folders / "outputs/full/file").mkdir(parents=True)
    claim("empty", "gone")
    (folders / "outputs/empty").mkdir()
    claim("never made", "gone")
    cleanup.release_unused_claims()
    assert {found.folder for found in claims.claims()} & {str(folders / "outputs" / "empty")} == set()
    assert {found.folder for found in kept} <= {found.folder for found in claims.claims()}
    assert str(folders / "outputs/never made") not in {found.folder for found in claims.claims()}


def test_what_comes_back_after_its_removal_is_found(workflow: str, run_id: str, folders: Path) -> None:
    set_state(run_id, "success")
    task = TaskTry(workflow, run_id, "step", -1, 1)
    with run_folder.lease(task, grace=1):
        task.folder.mkdir(parents=True)
    assert cleanup.remove_succeeded() == 1
    other = folders / "tmp" / "somebody" / "data" / "of" / "theirs"
    for folder in (task.folder, other):
        folder.mkdir(parents=True)
        os.utime(folder.parents[2 if folder == task.folder else 1], (0, 0))
    assert cleanup.remove_left_behind(days=7) == 1
    assert not run_folder.run_tmp(workflow, run_id).exists()
    assert other.exists()


def test_what_is_written_during_a_removal_is_removed_by_the_next(
    workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_state(run_id, "success")
    task = TaskTry(workflow, run_id, "step", -1, 1)
    with run_folder.lease(task, grace=1):
        task.folder.mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(run_folder.shutil, "rmtree", lambda *_arguments, **_more: None)
        said: list[str] = []
        patched.setattr(cleanup.log, "warning", lambda text, *values: said.append(text % values))
        for _ in range(2):
            cleanup.remove_succeeded()
    assert task.folder.exists()
    assert len(said) == 1
    assert str(run_folder.run_tmp(workflow, run_id)) in said[0]
    cleanup.remove_succeeded()
    assert not task.folder.exists()


def test_what_a_killed_process_has_left_of_a_large_value_is_removed(workflow: str, run_id: str, folders: Path) -> None:
    known = kept_values.keep(workflow, run_id, lambda file: value_files.write(list(range(1000)), file, 1e6))
    kept = kept_values.place_of(workflow, run_id).path
    for folder in (kept, kept_values.values_folder()):
        for name, age in (("0" * 32, 60), ("1" * 32, cleanup.FORGOTTEN_SECONDS + 60)):
            (folder / f".{name}").write_text("half")
            os.utime(folder / f".{name}", (time.time() - age,) * 2)
    os.utime(kept / known.sha256, (0, 0))
    assert cleanup.forget_values() == 0
    assert sorted(path.name for path in kept.iterdir()) == [f".{'0' * 32}", known.sha256]
    assert [path.name for path in kept_values.values_folder().glob(".*")] == [f".{'0' * 32}"]


def test_large_values_stay_as_long_as_airflow_lists_their_run(workflow: str, run_id: str, folders: Path) -> None:
    def keep(run: tuple[str, str], age: float) -> Path:
        kept_values.keep(*run, lambda file: value_files.write(list(range(1000)), file, 1e6))
        folder = kept_values.place_of(*run).path
        os.utime(folder, (time.time() - age,) * 2)
        return folder

    listed, new = keep((workflow, run_id), 1e6), keep((workflow, "new"), 60)
    gone = keep((workflow, "gone"), cleanup.FORGOTTEN_SECONDS + 60)
    assert cleanup.forget_values() == 1
    assert [folder.exists() for folder in (listed, new, gone)] == [True, True, False]
    linked = gone.with_name("linked")
    linked.symlink_to(folders, target_is_directory=True)
    assert cleanup.forget_values() == 0
    assert folders.is_dir()
