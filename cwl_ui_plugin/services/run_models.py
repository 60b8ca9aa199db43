"""What the services return of runs: of their tasks, outputs and stops."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from cwl_ui_plugin.cwl.task_names import DISPATCHER, GATHERER
from cwl_ui_plugin.reports.removals import Removed
from cwl_ui_plugin.reports.stops import without_stop

STARTERS = {"scheduled": "schedule", "backfill": "backfill", "asset_triggered": "schedule (assets)"}
"""What has started a run that nobody has, by Airflow's type of it."""
WATCHED_FOLDER = "watched folder"
FINISHED = ("success", "failed")
ShownState = Literal["queued", "running", "waiting", "success", "failed", "stopped"]
"""What people are told of a run, see ``monitoring.run_states``; ``waiting``: for somebody's approval."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs are wanted; what is empty does not matter.

    ``state`` is Airflow's, to which stopped runs have failed, or ``stopped`` or ``waiting``; ``shown_state`` is what
    people are told. Each word of ``text`` is in the id, title, tags or note of the run or in the name of its workflow,
    ``tag`` is one of its tags, ``user`` is in who started it, ``since`` and ``until`` are about when it was queued.
    ``run_id`` is the whole of its name; of ``states``, which are Airflow's, it has one; its logical date, or when it
    was queued where it has none, is from ``dated_from`` to ``dated_to``, both included.
    """

    state: str | None = None
    run_id: str | None = None
    states: tuple[str, ...] = ()
    shown_state: str | None = None
    text: str = ""
    tag: str = ""
    user: str = ""
    since: datetime | None = None
    until: datetime | None = None
    dated_from: datetime | None = None
    dated_to: datetime | None = None


@dataclass(frozen=True)
class RunStamp:
    """``text`` changes with every change of a run or of one of its tasks, but not with their heartbeats.

    ``seconds`` is how long the run has been going on, and 0 where it is not; ``waits``: something could go on.
    """

    text: str
    seconds: float
    waits: bool = False


@dataclass(frozen=True)
class RunSummary:
    """A run in a list; ``progress`` counts to 100. ``state`` is Airflow's, ``shown_state`` what people are told.

    ``title`` and ``tags`` are what people call it, ``note`` is Airflow's as it is.
    """

    dag_id: str
    run_id: str
    state: str
    shown_state: ShownState
    progress: int
    user: str | None
    queued_at: str | None
    started_at: str | None
    ended_at: str | None
    logical_date: str | None = None
    reason: str | None = None
    """``stopped`` for a run that failed since somebody has stopped it."""
    stopped_by: str | None = None
    stopped_at: str | None = None
    run_type: str = "manual"
    """Airflow's: what has created it, such as ``manual``, ``scheduled``, ``backfill``, ``asset_triggered``."""
    from_folder: bool = False
    """Whether a set of a watched folder has started it, which is ``manual`` to Airflow."""
    title: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None

    @property
    def name(self) -> str:
        """What to call it: its title, or its id where it has none."""
        return self.title or self.run_id

    @property
    def own_note(self) -> str:
        """What people have written into the note: without the line that a stop writes."""
        return without_stop(self.note)

    @property
    def started_by(self) -> str | None:
        """Who or what has started it, in words; None where nobody knows."""
        what = WATCHED_FOLDER if self.from_folder else STARTERS.get(self.run_type)
        return f"{what} of {self.user}" if what and self.user else what or self.user

    @property
    def has_ended(self) -> bool:
        """Whether the run has succeeded or failed."""
        return self.state in FINISHED

    @property
    def seconds(self) -> float | None:
        """How long the run took; None until it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.started_at)).total_seconds()

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class ApprovalAnswer:
    """What somebody was asked before a step, and said: ``answer`` is ``approved``, ``rejected``, or None until then.

    ``by`` is None where nobody answered in time; ``assignees`` are those who may, none for all with the right to.
    """

    asked_at: str | None
    assignees: tuple[str, ...]
    answer: str | None
    by: str | None
    at: str | None
    reason: str | None


FAILED_AS = {
    DISPATCHER: "The inputs were not accepted",
    GATHERER: "The outputs could not be delivered",
    "scatter": "{}: its scatter elements could not be made",
    "gather": "{}: what its scatter elements made could not be put together",
    "inputs": "{}: its inputs could not be made",
}
"""What has failed, by the last word of a task's id; the step's name is filled in."""


@dataclass(frozen=True)
class StepState:
    """A task of a run: the last try of it. ``state`` is Airflow's, ``no_status`` before Airflow has looked at it.

    ``shown_state`` is what people are told, such as ``stopped``, ``not_run``, ``waits``; ``step`` is what they call the
    step that the task is of, or that it helps.
    ``element`` names what a task instance of a scattered step runs; ``reused`` tells that its outputs are an
    earlier run's. ``error_kind`` is ``permanentFail``,
    ``temporaryFail`` or ``unsupported``.
    """

    task_id: str
    label: str
    map_index: int
    state: str
    shown_state: str
    step: str
    try_number: int
    started_at: str | None
    ended_at: str | None
    seconds: float | None
    error: str | None = None
    error_kind: str | None = None
    stderr: str | None = None
    exit_code: int | None = None
    command: tuple[str, ...] | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    element: str | None = None
    reused: bool = False
    run_seconds: float | None = None
    """How long its commands took, without what Airflow needs around them."""
    asked_cores: float | None = None
    asked_ram: float | None = None
    """Mebibytes; what its commands asked for, as far as that is known."""
    taken_over: bool = False
    """Whether that earlier run is the one that this one goes on from."""
    approval: ApprovalAnswer | None = None
    """Of a task that asks before a step."""

    @property
    def is_waiting_for_approval(self) -> bool:
        """Whether somebody's word is waited for."""
        return self.approval is not None and self.state == "awaiting_input"

    @property
    def subject(self) -> str:
        """What has failed if this has, in words for those who know nothing of our tasks."""
        *_group, name = self.task_id.split(".")
        words = FAILED_AS.get(name)
        return self.label if words is None else words.format(self.step)


