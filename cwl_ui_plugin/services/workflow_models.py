"""What the services return of workflows, their versions and uploads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.library.catalog import WorkflowFacts
from cwl_ui_plugin.library.versions import StoredVersion


@dataclass(frozen=True)
class RecentRun:
    """One of the last runs of a workflow, as much of it as a small bar shows."""

    run_id: str
    state: str
    queued_at: str | None
    seconds: float | None
    """How long it took, or has taken."""
    is_stopped: bool = False
    """Whether somebody has stopped it, so that it has failed to Airflow."""

    @property
    def told(self) -> str:
        """The state as people are told it."""
        return "stopped" if self.is_stopped else self.state


@dataclass(frozen=True)
class WorkflowSummary(WorkflowFacts):
    """A workflow in a list; ``digest`` names its current version, ``recent_runs`` are the last ones, oldest first."""

    last_run_id: str | None = None
    last_run_state: str | None = None
    recent_runs: tuple[RecentRun, ...] = ()
    version_count: int = 1
    schedule: str | None = None
    """When Airflow starts it by itself, in a few words; for its current version."""

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class VersionSummary:
    """One version of a workflow; ``number`` is its place in the order of upload, 1 for the first."""

    digest: str
    filename: str
    uploaded_by: str
    uploaded_at: str
    is_current: bool
    number: int | None = None


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

    def as_json(self) -> dict[str, object]:
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

    def alone(self) -> WorkflowDetail:
        """Return it without its runs and the other versions, for somebody who may not see these."""
        summary = replace(self.summary, last_run_id=None, last_run_state=None, recent_runs=(), version_count=1)
        own = tuple(item for item in self.versions if item.digest == self.version.digest)
        return replace(self, summary=summary, versions=own)


@dataclass(frozen=True)
class PortLabels:
    """The labels of inputs and of outputs by their ids; those without one are left out."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


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

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return {**asdict(self), "problems": [problem.as_json() for problem in self.problems]}


@dataclass(frozen=True)
class UploadRights:
    """What the one who uploads may do with a Dag that has the name already; each is asked with a dag_id."""

    may_see: Callable[[str], bool]
    may_change: Callable[[str], bool]
