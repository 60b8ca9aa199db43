"""Slurm's commands: what 22.05 has printed, as recorded, and what is made of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cwl_ui_plugin.executors.commands import JobLine, Node, Slurm, environment, parsed
from cwl_ui_plugin.executors.errors import SlurmError, SlurmFull, SlurmRefused, SlurmUnavailable

SQUEUE = """\
10|2|10|PENDING||all|JobArrayTaskLimit|airflow:0123456789ab:00000000000000000000000000000001 d r many
10|0|11|RUNNING|n1|all|None|airflow:0123456789ab:00000000000000000000000000000001 d r many
7|N/A|7|PENDING||short|ReqNodeNotAvail, UnavailableNodes:n2|(null)
9|N/A|9|COMPLETING|n1|all|None|somebody's | own comment
slurm_load_jobs error: Unable to contact slurm controller (connect failure)
"""
# What sbatch of 22.05 says, and what it means for the job.
REFUSALS = {
    "sbatch: error: Memory specification can not be satisfied\n"
    "sbatch: error: Batch job submission failed: Requested node configuration is not available": SlurmRefused,
    "sbatch: error: invalid partition specified: nope\n"
    "sbatch: error: Batch job submission failed: Invalid partition name specified": SlurmRefused,
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination": SlurmRefused,
    "sbatch: error: Batch job submission failed: Invalid feature specification": SlurmRefused,
    "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates "
    "accounting/QOS policy (job submit limit, user's size and/or time limits)": SlurmFull,
    "sbatch: error: QOSMaxCpuPerJobLimit\nsbatch: error: Batch job submission failed: Job violates "
    "accounting/QOS policy (job submit limit, user's size and/or time limits)": SlurmRefused,
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying": SlurmFull,
    "sbatch: error: Batch job submission failed: Resource temporarily unavailable": SlurmFull,
    "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)": (
        SlurmUnavailable
    ),
    "sbatch: error: Batch job submission failed: Invalid authentication credential": SlurmUnavailable,
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of programs that take the places of Slurm's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_jobs_are_read_and_what_is_none_is_left_out() -> None:
    waits, runs, held, ending = parsed(SQUEUE)
    assert (waits.name, waits.index, waits.job_id, waits.state, waits.node) == ("10_2", 2, "10", "PENDING", "")
    assert (runs.name, runs.job_id, runs.node) == ("10_0", "11", "n1")
    assert held == JobLine(
        "7", 0, "7", "PENDING", "", "short", "ReqNodeNotAvail, UnavailableNodes:n2", "(null)", is_array=False
    )
    assert (ending.name, ending.comment) == ("9", "somebody's | own comment")


@pytest.mark.parametrize(("told", "kind"), REFUSALS.items(), ids=range(len(REFUSALS)))
def test_refusals(program: Path, told: str, kind: type[SlurmError]) -> None:
    put(program, "sbatch", f"cat >&2 <<'E'\n{told}\nE\nexit 1")
    with pytest.raises(kind) as raised:
        Slurm().submit("#!/bin/sh", [])
    assert "sbatch:" not in str(raised.value)
    assert getattr(raised.value, "may_have_acted", False) is False


def test_a_submission_without_an_answer_may_have_been_taken(program: Path) -> None:
    put(program, "sbatch", "exec sleep 60")
    with pytest.raises(SlurmUnavailable, match="did not end within") as raised:
        Slurm(seconds=0.2).submit("#!/bin/sh", [])
    assert raised.value.may_have_acted


def test_a_full_queue_that_sbatch_waits_for_is_told(program: Path) -> None:
    put(program, "sbatch", "echo 'sbatch: error: Slurm temporarily unable to accept job' >&2; exec sleep 60")
    with pytest.raises(SlurmFull):
        Slurm(seconds=0.5).submit("#!/bin/sh", [])


def test_a_command_that_is_missing_is_named(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program))
    with pytest.raises(SlurmUnavailable, match="There is no squeue on this machine"):
        Slurm().jobs()


def test_clocks_are_named_where_munge_does_not_believe_them(program: Path) -> None:
    put(program, "squeue", "echo 'slurm_load_jobs error: Rewound credential' >&2; exit 1")
    with pytest.raises(SlurmUnavailable, match="are the clocks of this machine and of the controller the same"):
        Slurm().jobs()


def test_sacct_may_be_missing_or_switched_off(program: Path) -> None:
    slurm = Slurm()
    assert slurm.ended(["1"]) == {}
    assert slurm.has_accounting is False
    put(program, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert slurm.ended(["1"]) == {}
    put(program, "sacct", "echo '12_3|OUT_OF_MEMORY|n1'; echo '13|CANCELLED by 0|None assigned'")
    assert slurm.ended(["12_3", "13"]) == {
        "12_3": ("OUT_OF_MEMORY", "n1"),
        "13": ("CANCELLED by 0", "None assigned"),
    }
    assert slurm.has_accounting is True


def test_jobs_that_are_gone_are_cancelled_already(program: Path) -> None:
    put(program, "scancel", "echo 'scancel: error: Kill job error on job id 9: Invalid job id specified' >&2; exit 1")
    Slurm().cancel(["9"])
    put(program, "scancel", "echo 'scancel: error: Access/permission denied' >&2; exit 1")
    with pytest.raises(SlurmUnavailable, match="denied"):
        Slurm().cancel(["9"])


def test_nodes_and_the_configuration_are_read(program: Path) -> None:
    put(
        program,
        "sinfo",
        'case "$*" in *--Node*) printf "n1|p|4|8000|idle\\nn2|p|2|4000|down*\\n";; *) printf "p*\\nq\\n";; esac',
    )
    put(program, "scontrol", "printf 'MaxArraySize            = 1001\\nProctrackType           = proctrack/cgroup\\n'")
    slurm = Slurm()
    assert slurm.nodes() == [Node("n1", "p", 4, 8000, True), Node("n2", "p", 2, 4000, False)]
    assert (slurm.default_partition(), slurm.max_array_size(), slurm.ends_all()) == ("p", 1001, True)


def test_commands_have_nothing_of_the_scheduler_in_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    found = environment()
    assert "AIRFLOW__API_AUTH__JWT_SECRET" in os.environ
    assert not [name for name in found if name.startswith("AIRFLOW")]
    assert found["SLURM_CONF"] == "/etc/slurm.conf"