@dataclass(frozen=True)
class RunSignature:
    """The key that signed a run, verified when the run was created; a shared secret has no fingerprint."""

    fingerprint: str
    algorithm: str
    verified_at: str | None = None


@dataclass(frozen=True)
class RunDetail:
    """Everything about a run. ``job`` is as it was sent; ``outputs`` is the CWL output object once it is there."""

    summary: RunSummary
    steps: tuple[StepState, ...]
    error: str | None
    job: dict[str, object]
    outputs: dict[str, object] | None
    version: str | None
    """The digest of the workflow's version that the run uses; None for a Dag that is not from the store."""
    has_signature: bool
    """Whether the conf carries a signature; only ``[cwl] require_signed_conf`` has the first task verify it."""
    signature: RunSignature | None
    """The key whose signature was verified when the run was created; None for a run that was created elsewhere."""
    removed: tuple[Removed, ...] = ()
    """What of it is gone by an option, although the run is in Airflow's list."""
    continued_from: str | None = None
    """The failed run that this one takes over from what did not change."""
    wes: object = None
    """What its conf has kept of the request of a WES client, as whoever wrote the conf has written it."""

    @property
    def progress(self) -> int:
        """How far the run is, up to 100."""
        return self.summary.progress

    @property
    def note(self) -> str | None:
        """Airflow's note, as it is."""
        return self.summary.note


@dataclass(frozen=True)
class RunSource:
    """What a run was started with. ``job`` is whole; ``secrets`` are the inputs that the workflow says are secret."""

    dag_id: str
    job: dict[str, object]
    version: str | None
    secrets: frozenset[str]
    user: str | None


@dataclass(frozen=True)
class OutputFile:
    """A file among the outputs of a run; ``path`` is relative to the run's output folder."""

    path: str
    size: int
    output: str
    """The id of the output that it belongs to."""
    checksum: str | None = None
    format: str | None = None


@dataclass(frozen=True)
class StopReport:
    """What a stop found and did: ``stopped`` are the tasks that it set to failed.

    ``user`` is who stopped the run first; empty where nobody did.
    """

    dag_id: str
    run_id: str
    stopped: tuple[str, ...]
    seconds: float
    message: str
    removed: bool = False
    user: str = ""

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class StopProgress:
    """A stop that is going on, for ``seconds`` by now: ``left`` names what is still there."""

    user: str
    seconds: float
    left: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)
