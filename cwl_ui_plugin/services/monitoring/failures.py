"""What failed in a run, as people see it: elements that failed of the same are one failure, with their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cwl_ui_plugin.services.run_models import StepState

MAX_NAMED = 20
_SHOWN_OF_COMMAND = 200
"""Characters of a command that the message of a step repeats; see ``cwl.engine.job_recorder``."""


@dataclass(frozen=True)
class Failure:
    """Task instances that failed of the same.

    ``message`` is what they say, without their command, which stands by itself; ``of`` is how many instances the
    task has.
    """

    members: tuple[StepState, ...]
    message: str
    of: int

    @property
    def first(self) -> StepState:
        """The one that is shown for all."""
        return self.members[0]

    @property
    def named(self) -> tuple[StepState, ...]:
        """The elements that are named."""
        return self.members[:MAX_NAMED] if self.first.map_index >= 0 else ()

    @property
    def more(self) -> int:
        """How many are not named."""
        return max(0, len(self.members) - MAX_NAMED)


def failures_of(failed: Iterable[StepState], steps: Iterable[StepState]) -> tuple[Failure, ...]:
    """Return what failed, in the order of the first of each; ``steps`` are all of the run."""
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.task_id] = counts.get(step.task_id, 0) + 1
    groups: dict[tuple[object, ...], list[StepState]] = {}
    for step in failed:
        groups.setdefault((step.task_id, *_kind(step)), []).append(step)
    return tuple(
        Failure(tuple(members), message_of(members[0]), counts.get(members[0].task_id, 1))
        for members in groups.values()
    )


def message_of(step: StepState) -> str:
    """Return the message of a step without the command that it ends in."""
    message = step.error or ""
    if not step.command:
        return message
    command = " ".join(step.command)
    shown = command if len(command) <= _SHOWN_OF_COMMAND else f"{command[:_SHOWN_OF_COMMAND]}…"
    return message.removesuffix(f": {shown}").replace(f": {shown} (", " (")


def _kind(step: StepState) -> Iterator[object]:
    """Yield what is the same of elements that failed of the same: the message and the last line without their names."""
    yield step.exit_code
    yield step.error_kind
    yield _without_names(message_of(step), step)
    lines = (step.stderr or "").strip().splitlines()
    yield _without_names(lines[-1], step) if lines else ""


def _without_names(text: str, step: StepState) -> str:
    names = (f"element {step.map_index}", *sorted((step.element or "").split(", "), key=len, reverse=True))
    for name in names:
        text = text.replace(name, "") if name else text
    return text
