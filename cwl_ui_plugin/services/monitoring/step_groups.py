"""The tasks of a run as people think of them: a line for each step, however many tasks and elements it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from cwl_ui_plugin.cwl.task_names import DISPATCHER, GATHERER, helped_task, inputs_task, is_end
from cwl_ui_plugin.services.run_models import StepState

# The first of these that any task instance is in is what is said of all of them.
_WEIGHT = (
    "failed",
    "stopped",
    "running",
    "restarting",
    "up_for_retry",
    "awaiting_input",
    "waits",
    "not_run",
)
ENDED = ("success", "skipped", "failed", "stopped", "not_run", "removed")
_ENDS = {DISPATCHER: "Looking at the inputs", GATHERER: "Delivering the outputs"}
_TOLD_OF_ENDS = ("failed", "up_for_retry")
"""States in which the first and the last task of a workflow say what the run does not."""


@dataclass(frozen=True)
class StepGroup:
    """A task, or all task instances of one; ``first`` is the only one, or the first in the order of elements."""

    task_id: str
    label: str
    state: str
    """As people are told it, see ``run_states``."""
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
    def ended_at(self) -> str | None:
        """When the last of them ended; None until then."""
        ends = [step.ended_at for step in self.members]
        return None if None in ends else max(end for end in ends if end)

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
    def taken_over(self) -> int:
        """How many took their outputs from the run that this one goes on from."""
        return sum(step.taken_over for step in self.members)

    @property
    def reused(self) -> int:
        """How many took their outputs from an earlier run."""
        return sum(step.reused for step in self.members)


@dataclass(frozen=True)
class StepLine:
    """A step of the workflow: its own task, with those that help it, and how deep in subworkflows it is."""

    group: StepGroup
    helpers: tuple[StepGroup, ...] = ()
    depth: int = 0
    state: str = ""
    """Of all tasks of the step, those of its subworkflow included."""
    is_subworkflow: bool = False
    name: str = ""
    """What to call it, if not as its task."""

    @property
    def label(self) -> str:
        """What to call it; what has failed, where that is the first or last task of the workflow."""
        has_failed = is_end(self.group.task_id) and self.state == "failed"
        return self.group.first.subject if has_failed else self.name or self.group.label

    @property
    def failed_helper(self) -> StepState | None:
        """The first task that failed among those that help it."""
        failed = (step for group in self.helpers for step in group.members if step.shown_state == "failed")
        return next((step for step in failed if step.approval is None), None)

    @property
    def approval(self) -> StepState | None:
        """The task that asks somebody before the step."""
        asking = (group.first for group in (*self.helpers, self.group) if group.first.approval)
        return next(asking, None)

    @property
    def started_at(self) -> str | None:
        """When the first of its tasks began."""
        return min((group.started_at for group in (*self.helpers, self.group) if group.started_at), default=None)

    @property
    def ended_at(self) -> str | None:
        """When the last of them ended; None until then."""
        ends = [group.ended_at for group in (*self.helpers, self.group)]
        return None if None in ends else max(end for end in ends if end)

    @property
    def seconds(self) -> float | None:
        """How long its elements took, one after the other; of a subworkflow from its beginning to its end."""
        if not self.is_subworkflow:
            return self.group.seconds if self.state != "not_run" else None
        if self.started_at is None or self.ended_at is None:
            return None
        return (datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.started_at)).total_seconds()

    @property
    def running_since(self) -> str | None:
        """When it began, while it goes on and is not a list of elements."""
        return self.started_at if self.state == "running" and not self.group.is_scattered else None


def group_steps(steps: Sequence[StepState]) -> list[StepGroup]:
    """Return the groups of task instances, in the order in which they are."""
    return [_group(tuple(members)) for _task, members in groupby(steps, key=lambda step: step.task_id)]


def fold(groups: Sequence[StepGroup]) -> list[StepLine]:
    """Return a line for each step: tasks that help it are in it, a subworkflow stands before its steps.

    The first and the last task of the workflow have a line only if they failed, or wait for another try.
    """
    own = {group.task_id: group for group in groups}
    helpers: dict[str, list[StepGroup]] = {}
    places: dict[str, int] = {}
    for place, group in enumerate(groups):
        owner = helped_task(group.task_id)
        owner = owner if owner in own else group.task_id
        places.setdefault(owner, place)
        if owner != group.task_id:
            helpers.setdefault(owner, []).append(group)
    parents = [task_id for task_id in places if inputs_task(task_id) in own]
    shown = [task_id for task_id in sorted(places, key=places.__getitem__) if not _is_untold(own[task_id])]
    return [_line(own[task_id], helpers.get(task_id, []), parents, groups) for task_id in shown]


def state_of_all(states: Iterable[str]) -> str:
    """Return the state that says most about several."""
    found = set(states)
    for state in _WEIGHT:
        if state in found:
            return state
    if "success" in found:
        return "success" if found <= set(ENDED) else "running"
    return next(iter(sorted(found)), "no_status")


def _is_untold(group: StepGroup) -> bool:
    return is_end(group.task_id) and group.state not in _TOLD_OF_ENDS


def _line(
    group: StepGroup, helpers: Sequence[StepGroup], parents: Sequence[str], all_: Sequence[StepGroup]
) -> StepLine:
    task_id = group.task_id
    is_parent = task_id in parents
    inner = [other.state for other in all_ if is_parent and other.task_id.startswith(f"{task_id}.")]
    return StepLine(
        group=group,
        helpers=tuple(helpers),
        depth=sum(task_id.startswith(f"{parent}.") for parent in parents),
        state=state_of_all([group.state, *(helper.state for helper in helpers), *inner]),
        is_subworkflow=is_parent,
        name=_ENDS.get(task_id.rpartition(".")[2], ""),
    )


def _group(members: tuple[StepState, ...]) -> StepGroup:
    counts = Counter(step.shown_state for step in members)
    first = members[0]
    return StepGroup(first.task_id, first.label, state_of_all(counts), members, tuple(counts.most_common()))


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
