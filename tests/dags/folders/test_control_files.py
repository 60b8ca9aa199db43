"""Whatever lies in the place of a control file, every reader of it goes on, and believes only what belongs there."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import atomic, config
from cwl_ui_plugin.cwl.containers import task_containers
from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import janitor, run_termination, stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.dags.stopping.tombstones import Begun, StopCheck, Tombstone
from cwl_ui_plugin.services.cleaning import cleanup
from cwl_ui_plugin.services.stopping import stops, tombstone_watch

DAG = f"dag-{uuid.uuid4().hex}"
"""Not that of tests of another process: processes with its mark are ended here."""
TASK = TaskTry(DAG, "run", "step", -1, 1)
OTHER = TaskTry(DAG, "other", "step", -1, 1)
LEASE = {"host": this_host(), "machine": this_machine(), "pid": os.getpid(), **asdict(TASK)}
DEEP = "[" * 100_000 + "]" * 100_000


def order(run_id: str = "run", machine: str = "elsewhere-1") -> StopRequest:
    return StopRequest(DAG, run_id, "ada", 0.0, 0.5, True, "7", machine, 0)


def put(path: Path, what: str, good: dict[str, Any]) -> None:
    """Put something of a kind in the place of a control file that should say what is ``good``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent.parent / "aside"
    if what == "a folder":
        path.mkdir()
    elif what == "a FIFO":
        os.mkfifo(path)
    elif what == "a link":
        aside.write_text(json.dumps(good))
        path.symlink_to(aside)
    elif what == "a link to itself":
        path.symlink_to(path.name)
    elif what == "huge":
        with path.open("w") as file:
            file.truncate(2**40)
    elif what == "not readable":
        path.write_text(json.dumps(good))
        path.chmod(0)
    elif what == "of another user":
        path.write_text(json.dumps(good))
        os.chown(path, 4711, 4711)
    elif what == "not UTF-8":
        path.write_bytes(b'{"dag_id": "\xff"}')
    else:
        path.write_text(TEXTS[what](good))


TEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "truncated": lambda good: json.dumps(good)[:-1],
    "empty": lambda _good: "",
    "a list": lambda _good: "[1]",
    "deep": lambda _good: DEEP,
    "without a field": lambda good: json.dumps({key: value for key, value in good.items() if key != "run_id"}),
    "of wrong types": lambda good: json.dumps({key: {"x": [1]} for key in good}),
    "of other types": lambda good: json.dumps(
        {key: str(value) for key, value in good.items()} | {"tasks": 1, "pid": "1"}
    ),
    "infinite": lambda good: json.dumps({**good, "began": float("inf"), "at": float("nan"), "pid": 10**400}),
    "half a character": lambda good: json.dumps({**good, "user": "\ud800", "host": "\ud800"}),
    "of another run": lambda good: json.dumps({**good, "run_id": "other"}),
    "of another Dag": lambda good: json.dumps({**good, "dag_id": "other"}),
}
KINDS = [*TEXTS, "a folder", "a FIFO", "a link", "a link to itself", "huge", "not UTF-8", "of another user"]


@pytest.fixture(params=KINDS)
def bad(request: pytest.FixtureRequest, folders: Path) -> str:
    """A kind of content that no control file should have."""
    if request.param == "of another user" and os.geteuid():
        pytest.skip("only root can give a file to another user")
    config.control_folder()
    return str(request.param)


def test_no_reader_of_leases_fails_or_believes_it(bad: str) -> None:
    put(TASK.lease_file, bad, LEASE)
    assert run_folder.leases(DAG, "run") == []
    assert list(run_folder.all_leases()) == []
    assert not janitor._has_leases()
    assert janitor.end_abandoned() == 0
    assert run_termination.RunEnding(DAG, "run", 0.1, has_folder=True).look() == []
    run_folder.end_earlier_tries(TaskTry(DAG, "run", "step", -1, 2), 0.1)
    assert cleanup.remove_expired(0) >= 0


