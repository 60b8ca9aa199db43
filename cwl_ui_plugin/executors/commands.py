"""Slurm's commands: one call for many jobs, with a bound for its time, and an environment that tells nothing.

Their environment is made here, since ``sbatch`` hands it on: Slurm keeps it with the job, so no secret of the
scheduler's may be in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cwl_ui_plugin.executors.errors import SlurmFull, SlurmRefused, SlurmUnavailable

SECONDS = 20.0
MAX_IDS = 500
"""Of jobs in one command."""
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SLURM_CONF", "LD_LIBRARY_PATH", "TZ")
_FIELDS = "%F|%K|%A|%T|%N|%P|%r|%k"
_JOB_ID = re.compile(r"^(\d+)(;\S+)?$", re.MULTILINE)
_NOT_SENT = (
    "connect failure",
    "connection failure",
    "connection refused",
    "no route to host",
    "network is unreachable",
    "standby mode",
)
_REQUEST_LOST = (
    *_NOT_SENT,
    "timed out",
    "unable to contact slurm",
    "connection reset",
    "communication",
    "not responding",
    "zero bytes",
    "unexpected message",
    "message send failure",
    "message receive failure",
    "insane message",
    "broken pipe",
)
"""What is said where no answer has come; the request has, unless it was not sent at all."""
_LIMIT = re.compile(r"\b(?:QOS|Assoc)\w*(?:Max|Min|Grp)\w*")
"""Which limit Slurm's general words about limits are of."""
_FULL = (
    "temporarily unable to accept job",
    "maxsubmitjobs",
    "maxsubmitjobsperuser",
    "job submit limit",
    "maximum job count",
    "resource temporarily unavailable",
)
_CLOCKS = ("rewound credential", "expired credential", "invalid credential", "authentication")
UNSET = ("(null)", "N/A", "n/a", "None", "")


@dataclass(frozen=True)
class JobLine:
    """A job, or an element of an array, as Slurm has it; ``index`` is 0 for what is no array."""

    array_id: str
    index: int
    job_id: str
    state: str
    node: str
    partition: str
    reason: str
    comment: str
    is_array: bool = False

    @property
    def name(self) -> str:
        """What people and ``scancel`` call it: ``12``, or ``12_3``."""
        return f"{self.array_id}_{self.index}" if self.is_array else self.array_id


@dataclass(frozen=True)
class Node:
    """A node: what it has when all of it is free, and whether it answers."""

    name: str
    partition: str
    cpus: int
    ram: int
    answers: bool


