"""What the services return: frozen, plain, with ``as_json`` where an API answers with it. Times are ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Generic, TypeVar

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
from cwl_ui_plugin.library.store import StoredVersion
from cwl_ui_plugin.reports.removals import Removed

T = TypeVar("T")
FINISHED = ("success", "failed")


def iso(moment: datetime | None) -> str | None:
    """Return a moment as the models have it."""
    return moment.astimezone(timezone.utc).isoformat() if moment else None


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a longer list: ``total`` counts all of it, or as much of it as is looked at, if it is ``cut``."""

    items: tuple[T, ...]
    total: int
    cut: bool = False


@dataclass(frozen=True)
class RecentRun:
    """One of the last runs of a workflow, as much of it as a small bar shows."""

    run_id: str
    state: str
    queued_at: str | None
    seconds: float | None
    """How long it took, or has taken."""


@dataclass(frozen=True)
class WorkflowSummary:
    """A workflow in a list; ``digest`` names its current version, ``recent_runs`` are the last ones, oldest first."""

    dag_id: str
    digest: str
    kind: str
    cwl_version: str
    label: str | None
    steps: int
    filename: str
    uploaded_by: str
    uploaded_at: str
    last_run_id: str | None = None
    last_run_state: str | None = None
    recent_runs: tuple[RecentRun, ...] = ()
    version_count: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class VersionSummary:
    """One version of a workflow."""

    digest: str
    filename: str
    uploaded_by: str
    uploaded_at: str
    is_current: bool


