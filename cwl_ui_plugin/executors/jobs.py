"""Task instances as the queue to Slurm has them: to be submitted, as jobs, and as news for Airflow."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field

from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.executors import spool, states
from cwl_ui_plugin.executors.commands import JobLine
from cwl_ui_plugin.executors.needs import Needs
from cwl_ui_plugin.executors.spool import Instance
from cwl_ui_plugin.executors.states import Phase

Key = Hashable
"""Airflow's key of a task instance."""
Run = tuple[str, str]
Found = dict[tuple[str, int], JobLine]
"""What Slurm has of this Airflow, by submission and index."""
CANCEL, DROP = "cancel", "drop"
CANCEL_AGAIN_SECONDS = 10.0
LOST = "LOST"
"""Instead of a state of Slurm's: nobody knows the job any more."""


@dataclass(frozen=True)
class Item:
    """A task instance that is to be submitted; ``workload`` is JSON, with its token."""

    key: Key
    instance: Instance
    workload: str = field(repr=False)
    needs: Needs

    @property
    def group(self) -> tuple[object, ...]:
        """What is the same of task instances that can be elements of one array."""
        one = self.instance
        alone = one.id if one.map_index < 0 else ""
        return one.dag_id, one.run_id, one.task_id, self.needs, alone


@dataclass
class Job:
    """A job that Slurm has, or had when it was asked last; times are of a clock that only goes forward."""

    key: Key
    instance: Instance
    submission: str
    index: int
    name: str
    number: str = ""
    state: str = "PENDING"
    reason: str = ""
    node: str = ""
    partition: str = ""
    missing_since: float | None = None
    cancelled_at: float | None = None
    let_go: str = ""
    """Airflow does not want it, and is not told of its end: :data:`CANCEL`, or :data:`DROP` where what runs goes on."""
    dropped_at: float | None = None

    @property
    def phase(self) -> Phase:
        """How far it is."""
        return states.phase_of(self.state)

    def is_cancel_due(self, told_at: float | None, now: float) -> bool:
        """Whether Slurm is to be told to cancel it, which it was told last at a time, if ever.

        Not where Slurm does not know it any more: its number may be another job's by now.
        """
        is_time = told_at is None or now - told_at > CANCEL_AGAIN_SECONDS
        return is_time and bool(self.name) and self.missing_since is None

    def take(self, line: JobLine) -> bool:
        """Take over what Slurm says; return whether that is new."""
        before = (self.state, self.reason, self.node)
        self.number, self.name, self.state, self.node = line.job_id, line.name, line.state, line.node
        self.reason, self.partition, self.missing_since = line.reason, line.partition, None
        return before != (self.state, self.reason, self.node)


@dataclass(frozen=True)
class Event:
    """News for Airflow: ``state`` is ``submitted``, ``success`` or ``failed``; ``text`` a job's name, or why."""

    key: Key
    state: str
    text: str = ""


def run_of(instance: Instance) -> Run:
    """Return the run of a task instance."""
    return instance.dag_id, instance.run_id


def ours(lines: list[JobLine]) -> Found:
    """Return those of Slurm's jobs that this Airflow has submitted."""
    return {(name, line.index): line for line in lines if (name := spool.submission_in(line.comment))}


def live(found: Found) -> set[str]:
    """Return the submissions of which something has not ended."""
    return {name for (name, _index), line in found.items() if not states.phase_of(line.state).has_ended}


def doubles(found: Found, known: Iterable[Job], kept: Collection[str]) -> list[Job]:
    """Return what is there besides the jobs that are ``known``, of the same tries; ``kept`` are their submissions."""
    by_id = {job.instance.id: job for job in known}
    made = []
    for name in live(found) - set(kept):
        other = spool.read(name)
        for index, instance in enumerate(other.instances if other else ()):
            job, line = by_id.get(instance.id), found.get((name, index))
            if job is not None and line is not None and not states.phase_of(line.state).has_ended:
                made.append(Job(job.key, instance, name, index, line.name, line.job_id, line.state))
    return made


def news_of_end(job: Job, has_accounting: bool) -> Event:
    """Return what Airflow is told of a job that has ended."""
    if job.phase is Phase.SUCCEEDED:
        return Event(job.key, "success")
    if job.state == LOST:
        missing = "" if has_accounting else " (sacct, which might, does not answer)"
        why = f"Slurm does not know job {job.name} any more{missing}, and the job has left no word."
        return Event(job.key, "failed", why)
    words = spool.last_words(job.submission, job.index)
    told = f" The last that it printed: {words}" if words else ""
    return Event(job.key, "failed", f"{states.end_in_words(job.name, job.state, job.node)}{told}")


def give_back_lease(job: Job) -> None:
    """Remove the lease of a job that has none of its processes left, and could not say so itself."""
    if not job.instance.task.lease_file.exists():
        return
    for lease in run_folder.leases(*run_of(job.instance)):
        if lease.slurm_job and lease.slurm_job == job.number:
            control_files.remove(lease.path)
