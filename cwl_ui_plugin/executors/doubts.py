"""Submissions of which nobody knows whether Slurm has them: ``sbatch`` gave no answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cwl_ui_plugin.executors import spool
from cwl_ui_plugin.executors.jobs import Found, Item, Key
from cwl_ui_plugin.executors.spool import Submission

DOUBT_SECONDS = 30.0
"""How long Slurm is asked for the jobs of a submission before they count as not there."""


@dataclass(frozen=True)
class Doubt:
    """Such a submission, since when; ``let_go`` has those that Airflow does not want any more, and how."""

    items: list[Item]
    since: float
    let_go: dict[Key, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """What has become of a doubt: a submission with its number in Slurm, which may be unknown (``""``), or none."""

    doubt: Doubt
    made: Submission | None
    number: str = ""


class Doubts:
    """All of them. One thread changes them; others may look."""

    def __init__(self) -> None:
        self._doubts: dict[str, Doubt] = {}

    def __bool__(self) -> bool:
        return bool(self._doubts)

    def add(self, name: str, items: list[Item], since: float) -> None:
        """Note that a submission may be there."""
        self._doubts[name] = Doubt(items, since)

    def names(self) -> Iterable[str]:
        """Return the ids of the submissions."""
        return self._doubts.keys()

    def items(self) -> list[Item]:
        """Return the task instances."""
        return [item for doubt in list(self._doubts.values()) for item in doubt.items]

    def let_go(self, key: Key, how: str) -> None:
        """Note that Airflow does not want a task instance any more: see ``Job.let_go``."""
        for doubt in self._doubts.values():
            if any(item.key == key for item in doubt.items):
                doubt.let_go[key] = how

    def settle(self, found: Found, now: float) -> Iterator[Settled]:
        """Take out those that are no doubts any more, by what Slurm has; what is not there has no folder then.

        Slurm may have forgotten some of an array, or all of it: what has begun has left a file.
        """
        for name, doubt in list(self._doubts.items()):
            number = next((line.array_id for (other, _index), line in found.items() if other == name), None)
            is_over = now - doubt.since > DOUBT_SECONDS
            is_there = number is not None or (is_over and spool.has_begun(name))
            made = spool.read(name) if is_there else None
            if made is None and not is_over:
                continue
            del self._doubts[name]
            if made is None:
                spool.forget(name)
            yield Settled(doubt, made, number or "")
