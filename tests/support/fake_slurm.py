"""A Slurm and a clock that do what a test says, and the queue before them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cwl_ui_plugin.executors.commands import JobLine, Node
from cwl_ui_plugin.executors.errors import SlurmError, SlurmFull, SlurmRefused, SlurmUnavailable
from cwl_ui_plugin.executors.jobs import Event, Item
from cwl_ui_plugin.executors.needs import Needs
from cwl_ui_plugin.executors.queue import SlurmQueue
from cwl_ui_plugin.executors.spool import Instance


@dataclass
class FakeSlurm:
    """A cluster: what it is told, what it has, and what it answers with."""

    lines: list[JobLine] = field(default_factory=list)
    submitted: list[list[str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    accounting: dict[str, tuple[str, str]] = field(default_factory=dict)
    refusal: SlurmError | None = None
    takes_silently: bool = False
    """It takes what it gives no answer for."""
    is_away: bool = False
    has_accounting: bool = True
    asked: int = 0
    array_size: int = 1001
    cgroups: bool = True
    full_for: str = ""
    """A partition whose limit of jobs is reached."""
    largest_array: int = 1000
    is_deaf: bool = False
    """It cancels nothing, and says so."""

    def submit(self, script: str, arguments: Sequence[str]) -> str:
        self.submitted.append(list(arguments))
        if self.refusal and not self.takes_silently:
            raise self.refusal
        number = str(100 * len(self.submitted))
        options = dict(option[2:].split("=", 1) for option in arguments if "=" in option)
        count = int(options["array"].split("-")[1]) + 1 if "array" in options else 1
        if self.full_for and options.get("partition", "") == self.full_for:
            raise SlurmFull("Slurm takes no more jobs now: AssocMaxSubmitJobLimit")
        if count > self.largest_array:
            raise SlurmRefused(
                "Slurm does not take the job: Batch job submission failed: Invalid job array specification"
            )
        for index in range(count):
            self.lines.append(
                JobLine(
                    number,
                    index,
                    f"{int(number) + index}",
                    "PENDING",
                    "",
                    "p",
                    "Priority",
                    options["comment"],
                    count > 1,
                )
            )
        if self.refusal:
            raise self.refusal
        return number

    def jobs(self) -> list[JobLine]:
        self.asked += 1
        if self.is_away:
            raise SlurmUnavailable("squeue failed: Unable to contact slurm controller (connect failure)")
        return list(self.lines)

    def ended(self, names: Sequence[str]) -> dict[str, tuple[str, str]]:
        return {name: self.accounting[name] for name in names if name in self.accounting}

    def cancel(self, names: Sequence[str], *, only_waiting: bool = False) -> None:
        (self.dropped if only_waiting else self.cancelled).extend(names)
        if self.is_deaf:
            raise SlurmUnavailable("scancel failed: Unable to contact slurm controller (connect failure)")

    def nodes(self) -> list[Node]:
        return [Node("n1", "p", 4, 8000, True)]

    def default_partition(self) -> str:
        return "p"

    def max_array_size(self) -> int:
        return self.array_size

    def ends_all(self) -> bool:
        return self.cgroups

    def become(self, state: str, node: str = "n1", index: int | None = None, reason: str = "None") -> None:
        """Put jobs into a state."""
        self.lines = [
            replace(line, state=state, node=node, reason=reason) if index in (None, line.index) else line
            for line in self.lines
        ]


@dataclass
class Bench:
    """A queue, its Slurm and its clock."""

    slurm: FakeSlurm = field(default_factory=FakeSlurm)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.queue = SlurmQueue(self.slurm, shortest=1.0, longest=20.0, clock=lambda: self.now)  # type: ignore[arg-type]

    def after(self, seconds: float) -> list[Event]:
        """Let time pass, in at most 15 steps; return the news."""
        step = max(1.0, seconds / 15)
        for _ in range(round(seconds / step)):
            self.now += step
            self.queue.round()
        return list(self.queue.events())


def item(map_index: int = -1, try_number: int = 1, **needs: Any) -> Item:
    name = f"00000000-0000-0000-0000-{map_index + 1:06d}{try_number:06d}"
    instance = Instance(name, "d", "r", "align", map_index, try_number)
    return Item(name, instance, json.dumps({"token": "eyJ"}), Needs(**{"ram": 100, **needs}))


def jobs_folder(folders: Path) -> list[str]:
    place = folders / "tmp" / ".control" / "slurm" / "jobs"
    return sorted(path.name for path in place.iterdir()) if place.exists() else []
