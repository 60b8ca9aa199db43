"""What the server answers, typed. ``raw`` has everything that it said, also what later versions say besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

Outputs = dict[str, object]
"""A CWL output object: Files and Directories have a ``location``, and after a download a ``path``."""
State = Literal["queued", "running", "waiting", "success", "failed", "stopped"]
"""How a run is, in the words that the pages have; ``waiting``: for somebody's approval."""
ENDED: tuple[State, ...] = ("success", "failed", "stopped")
M = TypeVar("M", bound="_Answered")


@dataclass(frozen=True)
class _Answered:
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls: type[M], data: Mapping[str, object], **more: object) -> M:
        """Make it of an answer; what the answer does not have is as its field says."""
        names = {item.name for item in fields(cls)} - {"raw"}
        return cls(raw=data, **{**{name: value for name, value in data.items() if name in names}, **more})


@dataclass(frozen=True)
class Workflow(_Answered):
    """A workflow; ``digest`` names its current version."""

    dag_id: str
    digest: str = ""
    kind: str = ""
    label: str | None = None
    doc: str | None = None
    inputs: tuple[Mapping[str, Any], ...] = ()
    outputs: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Upload(_Answered):
    """An upload: ``state`` is validating, registering, done or failed."""

    id: str
    state: str
    message: str
    dag_id: str
    digest: str | None = None


@dataclass(frozen=True)
class Step(_Answered):
    """A task of a run; ``map_index`` is the element of a scattered step, -1 for others."""

    task_id: str
    label: str
    map_index: int
    state: str
    try_number: int = 1
    seconds: float | None = None
    error: str | None = None
    error_kind: str | None = None
    stderr: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Run(_Answered):
    """A run; ``progress`` counts to 100."""

    dag_id: str
    run_id: str
    shown_state: State
    progress: int
    user: str | None = None
    error: str | None = None
    stopped_by: str | None = None
    waits: str | None = None
    outputs: Outputs | None = None
    output_folder: str | None = None
    """Where these are on the server, as a ``file://`` address."""
    steps: tuple[Step, ...] = ()

    @property
    def state(self) -> State:
        """How it is: in words that also say that it was stopped, which Airflow's state does not."""
        return self.shown_state

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.shown_state in ENDED


@dataclass(frozen=True)
class StopReport(_Answered):
    """What a stop has found: ``stopped`` are the tasks that it ended."""

    dag_id: str
    run_id: str
    stopped: tuple[str, ...] = ()
    seconds: float = 0.0
    message: str = ""
    removed: bool = False


@dataclass(frozen=True)
class Batch(_Answered):
    """Many runs from one sheet; ``counts`` says how many rows are in which state."""

    id: str
    dag_id: str
    name: str
    state: str
    total: int
    progress: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether no row is going to change by itself."""
        return self.state in ENDED


@dataclass(frozen=True)
class Result:
    """What a run has delivered: the CWL output object, whose files are in ``folder``."""

    run: Run
    outputs: Outputs
    folder: Path | None


@dataclass(frozen=True)
class Progress:
    """How far something is: ``kind`` is uploading (a workflow), sending, running or fetching (files).

    ``fraction`` is between 0 and 1, as far as it is known; ``message`` says it in words.
    """

    kind: Literal["uploading", "sending", "running", "fetching"]
    message: str
    fraction: float | None = None
    run: Run | None = None


def run_of(data: Mapping[str, Any]) -> Run:
    """Make a run of an answer."""
    steps = tuple(Step.of(step) for step in data.get("steps") or ())
    known = data.get("shown_state") if data.get("shown_state") in get_args(State) else data.get("state")
    return Run.of(data, steps=steps, shown_state=known)
