"""Between Airflow and Slurm none is lost and none runs twice: a Slurm and a clock that do what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.fake_slurm import Bench, item, jobs_folder

from cwl_ui_plugin.dags import slurm_jobs
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.executors import adoption, doubts, queue, spool
from cwl_ui_plugin.executors.commands import JobLine
from cwl_ui_plugin.executors.errors import SlurmFull, SlurmRefused, SlurmUnavailable
from cwl_ui_plugin.executors.jobs import Event, Item, Job, ours


def lease_of(one: Item, number: str) -> Path:
    """Write the lease of a task in a job on another machine."""
    run_folder._write_lease(one.instance.task)
    path = one.instance.task.lease_file
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another-1", "slurm_job": number}))
    return path


def test_a_job_from_its_submission_to_its_end(bench: Bench, folders: Path) -> None:
    one = item()
    bench.queue.submit([one])
    assert bench.after(1) == [Event(one.key, "submitted", "100")]
    (name,) = jobs_folder(folders)
    assert f"--comment=airflow:{run_folder.this_installation()}:{name} d r align try 1" in bench.slurm.submitted[0]
    bench.after(2)
    told = slurm_jobs.read("d", "r")
    assert told and told.wait_of("align").startswith("Slurm job 100 waits for the partition p: Priority (")
    bench.slurm.become("RUNNING")
    assert bench.after(25) == []
    told = slurm_jobs.read("d", "r")
    assert told and (told.waits, told.state_of("100")) == ((), "RUNNING")
    bench.slurm.become("COMPLETING")
    assert bench.after(25) == []
    bench.slurm.become("COMPLETED")
    assert bench.after(25) == [Event(one.key, "success")]
    assert (jobs_folder(folders), slurm_jobs.read("d", "r"), bench.queue.is_idle) == ([], None, True)


def test_elements_of_a_scatter_are_one_array_as_long_as_they_ask_for_the_same(bench: Bench) -> None:
    bench.slurm.array_size = 3
    bench.queue.submit([*(item(index) for index in range(4)), item(4, cpus=2), item()])
    news = bench.after(1)
    assert [event.text for event in news] == ["100_0", "100_1", "100_2", "200", "300", "400"]
    assert [option for options in bench.slurm.submitted for option in options if "--array" in option] == ["--array=0-2"]
    bench.slurm.become("COMPLETED", index=1)
    assert [event.key for event in bench.after(3) if event.state == "success"] == [item(1).key]


@pytest.mark.parametrize(
    ("needs", "told"),
    [({"ram": 9000}, "no node of the partition p has more than 8000 MiB"), ({"cpus": 5}, "asks for 5 cores")],
)
def test_what_no_node_has_is_said_at_once(bench: Bench, needs: dict[str, int], told: str) -> None:
    bench.queue.submit([item(**needs)])
    (event,) = bench.after(1)
    assert event.state == "failed"
    assert told in event.text
    assert bench.slurm.submitted == []


def test_what_is_refused_fails_with_slurms_words(bench: Bench, folders: Path) -> None:
    bench.slurm.refusal = SlurmRefused("Slurm does not take the job: Invalid partition name specified")
    bench.queue.submit([item()])
    (event,) = bench.after(1)
    assert (event.state, event.text) == ("failed", "Slurm does not take the job: Invalid partition name specified")
    assert jobs_folder(folders) == []


def test_a_full_queue_is_tried_again_with_smaller_arrays(bench: Bench) -> None:
    bench.slurm.refusal = SlurmFull("Slurm takes no more jobs now: job submit limit")
    bench.queue.submit(item(index) for index in range(8))
    assert bench.after(20) == []
    assert [options[-1] for options in bench.slurm.submitted] == ["--array=0-7", "--array=0-3", "--array=0-1"]
    told = slurm_jobs.read("d", "r")
    assert told and told.wait_of("align") == "Slurm takes no more jobs now: job submit limit"
    bench.slurm.refusal = None
    assert len([event for event in bench.after(60) if event.state == "submitted"]) == 8


def test_slurm_that_is_away_is_waited_for(bench: Bench) -> None:
    one, two = item(0), item(1)
    bench.queue.submit([one])
    bench.after(1)
    bench.slurm.is_away = True
    bench.slurm.refusal = SlurmUnavailable("Slurm's controller can't be asked")
    bench.queue.submit([two])
    assert bench.after(300) == []
    bench.slurm.is_away, bench.slurm.refusal = False, None
    bench.slurm.become("COMPLETED")
    news = bench.after(90)
    assert [(event.key, event.state) for event in news] == [(one.key, "success"), (two.key, "submitted")] or [
        (event.key, event.state) for event in news
    ] == [(two.key, "submitted"), (one.key, "success")]


def test_a_submission_without_an_answer_is_looked_for_and_found(bench: Bench) -> None:
    bench.slurm.refusal, bench.slurm.takes_silently = SlurmUnavailable("no answer", may_have_acted=True), True
    one = item()
    bench.slurm.is_away = True
    bench.queue.submit([one])
    assert bench.after(1) == []
    bench.slurm.refusal, bench.slurm.is_away = None, False
    assert bench.after(60) == [Event(one.key, "submitted", "100")]
    assert len(bench.slurm.submitted) == 1


def test_a_submission_without_an_answer_that_never_came_is_made_again(bench: Bench, folders: Path) -> None:
    bench.slurm.refusal = SlurmUnavailable("no answer", may_have_acted=True)
    bench.queue.submit([item()])
    bench.after(1)
    (first,) = jobs_folder(folders)
    bench.slurm.refusal = None
    bench.after(doubts.DOUBT_SECONDS - 5)
    assert len(bench.slurm.submitted) == 1
    assert [event.state for event in bench.after(20)] == ["submitted"]
    assert len(bench.slurm.submitted) == 2
    assert first not in jobs_folder(folders)  # one that comes late has nothing to run


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("OUT_OF_MEMORY", "Raise ramMin"),
        ("TIMEOUT", "its time limit is over"),
        ("NODE_FAIL", "its node has failed"),
        ("PREEMPTED", "higher priority"),
        ("CANCELLED", "somebody has cancelled it"),
        ("FAILED", "The last that it printed: no space left"),
    ],
)
def test_ends_are_told(bench: Bench, folders: Path, state: str, told: str) -> None:
    bench.queue.submit([item()])
    bench.after(1)
    (name,) = jobs_folder(folders)
    (folders / "tmp" / ".control" / "slurm" / "jobs" / name / "0.out").write_text('{"event": "x"}\nno space left\n')
    bench.slurm.become(state)
    (event,) = bench.after(3)
    assert event.state == "failed"
    assert told in event.text


def test_a_job_that_can_never_begin_is_cancelled_and_said(bench: Bench) -> None:
    bench.queue.submit([item()])
    bench.after(1)
    bench.slurm.become("PENDING", reason="PartitionTimeLimit")
    (event,) = bench.after(3)
    assert "PartitionTimeLimit (the partition does not allow so long a time limit). It can't begin" in event.text
    assert bench.slurm.cancelled == ["100"]
    bench.slurm.become("CANCELLED")
    assert bench.after(5) == []


@pytest.mark.parametrize(
    ("accounting", "code", "state", "told"),
    [
        ({"100": ("COMPLETED", "n1")}, None, "success", ""),
        ({"100": ("TIMEOUT", "n1")}, None, "failed", "as TIMEOUT"),
        ({"100": ("RUNNING", "n1")}, None, "failed", "has left no word"),
        ({}, "0", "success", ""),
        ({}, "1", "failed", "as FAILED"),
        ({}, None, "failed", "Slurm does not know job 100 any more"),
    ],
)
def test_what_slurm_has_forgotten_is_told_by_its_accounting_or_by_what_it_left(
    bench: Bench,
    folders: Path,
    accounting: dict[str, tuple[str, str]],
    code: str | None,
    state: str,
    told: str,
) -> None:
    bench.queue.submit([item()])
    bench.after(2)
    (name,) = jobs_folder(folders)
    if code is not None:
        (folders / "tmp" / ".control" / "slurm" / "jobs" / name / "0.end").write_text(code)
    bench.slurm.lines, bench.slurm.accounting = [], accounting
    assert bench.after(1) == [] or code or accounting
    found = bench.after(queue.LOST_SECONDS + 40)
    ended = found or list(bench.queue.events())
    assert [event.state for event in ended] == [state] or (code or accounting)
    assert all(told in event.text for event in ended)


def test_a_stop_cancels_what_waits_and_what_runs(bench: Bench) -> None:
    bench.slurm.array_size = 2
    bench.queue.submit(item(index) for index in range(2))
    bench.after(1)
    bench.slurm.refusal = SlurmFull("full")
    bench.queue.submit([item(2)])
    bench.after(1)
    order = StopRequest(
        "d", "r", "ada", 0.0, 1.0, has_folder=True, number=stop_orders.new_number(), machine="another-1", uid=0
    )
    stop_orders.write_request(order)
    assert [(event.key, event.state) for event in bench.after(1)] == [(item(2).key, "failed")]
    assert bench.slurm.cancelled == ["100_0", "100_1"]
    bench.after(15)  # Slurm has not done it: it is told again
    assert len(bench.slurm.cancelled) == 4


@pytest.mark.parametrize(
    ("cgroups", "code", "is_left"), [(True, None, False), (False, None, True), (False, "0", False)]
)
def test_the_lease_of_a_job_that_was_killed_goes_once_nothing_can_be_left(
    bench: Bench, folders: Path, cgroups: bool, code: str | None, is_left: bool
) -> None:
    one = item()
    bench.slurm.cgroups = cgroups
    bench.queue.submit([one])
    bench.after(1)
    (name,) = jobs_folder(folders)
    lease = lease_of(one, "100")
    if code is not None:
        (folders / "tmp" / ".control" / "slurm" / "jobs" / name / "0.end").write_text(code)
    bench.slurm.become("OUT_OF_MEMORY")
    bench.after(3)
    assert lease.exists() is is_left


def test_the_lease_of_a_job_whose_node_failed_stays_until_it_says_that_nothing_is_left(
    bench: Bench, folders: Path
) -> None:
    one, other = item(), item(5)
    bench.queue.submit([one])
    bench.after(1)
    (name,) = jobs_folder(folders)
    lease = lease_of(one, "100")
    bench.slurm.become("NODE_FAIL")
    bench.after(3)
    bench.queue.submit([other])
    bench.after(3)
    assert lease.exists()
    (folders / "tmp" / ".control" / "slurm" / "jobs" / name / "0.end").write_text("143")
    bench.after(60)
    assert not lease.exists()


def restarted(bench: Bench, *items: Item, running: Sequence[str] = ()) -> tuple[Bench, dict[str, Job]]:
    """Let another scheduler begin on the same Slurm, and adopt."""
    found = None if bench.slurm.is_away else ours(bench.slurm.lines)
    jobs = adoption.adopted({one.instance.id: one.key for one in items}, running, found)
    later = Bench(bench.slurm, bench.now)
    for job in jobs.values():
        later.queue.adopt(job)
    return later, jobs


def test_another_scheduler_adopts_what_slurm_has(bench: Bench) -> None:
    items = [item(index) for index in range(3)]
    bench.queue.submit(items)
    bench.after(1)
    later, jobs = restarted(bench, *items, item(7))
    assert [job.name for job in jobs.values()] == ["100_0", "100_1", "100_2"]
    bench.slurm.become("COMPLETED")
    assert sorted((event.key, event.state) for event in later.after(3)) == [(one.key, "success") for one in items]
    assert len(bench.slurm.submitted) == 1


def test_what_slurm_has_not_is_given_back_and_can_not_begin_late(bench: Bench, folders: Path) -> None:
    """The scheduler was killed between its files and the answer of sbatch."""
    one = item()
    bench.slurm.refusal = SlurmUnavailable("killed", may_have_acted=True)
    bench.queue.submit([one])
    bench.after(1)
    assert len(jobs_folder(folders)) == 1
    _later, jobs = restarted(bench, one)
    assert (jobs, jobs_folder(folders)) == ({}, [])


def test_what_may_be_there_is_adopted_while_slurm_does_not_answer(bench: Bench) -> None:
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    bench.slurm.is_away = True
    later, jobs = restarted(bench, one)
    assert len(jobs) == 1
    assert later.after(120) == []
    bench.slurm.is_away = False
    bench.slurm.become("COMPLETED")
    assert later.after(30) == [Event(one.key, "success")]


def test_what_ran_and_has_ended_meanwhile_is_adopted_to_say_so(bench: Bench) -> None:
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    bench.slurm.become("OUT_OF_MEMORY")
    later, jobs = restarted(bench, one, running=[one.instance.id])
    assert len(jobs) == 1
    assert "OUT_OF_MEMORY" in later.after(3)[0].text


@pytest.mark.parametrize(("state", "cancelled"), [("PENDING", "200"), ("RUNNING", "100")])
def test_of_two_jobs_of_one_try_one_is_cancelled(bench: Bench, state: str, cancelled: str) -> None:
    """One that was submitted by a scheduler that was killed, and came late; the one that runs stays."""
    one = item()
    made = spool.prepare([one.instance], [one.workload])
    bench.queue.submit([one])
    bench.after(1)
    bench.slurm.lines.append(JobLine("200", 0, "200", state, "n1", "p", "None", made.comment))
    bench.after(3)
    assert set(bench.slurm.cancelled) == {cancelled}


def test_a_try_that_comes_again_waits_for_the_end_of_its_job(bench: Bench) -> None:
    """As after a deferral, which Slurm may be slower to end than Airflow to go on with."""
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    bench.queue.submit([one])
    bench.after(10)
    assert len(bench.slurm.submitted) == 1
    bench.slurm.become("COMPLETED")
    assert [event.state for event in bench.after(30)] == ["success", "submitted"]


def test_slurm_is_asked_less_often_where_nothing_happens(bench: Bench) -> None:
    bench.queue.submit([item()])
    bench.after(10)
    busy = bench.slurm.asked
    bench.after(100)
    assert busy >= 3
    assert bench.slurm.asked - busy <= 8
    bench.slurm.become("RUNNING")
    bench.after(25)
    before = bench.slurm.asked
    bench.after(5)
    assert bench.slurm.asked - before <= 3


@pytest.mark.parametrize("how", ["cancel", "drop"])
def test_what_airflow_lets_go_of_is_cancelled_and_nothing_is_said_of_it(bench: Bench, how: str) -> None:
    one, two = item(0), item(1, cpus=2)
    bench.queue.submit([one])
    bench.after(1)
    bench.slurm.refusal = SlurmFull("full")
    bench.queue.submit([two])
    bench.after(1)
    assert {instance for _key, instance in bench.queue.waiting_instances()} == {one.instance.id, two.instance.id}
    for each in (one, two):
        getattr(bench.queue, how)(each.key)
    bench.after(1)
    bench.slurm.become("CANCELLED")
    assert bench.after(30) == []
    assert (bench.slurm.cancelled, bench.slurm.dropped) == ((["100"], []) if how == "cancel" else ([], ["100"]))
    assert bench.queue.is_idle


def test_files_that_can_not_be_written_are_said_and_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, folders: Path
) -> None:
    real: Callable[..., object] = spool.prepare

    def full(*_arguments: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "prepare", full)
    bench.queue.submit([item()])
    assert bench.after(3) == []
    told = slurm_jobs.read("d", "r")
    assert told and "No space left on device" in told.wait_of("align")
    monkeypatch.setattr(spool, "prepare", real)
    assert [event.state for event in bench.after(10)] == ["submitted"]
