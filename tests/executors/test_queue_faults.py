"""Whatever Slurm says, or does not: no task is lost, none runs twice, and none keeps others from their turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.fake_slurm import Bench, item, jobs_folder

from cwl_ui_plugin.executors import adoption, doubts, spool
from cwl_ui_plugin.executors.commands import Slurm
from cwl_ui_plugin.executors.errors import SlurmUnavailable
from cwl_ui_plugin.executors.jobs import Event, ours


def in_doubt(bench: Bench, *, taken: bool = False) -> None:
    """Let ``sbatch`` give no answer; ``taken``: Slurm has the job."""
    bench.slurm.refusal, bench.slurm.takes_silently = SlurmUnavailable("no answer", may_have_acted=True), taken


def submitted(events: list[Event]) -> int:
    return len([event for event in events if event.state == "submitted"])


def test_nothing_is_lost_where_something_unforeseen_happens(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def garbage() -> object:
        raise ValueError("invalid literal for int()")

    with monkeypatch.context() as patched:
        patched.setattr(bench.slurm, "nodes", garbage)
        bench.queue.submit([item()])
        assert bench.after(3) == []
        assert bench.queue.waiting_instances()
    assert submitted(bench.after(60)) == 1


def test_who_has_reached_a_limit_keeps_nobody_else_waiting(bench: Bench) -> None:
    bench.slurm.full_for = "small"
    bench.queue.submit(item(index, partition="small") for index in range(4))
    bench.queue.submit([item(10, partition="large"), item(11, partition="large", cpus=2)])
    assert submitted(bench.after(60)) == 2
    bench.slurm.full_for = ""
    assert submitted(bench.after(120)) == 4


def test_arrays_are_as_small_as_the_site_wants_them(bench: Bench) -> None:
    bench.slurm.largest_array = 3
    bench.queue.submit(item(index) for index in range(8))
    events = bench.after(5)
    assert (submitted(events), [event.state for event in events].count("failed")) == (8, 0)
    bench.queue.submit(item(index) for index in range(20, 24))
    before = len(bench.slurm.submitted)
    assert submitted(bench.after(5)) == 4
    assert len(bench.slurm.submitted) == before + 2, "that is not found out each time"


def test_a_task_that_is_handed_over_again_while_its_job_is_in_doubt_has_one_job(bench: Bench) -> None:
    in_doubt(bench)
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    bench.slurm.refusal = None
    bench.queue.submit([one, replace(one, workload="{}")])
    bench.after(10)
    assert len(bench.slurm.submitted) == 1
    assert submitted(bench.after(doubts.DOUBT_SECONDS + 10)) == 1
    assert not any(option.startswith("--array") for options in bench.slurm.submitted for option in options)


@pytest.mark.parametrize("how", ["cancel", "drop"])
def test_what_is_let_go_of_in_doubt_is_cancelled_if_it_is_there(bench: Bench, how: str) -> None:
    in_doubt(bench, taken=True)
    bench.slurm.is_away = True
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    assert [key for key, _id in bench.queue.waiting_instances()] == [one.key], "Airflow is asked whether it wants it"
    getattr(bench.queue, how)(one.key)
    bench.after(2)
    bench.slurm.refusal, bench.slurm.is_away = None, False
    bench.after(30)
    assert "100" in bench.slurm.cancelled + bench.slurm.dropped
    assert len(bench.slurm.submitted) == 1


@pytest.mark.parametrize("how", ["cancel", "drop"])
def test_what_is_let_go_of_in_doubt_is_not_submitted_again(bench: Bench, how: str) -> None:
    in_doubt(bench)
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    getattr(bench.queue, how)(one.key)
    bench.slurm.refusal = None
    bench.after(doubts.DOUBT_SECONDS + 20)
    assert len(bench.slurm.submitted) == 1
    assert bench.queue.is_idle


def test_an_array_in_doubt_whose_first_element_is_forgotten_is_there(bench: Bench) -> None:
    in_doubt(bench, taken=True)
    bench.queue.submit(item(index) for index in range(3))
    bench.slurm.is_away = True
    bench.after(1)
    bench.slurm.lines = bench.slurm.lines[1:]
    bench.slurm.refusal, bench.slurm.is_away = None, False
    bench.after(doubts.DOUBT_SECONDS + 20)
    assert len(bench.slurm.submitted) == 1


def test_a_job_in_doubt_that_has_run_and_is_forgotten_is_not_run_again(bench: Bench, folders: Path) -> None:
    in_doubt(bench, taken=True)
    bench.slurm.is_away = True
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    (name,) = jobs_folder(folders)
    folder = folders / "tmp" / ".control" / "slurm" / "jobs" / name
    (folder / "0.out").touch()
    (folder / "0.end").write_text("0")
    bench.slurm.lines.clear()
    bench.slurm.refusal, bench.slurm.is_away = None, False
    events = bench.after(doubts.DOUBT_SECONDS + 20)
    assert [event.state for event in events] == ["submitted", "success"]
    assert len(bench.slurm.submitted) == 1


def test_one_element_that_is_gone_takes_nothing_from_the_others_when_a_scheduler_begins_anew(
    bench: Bench, folders: Path
) -> None:
    items = [item(index) for index in range(3)]
    bench.queue.submit(items)
    bench.after(1)
    (name,) = jobs_folder(folders)
    bench.slurm.become("FAILED", index=1)
    made = adoption.adopted({one.instance.id: one.key for one in items}, [], ours(bench.slurm.lines))
    assert sorted(job.index for job in made.values()) == [0, 2]
    folder = folders / "tmp" / ".control" / "slurm" / "jobs" / name
    assert sorted(path.name for path in folder.glob("?.json")) == ["0.json", "2.json"], "a late job of 1 does nothing"


def test_a_node_that_is_back_takes_nothing_from_other_elements(bench: Bench, folders: Path) -> None:
    bench.queue.submit(item(index) for index in range(3))
    bench.after(1)
    (name,) = jobs_folder(folders)
    bench.slurm.become("NODE_FAIL", index=0)
    bench.after(5)
    folder = folders / "tmp" / ".control" / "slurm" / "jobs" / name
    (folder / "0.end").write_text("143")
    bench.after(60)
    assert (folder / "1.json").exists()
    bench.slurm.become("COMPLETED", index=1)
    bench.slurm.become("COMPLETED", index=2)
    bench.after(60)
    assert jobs_folder(folders) == []


@pytest.mark.parametrize("how", ["cancel", "drop"])
def test_what_could_not_be_cancelled_is_cancelled_later(bench: Bench, how: str) -> None:
    one = item()
    bench.queue.submit([one])
    bench.after(1)
    bench.slurm.is_deaf = True
    getattr(bench.queue, how)(one.key)
    bench.after(5)
    told = bench.slurm.cancelled if how == "cancel" else bench.slurm.dropped
    assert told == ["100"]
    bench.after(12)
    assert told == ["100", "100"]


def test_a_number_that_is_another_jobs_by_now_is_not_cancelled(bench: Bench) -> None:
    """As where the controller has lost its state, and begins to count anew."""
    one = item()
    bench.queue.submit([one])
    bench.after(2)
    (line,) = bench.slurm.lines
    bench.slurm.lines = [replace(line, comment="somebody else's")]
    bench.after(10)
    bench.queue.cancel(one.key)
    bench.after(30)
    assert bench.slurm.cancelled == []
    bench.slurm.lines = [line]
    bench.after(20)
    assert bench.slurm.cancelled, "it was there all the time"


@pytest.mark.parametrize(
    ("script", "may_have_acted"),
    [
        ("kill -9 $$", True),
        ("echo Welcome to the cluster", True),
        (
            "echo 'sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received' >&2; exit 1",
            True,
        ),
        ("echo 'Unable to contact slurm controller (receive failure)' >&2; exit 1", True),
        ("echo 'Socket timed out on send/recv operation' >&2; exit 1", True),
        ("echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1", False),
    ],
)
def test_a_submission_is_in_doubt_where_slurm_may_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, may_have_acted: bool
) -> None:
    put(tmp_path, monkeypatch, "sbatch", script)
    with pytest.raises(SlurmUnavailable) as raised:
        Slurm().submit("#!/bin/sh", [])
    assert raised.value.may_have_acted is may_have_acted


def put(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_number_of_a_job_is_found_after_what_a_site_greets_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, monkeypatch, "sbatch", "echo Your project has 3 hours left; echo '12;cluster'")
    assert Slurm().submit("#!/bin/sh", []) == "12"


def test_what_is_no_list_of_jobs_is_no_word_that_all_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, monkeypatch, "squeue", "echo '<html>Bad gateway</html>'")
    with pytest.raises(SlurmUnavailable, match="no list of jobs"):
        Slurm().jobs()
    put(tmp_path, monkeypatch, "squeue", "exit 0")
    assert Slurm().jobs() == []


def test_what_can_not_be_asked_now_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each element of a scatter would be a job of its own until the scheduler begins anew."""
    put(tmp_path, monkeypatch, "scontrol", "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1")
    slurm = Slurm()
    with pytest.raises(SlurmUnavailable):
        slurm.max_array_size()
    put(tmp_path, monkeypatch, "scontrol", "echo 'MaxArraySize            = 1001'")
    assert slurm.max_array_size() == 1001


def test_nodes_of_another_shape_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, monkeypatch, "sinfo", "echo 'n1|p|4+|8000+|idle'; echo 'n2|p|2|4000|idle'; echo 'a|b|c|d|e'")
    assert [node.name for node in Slurm().nodes()] == ["n2"]


@pytest.mark.parametrize("name", ["a 'b' $(touch x) `y` \"z\"", "100%j"])
def test_a_folder_may_have_any_name(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import shlex

    from cwl_ui_plugin.executors.needs import Needs

    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / name))
    made = spool.prepare([item().instance], ["{}"])
    assert shlex.split(made.script().splitlines()[1])[-1] == str(made.folder)
    (output,) = (option for option in made.arguments(Needs()) if option.startswith("--output="))
    assert output == f"--output={str(made.folder).replace('%', '%%')}/0.out"


@pytest.mark.parametrize("name", ["AIRFLOW__WEBSERVER__SECRET_KEY", "AIRFLOW__CORE__SQL_ALCHEMY_CONN", "CWL_UI_TOKEN"])
def test_secrets_by_their_former_names_are_kept_from_tasks_too(name: str) -> None:
    assert spool.environment_of_tasks({name: "secret"}) == {}