class Slurm:
    """The cluster, by its commands."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._configuration: dict[str, str] = {}
        self.has_accounting = True
        """Whether ``sacct`` has answered; where it has not, what a job has left tells of its end."""

    def submit(self, script: str, arguments: Sequence[str]) -> str:
        """Submit a job and return its number.

        Raises:
            SlurmRefused: it is not taken as it is.
            SlurmFull: it is not taken now.
            SlurmUnavailable: Slurm does not answer; with ``may_have_acted`` it may have the job.

        """
        done = self._run(["sbatch", "--parsable", *arguments], script)
        told = list(_JOB_ID.finditer(done.stdout.strip()))
        if done.returncode == 0 and told:
            return told[-1][1]
        if done.returncode <= 0:  # it was killed, or does not speak as sbatch does
            raise SlurmUnavailable(f"sbatch has told no number of a job: {_errors(done)}", may_have_acted=True)
        raise _refusal(_errors(done))

    def jobs(self) -> list[JobLine]:
        """Return all jobs of this user that Slurm still knows, those that ended a moment ago among them."""
        user = f"--user={os.geteuid()}"
        done = self._run(["squeue", "--array", "--noheader", "--states=all", user, f"--format={_FIELDS}"])
        if done.returncode:
            raise SlurmUnavailable(f"squeue failed: {_errors(done)}{_clock_hint(_errors(done))}")
        found = list(parsed(done.stdout))
        if not found and done.stdout.strip():
            raise SlurmUnavailable(f"squeue has printed what is no list of jobs: {_one_line(done.stdout)}")
        return found

    def ended(self, names: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return ``{name: (state, node)}`` of jobs that the accounting knows; nothing where there is none."""
        wanted = ",".join(list(names)[:MAX_IDS])
        if not wanted:
            return {}
        command = ["sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID,State,NodeList"]
        try:
            done = self._run([*command, f"--jobs={wanted}"])
        except SlurmUnavailable:
            self.has_accounting = False
            return {}
        self.has_accounting = done.returncode == 0
        if done.returncode:
            return {}
        rows = (line.split("|") for line in done.stdout.splitlines())
        return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}

    def cancel(self, names: Iterable[str], *, only_waiting: bool = False) -> None:
        """Cancel jobs: SIGTERM, and SIGKILL after Slurm's ``KillWait``. Those that have ended are no error.

        ``only_waiting``: not those that have begun meanwhile.
        """
        wanted = list(names)
        for begin in range(0, len(wanted), MAX_IDS):
            done = self._run(
                ["scancel", *(["--state=PENDING"] if only_waiting else []), *wanted[begin : begin + MAX_IDS]]
            )
            errors = _errors(done)
            if done.returncode and "invalid job id" not in errors.lower() and "already" not in errors.lower():
                raise SlurmUnavailable(f"scancel failed: {errors}")

    def nodes(self) -> list[Node]:
        """Return the nodes, once for each partition that they are in."""
        done = self._run(["sinfo", "--Node", "--noheader", "--format=%N|%R|%c|%m|%T"])
        if done.returncode:
            raise SlurmUnavailable(f"sinfo failed: {_errors(done)}")
        rows = (line.split("|") for line in done.stdout.splitlines())
        return [
            Node(name, partition, int(cpus), int(ram), not state.endswith("*") and "down" not in state.lower())
            for name, partition, cpus, ram, state in (row for row in rows if len(row) == 5)
            if cpus.isdigit() and ram.isdigit()
        ]

    def default_partition(self) -> str:
        """Return the partition of jobs that ask for none; "" where there is none."""
        done = self._run(["sinfo", "--noheader", "--format=%P"])
        names = [line.strip() for line in done.stdout.splitlines()] if not done.returncode else []
        return next((name.rstrip("*") for name in names if name.endswith("*")), "")

    def max_array_size(self) -> int:
        """Return how many elements an array may have; 1 where arrays are switched off."""
        size = self._configured("MaxArraySize")
        return max(1, int(size)) if size.isdigit() else 1

    def ends_all(self) -> bool:
        """Whether no process of a job outlives its end, whatever it did: Slurm follows them by cgroups."""
        try:
            return self._configured("ProctrackType") == "proctrack/cgroup"
        except SlurmUnavailable:
            return False

    def _configured(self, name: str) -> str:
        if not self._configuration:
            done = self._run(["scontrol", "show", "config"])
            if done.returncode:
                raise SlurmUnavailable(f"scontrol failed: {_errors(done)}")
            self._configuration = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", done.stdout, re.MULTILINE))
        return self._configuration.get(name, "")

    def _run(self, command: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        program = shutil.which(command[0])
        if program is None:
            raise SlurmUnavailable(f"There is no {command[0]} on this machine; install Slurm's client, or add to PATH.")
        try:
            return subprocess.run(
                [program, *command[1:]],
                input=text if text is not None else "",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=environment(),
                timeout=self._seconds,
                umask=0o077,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            told = error.stderr.decode("utf-8", "replace") if isinstance(error.stderr, bytes) else error.stderr or ""
            if _has(told, _FULL):
                raise SlurmFull(f"Slurm takes no more jobs now: {_one_line(told)}") from None
            message = f"{command[0]} did not end within {self._seconds:g} seconds. {_one_line(told)}".strip()
            raise SlurmUnavailable(message, may_have_acted=True) from None
        except OSError as error:
            raise SlurmUnavailable(f"{command[0]} can't be started: {error}") from error


def environment() -> dict[str, str]:
    """Return the environment of Slurm's commands, and so of jobs: what is needed to run them, nothing else."""
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C.UTF-8"}


def parsed(text: str) -> Iterator[JobLine]:
    """Yield the jobs in what ``squeue`` has printed; lines of another shape are left out."""
    for line in text.splitlines():
        fields = line.split("|", 7)
        if len(fields) != 8 or not fields[0].isdigit():
            continue
        array_id, index, job_id, state, node, partition, reason, comment = fields
        is_array = index.isdigit()
        yield JobLine(
            array_id=array_id,
            index=int(index) if is_array else 0,
            job_id=job_id,
            state=state,
            node="" if node in UNSET else node,
            partition=partition,
            reason=reason,
            comment=comment,
            is_array=is_array,
        )


def _refusal(errors: str) -> SlurmRefused | SlurmFull | SlurmUnavailable:
    limits = _LIMIT.findall(errors)
    if limits and not any("Submit" in limit for limit in limits):
        return SlurmRefused(f"Slurm does not take the job: {errors}")
    if _has(errors, _FULL):
        return SlurmFull(f"Slurm takes no more jobs now: {errors}")
    if _has(errors, _CLOCKS) or _has(errors, _REQUEST_LOST):
        message = f"Slurm's controller can't be asked: {errors}{_clock_hint(errors)}"
        was_sent = not _has(errors, _CLOCKS) and not _has(errors, _NOT_SENT)
        return SlurmUnavailable(message, may_have_acted=was_sent)
    return SlurmRefused(f"Slurm does not take the job: {errors}")


def _clock_hint(errors: str) -> str:
    return " (are the clocks of this machine and of the controller the same?)" if _has(errors, _CLOCKS) else ""


def _has(text: str, words: Iterable[str]) -> bool:
    return any(word in text.lower() for word in words)


def _errors(done: subprocess.CompletedProcess[str]) -> str:
    return _one_line(done.stderr) or f"{done.args[0]} ended with {done.returncode}"


def _one_line(text: str) -> str:
    lines = (re.sub(r"^\w+: (error: )?", "", line.strip()) for line in text.splitlines())
    return "; ".join(dict.fromkeys(line for line in lines if line))[:500]
