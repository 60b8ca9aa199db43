"""What can go wrong between a task, the agent of its machine and the API server.

RelayError
├── Away       the API server, or the agent, does not answer now
└── Refused    it answers, and says no
"""

from __future__ import annotations


class RelayError(Exception):
    """Base of these errors; ``str()`` is a message for users."""


class Away(RelayError):
    """The API server does not answer, or not now; it is asked again."""


class Refused(RelayError):
    """The API server refuses what was asked; ``size`` is where a log ends that a part does not fit to.

    ``is_ours``: the plugin says so, and not a proxy, or an Airflow that is just starting.
    """

    def __init__(self, status: int, detail: str, size: int | None = None, *, is_ours: bool = True) -> None:
        super().__init__(f"The API server refuses it ({status}): {detail}")
        self.status = status
        self.size = size
        self.is_ours = is_ours
