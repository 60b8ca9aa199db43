"""What can go wrong between Airflow and Slurm; ``str()`` is a message for users.

SlurmError
├── SlurmRefused      Slurm says no to this job, and would say so again
├── SlurmFull         Slurm takes no more jobs now
├── SlurmUnavailable  Slurm does not answer, or not as it should; ``may_have_acted`` where it may have done it anyway
└── NeedsError        what a task asks for in ``executor_config`` can't be said to Slurm
"""

from __future__ import annotations


class SlurmError(Exception):
    """Base of this layer's errors."""


class SlurmRefused(SlurmError):
    """Slurm does not take a job as it is."""


class SlurmFull(SlurmError):
    """Slurm takes no more jobs of this user, account or cluster for now."""


class SlurmUnavailable(SlurmError):
    """A command of Slurm is missing, fails, or does not end in time."""

    def __init__(self, message: str, *, may_have_acted: bool = False) -> None:
        super().__init__(message)
        self.may_have_acted = may_have_acted


class NeedsError(SlurmError):
    """``executor_config["slurm"]`` has something that can't be there."""
