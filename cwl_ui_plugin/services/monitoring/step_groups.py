"""The tasks of a run as people think of them: a line for each step, however many elements it is scattered over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from cwl_ui_plugin.services.models import StepState

# The first of these that any element is in is what is said of all of them.
_WEIGHT = ("failed", "upstream_failed", "running", "up_for_retry", "restarting", "queued", "scheduled", "deferred")
_ENDED = ("success", "skipped", "failed", "upstream_failed", "removed")


@dataclass(frozen=True)
class StepGroup:
    """A task, or all task instances of one; ``first`` is the only one, or the first in the order of elements."""

    task_id: str
    label: str
    state: str
    members: tuple[StepState, ...]
    counts: tuple[tuple[str, int], ...]
    """How many task instances are in which state, the most frequent first."""

    @property
    def first(self) -> StepState:
        """The task instance, or the first of them."""
        return self.members[0]

    @property
    def is_scattered(self) -> bool:
        """Whether the task has elements."""
        return self.first.map_index >= 0

    @property
    def tries(self) -> int:
        """The number of the latest try."""
        return max(step.try_number for step in self.members)

    @property
    def started_at(self) -> str | None:
        """When the first of them began."""
        return min((step.started_at for step in self.members if step.started_at), default=None)

    @property
    def seconds(self) -> float | None:
        """How long they took, one after the other."""
        return _sum(step.seconds for step in self.members)

    @property
    def cpu_seconds(self) -> float | None:
        """The cpu time of all of them."""
        return _sum(step.cpu_seconds for step in self.members)

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most memory that one of them used."""
        return max((step.peak_memory_bytes for step in self.members if step.peak_memory_bytes), default=None)

    @property
    def reused(self) -> int:
        """How many took their outputs from an earlier run."""
        return sum(step.reused for step in self.members)


def group_steps(steps: Sequence[StepState]) -> list[StepGroup]:
    """Return the groups of task instances, in the order in which they are."""
    return [_group(tuple(members)) for _task, members in groupby(steps, key=lambda step: step.task_id)]


def state_of_all(states: Iterable[str]) -> str:
    """Return the state that says most about several."""
    found = set(states)
    for state in _WEIGHT:
        if state in found:
            return state
    if "success" in found and found <= set(_ENDED):
        return "success"
    return "running" if "success" in found else next(iter(sorted(found)), "no_status")


def _group(members: tuple[StepState, ...]) -> StepGroup:
    counts = Counter(step.state for step in members)
    first = members[0]
    return StepGroup(first.task_id, first.label, state_of_all(counts), members, tuple(counts.most_common()))


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
