"""What a stop says is left, machine by machine, and when nothing is: a line too few would be a proof that is none."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.dags import slurm_jobs
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.slurm_jobs import RunJobs
from cwl_ui_plugin.dags.stopping import pods, stop_orders
from cwl_ui_plugin.dags.stopping.pods import PodLook
from cwl_ui_plugin.dags.stopping.stop_orders import Reply, TaskProcess
from cwl_ui_plugin.services.stopping import proof as proof_module
from cwl_ui_plugin.services.stopping.proof import StopProof

TASK = TaskTry("d", "r", "align", -1, 1)
GONE_PID = 2**22 + 1
MACHINE = "another boot-1"


@pytest.fixture(autouse=True)
def _short(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "0.1")
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "5")


def write_lease(**changes: object) -> Path:
    """Write the lease of a task whose process is on another machine, unless ``changes`` say otherwise."""
    data = {"host": "worker-7", "machine": MACHINE, "pid": GONE_PID, "installation": run_folder.this_installation()}
    TASK.lease_file.parent.mkdir(parents=True, exist_ok=True)
    TASK.lease_file.write_text(json.dumps({**data, **asdict(TASK), **changes}))
    return TASK.lease_file


def proof(*running: TaskProcess, has_folder: bool = True) -> StopProof:
    return StopProof("d", "r", running, user="ada", has_folder=has_folder)


def be_there(machine: str = MACHINE, *hosts: str) -> None:
    """Let a janitor be on a machine."""
    place = stop_orders._folder() / f"{machine}.janitor"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"hosts": hosts or ["worker-7"]}))


def answer(of: StopProof, *left: str, number: str = "", machine: str = MACHINE, hosts: tuple[str, ...] = ()) -> None:
    """Let a machine answer the order of a stop."""
    stop_orders.write_request(of._order)
    said = Reply(number or of._order.number, machine, hosts, left)
    stop_orders._reply_file(of._order, machine).write_text(json.dumps(asdict(said)))


def test_a_lease_on_another_machine_is_named_and_whether_somebody_answers_there() -> None:
    write_lease()
    begin = f"worker-7: align, pid {GONE_PID}, has not said that its commands are gone"
    assert proof()._look() == [f"{begin}; no worker answers there"]
    be_there()
    assert proof()._look() == [begin]
    assert proof().had_leases


def test_what_a_machine_says_of_itself_is_told_instead_of_its_leases_and_silence_is_no_proof() -> None:
    write_lease()
    be_there()
    looking = proof()
    answer(looking, "worker-7: pid 5 (bwa)")
    assert looking._look() == ["worker-7: pid 5 (bwa)"]
    answer(looking)
    assert "has not said" in looking._look()[0], "its lease is there still"
    answer(looking, "worker-7: pid 5 (bwa)", number="of an earlier order")
    assert "has not said" in looking._look()[0]
    answer(looking, "worker-8: pid 5 (bwa)", machine="yet another boot-1")
    assert len(looking._look()) == 2


def test_a_lease_of_another_user_on_this_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write_lease(host=this_host(), machine=this_machine())
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 4242)
        assert proof()._look() == [f"{this_host()}: align, whose processes belong to another user"]
    assert proof()._look() == []


def test_a_lease_that_can_not_be_read_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lease()

    def refuse(*_arguments: object, **_known: object) -> None:
        raise PermissionError(13, "no", str(path))

    monkeypatch.setattr(run_folder.control_files, "read", refuse)
    (line,) = proof()._look()
    assert line == f"an unknown machine: the lease {path} belongs to another user, and can't be read"


@pytest.mark.parametrize(
    ("looked", "end"),
    [
        (PodLook(has_ended=False), "its pod ns/p is still there"),
        (PodLook(has_ended=False, problem="Kubernetes answered 503"), "Kubernetes answered 503"),
    ],
)
def test_a_pod_is_asked_for(monkeypatch: pytest.MonkeyPatch, looked: PodLook, end: str) -> None:
    write_lease(pod="ns/p")
    monkeypatch.setattr(pods, "look", lambda _pod: looked)
    (line,) = proof()._look()
    assert line.endswith(f"gone; {end}")


def test_a_pod_that_has_ended_is_settled_in_the_same_look(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lease(pod="ns/p")
    monkeypatch.setattr(pods, "look", lambda _pod: PodLook(has_ended=True))
    assert proof()._look() == []
    assert not path.exists()


def test_a_job_of_slurm_is_told_with_its_state() -> None:
    write_lease(slurm_job="77")
    begin = "its Slurm job 77 has been told to end"
    assert proof()._look()[0].endswith(f"{begin}: nothing was heard of it from the SlurmExecutor")
    slurm_jobs.write(RunJobs("d", "r", states=(slurm_jobs.JobState("77", "COMPLETING"),)))
    assert proof()._look()[0].endswith(f"{begin}: Slurm says COMPLETING")


def test_a_task_process_elsewhere_may_start_a_command_until_its_supervisor_has_ended_it() -> None:
    task = TaskProcess("align", "worker-7", GONE_PID, time.time())
    looking = proof(task)
    assert looking._look() == [f"worker-7: pid {GONE_PID} (the task process of align), which may still start a command"]
    looking._began -= 5 + proof_module.SUPERVISOR_MARGIN_SECONDS + 1
    assert looking._look() == []


def test_one_whose_lease_was_seen_is_not_waited_for_once_that_is_gone() -> None:
    task = TaskProcess("align", "worker-7", GONE_PID, time.time())
    path = write_lease()
    looking = proof(task)
    assert "has not said" in looking._look()[0]
    path.unlink()
    assert looking._look() == []


def test_a_janitor_ends_task_processes_and_says_what_is_left_of_them() -> None:
    task = TaskProcess("align", "worker-7", GONE_PID, time.time())
    be_there()
    looking = proof(task)
    looking._began -= 3600
    assert looking._look()[0].endswith("(the task process of align), which is being ended")
    answer(looking, hosts=("other",))
    assert looking._look()[0].endswith("which is being ended")
    answer(looking, hosts=("other", "worker-7"))
    assert looking._look() == []


def test_a_task_process_of_this_machine_is_looked_for_here() -> None:
    alive = TaskProcess("align", this_host(), os.getpid(), time.time())
    assert proof(alive, has_folder=False)._look() == [f"{this_host()}: pid {os.getpid()} (the task process of align)"]
    assert proof(TaskProcess("align", this_host(), GONE_PID, time.time()), has_folder=False)._look() == []


def test_a_run_without_a_folder_has_no_leases() -> None:
    write_lease()
    looking = proof(has_folder=False)
    assert not looking.had_leases
    assert looking._look() == []


def orders_during(looking: StopProof, seconds: float, found: Callable[[int], tuple[TaskProcess, ...]]) -> Any:
    """Wait for a stop; return what is left, and the orders that could be read whenever it asked for more."""
    seen: list[Any] = []

    def new() -> tuple[TaskProcess, ...]:
        seen.append(stop_orders.read_request("d", "r"))
        return found(len(seen))

    return looking.wait(seconds, new), seen


def test_a_stop_is_over_only_when_nothing_is_left_and_nothing_new_is_found() -> None:
    task = TaskProcess("late", this_host(), GONE_PID, time.time())
    looking = proof()
    left, seen = orders_during(looking, 30, lambda number: (task,) if number == 1 else ())
    assert left == ()
    assert [order.tasks for order in seen] == [(), (task,)]
    assert seen[0].number != seen[1].number, "machines have to answer anew"
    assert stop_orders.read_request("d", "r") is None


def test_a_stop_that_takes_too_long_says_what_is_left_once_each_and_withdraws_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_lease()
    monkeypatch.setattr(proof_module, "ASK_AGAIN_SECONDS", 0.0)
    looking = proof()
    left, seen = orders_during(looking, 0.5, lambda _number: ())
    assert len(left) == 1
    assert "no worker answers there" in left[0]
    assert seen[-1].left == left
    assert {order.number for order in seen} == {looking._order.number}
    assert not looking._order.path.exists()


def test_an_order_names_who_stops_and_where() -> None:
    order = proof()._order
    assert (order.user, order.machine, order.uid, order.grace) == ("ada", this_machine(), os.geteuid(), 0.1)
    assert order.has_folder
    assert abs(order.began - time.time()) < 600