def test_no_reader_of_orders_fails_or_believes_it(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = order()
    put(given.path, bad, asdict(given))
    assert stop_orders.read_request(DAG, "run") is None
    assert stop_orders.read_request(DAG, "other") is None
    assert stop_orders.orders() == []
    assert not stop_orders.is_followed_here(DAG, "run")
    assert stops.progress(DAG, "run") is None
    followed: list[StopRequest] = []
    monkeypatch.setattr(janitor, "follow", lambda order, _hosts: followed.append(order))
    keeper = janitor.Janitor((this_host(),))
    keeper.round()
    assert (followed, keeper._following) == ([], {})


def test_no_reader_of_replies_and_janitors_fails_or_believes_it(bad: str) -> None:
    given = order()
    stop_orders.write_request(given)
    answer = stop_orders._reply_file(given, "m1")
    put(answer, bad, {"number": "7", "machine": "m1", "hosts": ["h"], "left": [], "run_id": "", "dag_id": ""})
    put(given.path.with_name(f"{this_machine()}.janitor"), bad, {"hosts": [this_host()], "run_id": "", "dag_id": ""})
    believable = ("without a field", "of another run", "of another Dag", "infinite", "half a character")
    if bad not in believable:  # these touch fields that a reply does not have
        assert stop_orders.replies(given) == []
        assert not stop_orders.has_janitor(host=this_host())
    stop_orders.forget_old_janitors()
    if bad != "a folder":
        stop_orders.announce_janitor((this_host(),))
        assert stop_orders.has_janitor(host=this_host())


def test_no_reader_of_tombstones_fails_and_nothing_starts_that_may_be_stopped(bad: str) -> None:
    stone = Tombstone(DAG, "run", "ada", 1.0)
    put(stone.path, bad, asdict(stone))
    put(tombstones._mark(DAG, "run"), bad, {"dag_id": DAG, "run_id": "run"})
    assert tombstones.find(DAG, "run") is None
    assert list(tombstones.all_of_them()) == []
    tombstone_watch.StopWatch()()
    tombstone_watch.remove_tombstones(0)
    error = StopCheck(DAG, "run", Begun(datetime.now(timezone.utc), 0, "0")).found()
    assert error is not None
    assert str(stone.path) in error.message


def test_a_file_that_this_user_may_not_read_is_of_an_unknown_machine(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TASK.lease_file.parent.mkdir(parents=True)
    TASK.lease_file.write_text(json.dumps(LEASE))

    def refuse(_path: Path, *_arguments: int) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(control_files, "read_small", refuse)
    assert [lease.host for lease in run_folder.leases(DAG, "run")] == [run_folder.UNKNOWN_HOST]
    assert janitor.end_abandoned() == 0
    assert stop_orders.orders() == []
    assert tombstones.find(DAG, "run") is None


def test_an_administrator_may_let_a_group_write(folders: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file to another user")
    config.control_folder().chmod(0o770)
    TASK.lease_file.parent.mkdir(parents=True)
    TASK.lease_file.write_text(json.dumps(LEASE))
    os.chown(TASK.lease_file, 4711, 4711)
    assert [lease.pid for lease in run_folder.leases(DAG, "run")] == [os.getpid()]


@pytest.mark.parametrize("pid", [0, -1, 2**31, 10**30])
def test_a_lease_with_a_number_that_no_process_has_is_none(folders: Path, pid: int) -> None:
    TASK.lease_file.parent.mkdir(parents=True)
    TASK.lease_file.write_text(json.dumps({**LEASE, "pid": pid}))
    assert run_folder.leases(DAG, "run") == []


def test_names_that_could_lead_elsewhere_name_folders_of_their_own(folders: Path) -> None:
    kept = config.tmp_folder() / "kept"
    kept.mkdir(parents=True)
    config.control_folder()
    for dag_id in ("..", ".", ".control", ".logs", "a%2Fb", "%2E.", DAG):
        for run_id in ("..", ".", "leases", "a:b+c~1"):
            place = run_folder.run_tmp(dag_id, run_id)
            assert place.parent.parent == config.tmp_folder()
            assert not place.parent.name.startswith(".")
            assert (control_files.named_by(place.parent.name), control_files.named_by(place.name)) == (dag_id, run_id)
            run_folder.remove_run_tmp(dag_id, run_id)
    assert kept.exists()
    assert (
        run_folder.run_tmp("my-dag.1", "manual__2026-01-01T00:00:00+00:00").name == "manual__2026-01-01T00:00:00+00:00"
    )


def test_a_lease_of_the_longest_names_can_be_written(folders: Path) -> None:
    task = TaskTry("d" * 250, "r" * 250, "t" * 250, 1000, 10)
    with run_folder.lease(task, grace=1):
        assert [lease.task_id for lease in run_folder.leases(task.dag_id, task.run_id)] == [task.task_id]
    assert run_folder.leases(task.dag_id, task.run_id) == []


def test_a_lease_is_written_although_its_empty_folder_is_being_removed(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_there, removed = atomic.write_bytes, []

    def remove_first(path: Path, content: bytes, **options: Any) -> None:
        if not removed:
            control_files.forget_run(DAG, "run")
            removed.append(path)
        put_there(path, content, **options)

    monkeypatch.setattr(atomic, "write_bytes", remove_first)
    with run_folder.lease(TASK, grace=1):
        assert [lease.task_id for lease in run_folder.leases(DAG, "run")] == ["step"]
    assert removed


@pytest.mark.parametrize("content", ["/bin/sh -c", "no-engine", "docker\0", "x" * 5000])
def test_no_other_program_is_asked_for_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    asked: list[str] = []

    def ask(program: str, *words: str, seconds: float) -> subprocess.CompletedProcess[str]:
        asked.append(program)
        return subprocess.CompletedProcess(words, 0, stdout="")

    monkeypatch.setattr(task_containers, "_ask", ask)
    (tmp_path / task_containers.ENGINE_FILE).write_text(content)
    os.mkfifo(tmp_path / f"{task_containers.CID_PREFIX}-1.cid")
    assert task_containers.end_containers(tmp_path, "mark") == []
    assert asked == []
    (tmp_path / task_containers.ENGINE_FILE).write_text("docker")
    (tmp_path / f"{task_containers.CID_PREFIX}-2.cid").write_text("--all")
    assert task_containers.end_containers(tmp_path, "mark") == []
    assert set(asked) == {"docker"}