@dataclass(frozen=True)
class Compilation:
    """What a version is compiled to, as seen from here.

    ``state`` is current, outdated (it will be compiled again), compiling, or failed (it needs a new upload); ``engine``
    has made what its runs use now: None if it can't be used. ``message`` says in words what there is to say.
    """

    state: str
    engine: str | None
    message: str = ""
    problems: tuple[Problem, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return {**asdict(self), "problems": [problem.as_json() for problem in self.problems]}


@dataclass(frozen=True)
class WorkflowDetail:
    """Everything about one version of a workflow; ``sources`` are the names of its files."""

    summary: WorkflowSummary
    version: StoredVersion
    plan: Plan
    versions: tuple[VersionSummary, ...]
    sources: tuple[str, ...]
    compilation: Compilation

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return {
            **self.summary.as_json(),
            "main": self.plan.main,
            "doc": self.plan.doc,
            "inputs": [parameter_json(item) for item in self.plan.inputs],
            "outputs": [parameter_json(item) for item in self.plan.outputs],
            "steps": [_step_json(item) for item in self.plan.steps],
            "warnings": [self.compilation.message] if self.compilation.message else [],
            "compilation": self.compilation.as_json(),
            "sources": list(self.sources),
            "versions": [asdict(item) for item in self.versions],
        }

    def alone(self) -> WorkflowDetail:
        """Return it without its runs and the other versions, for somebody who may not see these."""
        summary = replace(self.summary, last_run_id=None, last_run_state=None, recent_runs=(), version_count=1)
        own = tuple(item for item in self.versions if item.digest == self.version.digest)
        return replace(self, summary=summary, versions=own)


@dataclass(frozen=True)
class Excerpt:
    """Lines of a file around ``line``; ``first`` is the number of the first of them."""

    file: str
    line: int
    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Upload:
    """An upload on its way: ``state`` is validating, registering, done or failed; ``message`` says where it is."""

    id: str
    state: str
    message: str
    dag_id: str
    digest: str | None
    user: str
    started_at: str
    seconds: float
    problems: tuple[Problem, ...] = ()
    status: int | None = None
    """The HTTP status that fits the failure."""
    unsupported: bool = False
    excerpts: tuple[Excerpt, ...] = ()
    """The places of the problems in the files that were sent, as far as they can be shown."""
    choices: tuple[str, ...] = ()
    """What can be named as the main document, where the upload failed since several processes could be meant."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed")

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return {**asdict(self), "problems": [problem.as_json() for problem in self.problems]}


@dataclass(frozen=True)
class UploadRights:
    """What the one who uploads may do with a Dag that has the name already; each is asked with a dag_id."""

    may_see: Callable[[str], bool]
    may_change: Callable[[str], bool]


@dataclass(frozen=True)
class RunFilter:
    """Which runs are wanted: ``text`` is in the name of the run or of its workflow, ``user`` in who started it.

    ``since`` and ``until`` are about when a run was queued; what is empty does not matter.
    """

    state: str | None = None
    text: str = ""
    user: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class RunStamp:
    """``text`` changes with every change of a run or of one of its tasks, but not with their heartbeats.

    ``seconds`` is how long the run has been going on, and 0 where it is not.
    """

    text: str
    seconds: float


@dataclass(frozen=True)
class RunSummary:
    """A run in a list; ``progress`` counts to 100."""

    dag_id: str
    run_id: str
    state: str
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

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class StepState:
    """A task of a run: the last try of it. ``state`` is Airflow's, ``no_status`` before Airflow has looked at it.

    ``element`` names what a task instance of a scattered step runs; ``reused`` tells that its outputs are an
    earlier run's. ``error_kind`` is ``permanentFail``,
    ``temporaryFail`` or ``unsupported``.
    """

    task_id: str
    label: str
    map_index: int
    state: str
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
    job: dict[str, Any]
    outputs: dict[str, Any] | None
    version: str | None
    """The digest of the workflow's version that the run uses; None for a Dag that is not from the store."""
    has_signature: bool
    """Whether the conf carries a signature; only ``[cwl] require_signed_conf`` has the first task verify it."""
    signature: RunSignature | None
    """The key whose signature was verified when the run was created; None for a run that was created elsewhere."""
    note: str | None
    removed: tuple[Removed, ...] = ()
    """What of it is gone by an option, although the run is in Airflow's list."""

    @property
    def progress(self) -> int:
        """How far the run is, up to 100."""
        return self.summary.progress

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return {
            **self.summary.as_json(),
            "error": self.error,
            "steps": [asdict(step) for step in self.steps],
            "job": self.job,
            "outputs": self.outputs,
            "version": self.version,
            "has_signature": self.has_signature,
            "signature": asdict(self.signature) if self.signature else None,
            "note": self.note,
            "removed": [asdict(removed) for removed in self.removed],
        }


@dataclass(frozen=True)
class RunSource:
    """What a run was started with. ``job`` is whole; ``secrets`` are the inputs that the workflow says are secret."""

    dag_id: str
    job: dict[str, Any]
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

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class StopProgress:
    """A stop that is going on, for ``seconds`` by now: ``left`` names what is still there."""

    user: str
    seconds: float
    left: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class ReportConnection:
    """Where reports go to. The password is never among it."""

    is_set: bool
    schema: str = "http"
    host: str = ""
    port: int | None = None
    login: str = ""
    has_password: bool = False
    endpoint: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    """Other fields of the Connection's extra; values that may be secret are masked."""
    source: str = ""
    """Where it comes from; empty where it is not set."""
    elsewhere: str = ""
    """The same, unless it is Airflow's database: then it can't be edited here."""


@dataclass(frozen=True)
class KeySetting:
    """A key kept in a Variable, without the key: ``problem`` says why it can't be used."""

    key: str
    is_set: bool
    fingerprint: str | None = None
    algorithm: str = ""
    public_key: str | None = None
    """The public key, which is no secret; None where there is none."""
    problem: str | None = None
    elsewhere: str = ""
    """Where the key or its algorithm comes from, unless it is Airflow's database: then it can't be edited here."""


def parameter_json(item: Parameter) -> dict[str, Any]:
    """Return an input or output for an API's answer."""
    shown = {
        "id": item.id,
        "type": item.type,
        "label": item.label,
        "doc": item.doc,
        "format": item.format,
        "required": not item.is_optional,
        "secondary_files": list(item.secondary_files),
        "extras": item.extras,
    }
    return {**shown, "default": item.default} if item.has_default else shown


def _step_json(item: Step) -> dict[str, Any]:
    names = ("id", "task_id", "label", "doc", "tool", "tool_name", "scatter", "scatter_method", "when", "container")
    return {**{name: getattr(item, name) for name in names}, "upstream": list(item.upstream)}
