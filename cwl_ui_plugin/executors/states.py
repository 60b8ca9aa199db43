"""States and reasons of Slurm's jobs, and what they are in words. https://slurm.schedmd.com/squeue.html (22.05)."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """How far a job is, as far as the executor cares."""

    WAITS = "waits"
    RUNS = "runs"
    ENDING = "ending"
    """Slurm ends its processes: some may be left."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def has_ended(self) -> bool:
        """Whether nothing of the job runs any more, by Slurm's word."""
        return self in (Phase.SUCCEEDED, Phase.FAILED)


_PHASES = {
    "PENDING": Phase.WAITS,
    "CONFIGURING": Phase.WAITS,
    "REQUEUED": Phase.WAITS,
    "REQUEUE_FED": Phase.WAITS,
    "REQUEUE_HOLD": Phase.WAITS,
    "SPECIAL_EXIT": Phase.WAITS,
    "RESV_DEL_HOLD": Phase.WAITS,
    "RUNNING": Phase.RUNS,
    "SUSPENDED": Phase.RUNS,
    "STOPPED": Phase.RUNS,
    "SIGNALING": Phase.RUNS,
    "RESIZING": Phase.RUNS,
    "STAGE_OUT": Phase.RUNS,
    "COMPLETING": Phase.ENDING,
    "COMPLETED": Phase.SUCCEEDED,
}
_ENDS = {
    "OUT_OF_MEMORY": "it used more memory than it had asked for. Raise ramMin of the tool's ResourceRequirement, "
    "or [cwl] slurm_extra_ram",
    "TIMEOUT": "its time limit is over. Raise the step's ToolTimeLimit, or slurm_time in [cwl] task_rules, if the "
    "partition allows it",
    "NODE_FAIL": "its node has failed, or does not answer Slurm any more",
    "PREEMPTED": "jobs with a higher priority have taken its place",
    "CANCELLED": "somebody has cancelled it, or Slurm could not go on with it",
    "BOOT_FAIL": "its node could not be started",
    "DEADLINE": "its deadline is over",
    "REVOKED": "another cluster has taken it",
    "FAILED": "its process ended with an error",
}
_REASONS = {
    "None": "Slurm's scheduler is about to look at it",
    "Priority": "jobs with a higher priority go first",
    "Resources": "the cores, memory or devices that it asks for are in use",
    "JobArrayTaskLimit": "as many of its array run as may run at a time",
    "ReqNodeNotAvail": "nodes that it needs are down, drained or reserved",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition takes no jobs now",
    "JobHeldAdmin": "an administrator holds it back",
    "JobHeldUser": "somebody holds it back (scontrol release lets it go)",
    "BeginTime": "its time to begin has not come",
    "Licenses": "it waits for a license",
    "Reservation": "it waits for its reservation",
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": "nodes that it "
    "needs are down, drained or reserved",
}
_HOPELESS = {
    "BadConstraints": "no node has what it asks for",
    "PartitionConfig": "no node of the partition has what it asks for",
    "PartitionNodeLimit": "the partition does not allow as many nodes or cores",
    "PartitionTimeLimit": "the partition does not allow so long a time limit",
    "DependencyNeverSatisfied": "what it depends on never comes",
    "InvalidAccount": "the account is not valid",
    "InvalidQOS": "the QOS is not valid",
    "AccountNotAllowed": "the partition does not allow the account",
    "QOSNotAllowed": "the QOS is not allowed for the account or partition",
    "QOSMaxCpuPerJobLimit": "the QOS does not allow as many cores for a job",
    "QOSMaxMemoryPerJob": "the QOS does not allow as much memory for a job",
    "QOSMaxWallDurationPerJobLimit": "the QOS does not allow so long a time limit",
    "AssocMaxCpuPerJobLimit": "the account does not allow as many cores for a job",
    "AssocMaxMemPerJob": "the account does not allow as much memory for a job",
    "AssocMaxWallDurationPerJobLimit": "the account does not allow so long a time limit",
}


def phase_of(state: str) -> Phase:
    """Return the phase of a job; ``state`` is a word of ``squeue`` or ``sacct`` (``CANCELLED by 1000``, ``TIMEOUT+``).

    A word that is not known counts as running, so that nothing is submitted twice.
    """
    word = state.split(" ", 1)[0].rstrip("+")
    return _PHASES.get(word, Phase.FAILED if word in _ENDS else Phase.RUNS)


def end_in_words(job: str, state: str, node: str = "") -> str:
    """Return why a job has ended that did not succeed."""
    word = state.split(" ", 1)[0].rstrip("+")
    where = f" on {node}" if node and node not in ("None", "(null)", "n/a") else ""
    return f"Slurm has ended job {job}{where} as {word}: {_ENDS.get(word, 'see scontrol show job')}."


def reason_in_words(job: str, reason: str, partition: str = "") -> str:
    """Return why a job waits."""
    word = reason.split(",", 1)[0].strip("()")
    text = _HOPELESS.get(word) or _REASONS.get(reason.strip("()")) or _REASONS.get(word)
    shown = reason.strip("()") or "None"
    where = f" for the partition {partition}" if partition else ""
    told = f"Slurm job {job} waits{where}: {shown}"
    return f"{told} ({text})" if text else told


def can_begin(reason: str) -> bool:
    """Whether a job that waits for this may begin without anybody changing it or the cluster's configuration."""
    return reason.split(",", 1)[0].strip("()") not in _HOPELESS
