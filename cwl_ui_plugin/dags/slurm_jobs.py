"""What the SlurmExecutor tells of its jobs, for pages and stops: files that all machines see.

``.control/slurm/runs/<key>.json`` is there while a run has jobs that have not ended: what each of its tasks waits for,
and in which state the jobs are that run. The executor alone writes it; a scheduler that has died leaves the last word.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files

EXECUTOR = "SlurmExecutor"


@dataclass(frozen=True)
class TaskWait:
    """What a task of a run waits for, for people."""

    task_id: str
    text: str


@dataclass(frozen=True)
class JobState:
    """A job that has begun and not ended: its number and Slurm's word for its state."""

    number: str
    state: str


@dataclass(frozen=True)
class RunJobs:
    """The jobs of a run."""

    dag_id: str
    run_id: str
    waits: tuple[TaskWait, ...] = ()
    states: tuple[JobState, ...] = ()

    def wait_of(self, task_id: str) -> str:
        """Return what a task waits for; "" where nothing is known."""
        return next((wait.text for wait in self.waits if wait.task_id == task_id), "")

    def state_of(self, number: str) -> str:
        """Return the state of a job; "" where nothing is known."""
        return next((job.state for job in self.states if job.number == number), "")


def write(jobs: RunJobs) -> None:
    """Say how the jobs of a run are; raise :class:`OSError`."""
    control_files.write(_path(jobs.dag_id, jobs.run_id), asdict(jobs))


def forget(dag_id: str, run_id: str) -> None:
    """Say that a run has no jobs any more."""
    control_files.remove(_path(dag_id, run_id))


def read(dag_id: str, run_id: str) -> RunJobs | None:
    """Return the jobs of a run, where the executor has told of any."""
    try:
        path = _path(dag_id, run_id)
        found = control_files.read(RunJobs, path)
    except (PermissionError, config.ConfigError):
        return None
    return found if found and (found.dag_id, found.run_id) == (dag_id, run_id) else None


def _path(dag_id: str, run_id: str) -> Path:
    return config.control_folder() / "slurm" / "runs" / f"{control_files.key_of(dag_id, run_id)}.json"
