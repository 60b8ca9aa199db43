"""What is seen of a step while it runs: when its commands were staged, ran and had their outputs collected.

The engine writes it down; who has spans, metrics or lineage to tell reads it. Importing it costs nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

STAGED, RAN, COLLECTED = "staged", "command", "collected"
MAX_PHASES = 600
"""Of a task: those of 200 commands. A task of many elements has more, of which the first are kept."""


@dataclass(frozen=True)
class Phase:
    """A part of what was done for one command: ``began`` and ``ended`` are seconds since 1970.

    ``element`` names the command's element of a scattered step, where the task runs several.
    """

    name: str
    began: float
    ended: float
    element: str | None = None

    @property
    def seconds(self) -> float:
        """How long it took; never negative, whatever became of the clock meanwhile."""
        return max(0.0, self.ended - self.began)


@dataclass
class Observed:
    """What was seen of one task. Threads of cwltool add to it."""

    phases: list[Phase] = field(default_factory=list)
    command_seconds: list[float] = field(default_factory=list)
    """Of every command, also of those whose phases are too many to keep."""
    reused: int = 0
    """Steps or elements whose outputs were those of an earlier run."""
    not_reused: int = 0
    """Those that were looked for among the outputs of earlier runs, and were not there."""

    def note_phase(self, name: str, began: float, ended: float, element: str | None = None) -> None:
        """Keep a phase that has ended."""
        phase = Phase(name, began, ended, element)
        if name == RAN:
            self.command_seconds.append(phase.seconds)
        if len(self.phases) < MAX_PHASES:
            self.phases.append(phase)

    def note_reuse(self, *, is_found: bool) -> None:
        """Count a step or an element that was looked for among the outputs of earlier runs."""
        if is_found:
            self.reused += 1
        else:
            self.not_reused += 1


class PhaseClock:
    """Notes when a job goes from one phase to the next."""

    def __init__(self, observed: Observed, element: str | None) -> None:
        self._observed = observed
        self._element = element
        self._current: tuple[str, float] | None = None

    def next(self, name: str) -> None:
        """Begin a phase, which ends the one before."""
        self.end()
        self._current = (name, time.time())

    def end(self) -> None:
        """End the current phase."""
        if self._current is not None:
            self._observed.note_phase(*self._current, time.time(), self._element)
        self._current = None
