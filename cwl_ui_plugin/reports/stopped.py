"""By whom a run was stopped, as reports say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STOPPED = "stopped"
"""The ``reason`` of a run that was stopped."""


@dataclass(frozen=True)
class Stopped:
    """By whom a run was stopped, and when."""

    user: str
    moment: datetime

    @property
    def text(self) -> str:
        """The same for users."""
        return f"Stopped by {self.user}."
