"""The plan: what is known of a workflow after upload, as plain JSON. Importing it costs nothing.

A compiled workflow is a folder::

    plan.json                     this module's Plan
    step_documents/start.json     workflow inputs: for the first task
    step_documents/step-<n>.json  one step each, n as in Step.document
    step_documents/end.json       workflow outputs: for the last task
    step_documents/step-<n>.start.json, step-<n>.step-<m>.json, step-<n>.end.json
                                  the same for a subworkflow whose steps are tasks, at any depth
    packed.cwl                    the resolved document as one JSON file

Step documents are cwltool's own data (see ``compiling``); only the task that needs one reads it. The URIs of files of
the upload stand in all of these as :data:`SOURCE_TOKEN`, replaced by the real folder when a step document is read. Ids
of processes and parameters are ``cwl:<file>#<name>``: the same wherever the store is.

Stored workflows outlive versions of the plugin. Whoever changes what these files mean counts :data:`FORMAT` up; as long
as the code still reads what an earlier version has written, that one stays in :data:`READABLE_FORMATS`. Either way the
workflows of a store are compiled anew after an upgrade (``library.compilations``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from cwl_ui_plugin.cwl.cwl_types import CwlType
from cwl_ui_plugin.cwl.errors import UnknownFormat
from cwl_ui_plugin.cwl.task_names import approval_task, gather_task, inputs_task, scatter_task

FORMAT = 3
READABLE_FORMATS = (1, 2, 3)
"""Format 1 had its step documents in ``pieces/``, and named them ``piece`` in the plan.

Format 2 did not know what steps ask of the site (``gpus``, ``network``, ``time_limit``, ``profile``), and had inputs
that were written as a mapping in the order of their names.
"""
SOURCE_TOKEN = "cwl-upload:///"  # noqa: S105 - a placeholder in URIs, no secret
PLAN_FILE = "plan.json"
STEP_DOCUMENTS = "step_documents"
PACKED_FILE = "packed.cwl"
START_DOCUMENT = "start"
END_DOCUMENT = "end"
_STEP_DOCUMENTS_OF_FORMAT_1 = "pieces"
JOB_REQUIREMENTS = "cwl:requirements"
"""What a job may bring for a tool besides its inputs; it travels with them."""
_LAYOUT_LENGTH = 8
_INPLACE = "InplaceUpdateRequirement"
_TUPLES = ("upstream", "sources", "outputs", "scatter", "output_sources", "by_element")
CwlObject = dict[str, Any]
"""A CWL document, a job, outputs, or a part of these, as JSON."""


class SecondaryFile(TypedDict):
    """A pattern of secondary files; whether one must be there may be an expression."""

    pattern: str
    required: bool | str | None


class Resources(TypedDict, total=False):
    """What a ResourceRequirement asks for at least: each a number or an expression; ``ram`` in MiB."""

    cores: float | str
    ram: float | str


class FromJob(TypedDict):
    """Where an input of a step comes from: the name of the job's input ("" for none), and its numeric default."""

    input: str
    default: float | None


@dataclass(frozen=True)
class Parameter:
    """An input or output of the workflow.

    ``id`` is the short name that a job uses.
    ``default`` counts only where ``has_default``.
    """

    id: str
    type: CwlType
    label: str | None = None
    doc: str | None = None
    has_default: bool = False
    default: object = None
    format: object = None
    secondary_files: tuple[SecondaryFile, ...] = ()
    extras: dict[str, object] = field(default_factory=dict)
    """Fields of other namespaces, for instance ``{"sd:preview": {...}}``."""
    is_secret: bool = False
    """Whether cwltool:Secrets names it: its value is not shown, nor handed from task to task."""

    @property
    def is_optional(self) -> bool:
        """Whether a job may leave the input out."""
        return self.has_default or self.type == "null" or (isinstance(self.type, list) and "null" in self.type)


@dataclass(frozen=True)
class Approval:
    """Somebody has to agree before a step runs (hint ``cwl-ui:Approval``).

    ``assignees`` are the ids of the users who may, as Airflow has them; none: everybody with the right to. After
    ``timeout`` seconds without an answer ``on_timeout`` is it: ``approve`` or ``reject``.
    """

    message: str = ""
    assignees: tuple[str, ...] = ()
    timeout: float | None = None
    on_timeout: str = "reject"


@dataclass(frozen=True)
class Step:
    """A step of the workflow, and the task that runs it.

    ``upstream`` names the steps (by id) whose outputs it reads. ``outputs`` are the full ids under which its
    outputs are handed on, ``sources`` the full ids that it reads; ``full_id`` is its own. ``tool`` is the class of the
    Process that it runs, ``tool_name`` a short name for people.
    """

    id: str
    full_id: str
    task_id: str
    document: str
    """The name of its step document."""
    tool: str
    tool_name: str
    label: str | None = None
    doc: str | None = None
    upstream: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    scatter: tuple[str, ...] = ()
    scatter_method: str | None = None
    when: str | None = None
    container: str | None = None
    """The image of its DockerRequirement."""
    needs_container: bool = False
    """Whether that is a requirement, not a hint: it can't run without."""
    steps: tuple[Step, ...] = ()
    """The steps of its subworkflow, where these are tasks of their own."""
    output_sources: tuple[str, ...] = ()
    """The full ids that the outputs of that subworkflow are made from."""
    resources: Resources = field(default_factory=Resources)
    by_element: tuple[str, ...] = ()
    """Those of ``sources`` that are lists over which it is scattered, and of which each element reads its own only."""
    resource_inputs: dict[str, FromJob] = field(default_factory=dict)
    """Where inputs that such an expression may name come from."""

    gpus: float = 0
    """Devices of its CUDARequirement; 1 where an expression says how many."""
    network: bool = False
    """Whether it asks for the network (NetworkAccess), or may."""
    time_limit: float | None = None
    """Seconds of its ToolTimeLimit, where that is a number."""
    profile: str = ""
    """What its hint cwl-ui:Execution asks the site's rules for."""
    approval: Approval | None = None

    @property
    def tasks(self) -> list[str]:
        """The ids of its tasks in their order, without those of its subworkflow's steps."""
        before = [approval_task(self.task_id)] if self.approval else []
        if self.steps:
            return [*before, inputs_task(self.task_id), self.task_id]
        if self.scatter:
            return [*before, scatter_task(self.task_id), self.task_id, gather_task(self.task_id)]
        return [*before, self.task_id]

    @property
    def start_document(self) -> str:
        """The step document with the inputs of its subworkflow."""
        return f"{self.document}.{START_DOCUMENT}"

    @property
    def end_document(self) -> str:
        """The step document with the outputs of its subworkflow."""
        return f"{self.document}.{END_DOCUMENT}"


@dataclass(frozen=True)
class Plan:
    """A compiled workflow. ``kind`` is the class of the document; a tool is one step of itself.

    ``steps`` are in an order in which each stands after those that it reads from.
    """

    kind: str
    cwl_version: str
    main: str
    """The main file, relative to the upload, with ``#fragment`` where one was chosen."""
    label: str | None
    doc: str | None
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    steps: tuple[Step, ...]
    output_sources: tuple[str, ...] = ()
    """The full ids that the outputs are made from."""
    namespaces: dict[str, str] = field(default_factory=dict)
    engine: str = ""
    """What compiled it; see :func:`installed_engine`."""
    changes_in_place: bool | None = None
    """Whether a tool may change its inputs in their place; None where an earlier version has not written that down."""
    format: int = FORMAT

    def all_steps(self) -> Iterator[tuple[int, Step]]:
        """Yield every step with its depth, a subworkflow before its steps."""
        return _deep(self.steps, 0)

    def asking(self, task_ids: Collection[str]) -> Plan:
        """Return the plan with somebody asked before these steps, too."""
        return replace(self, steps=_asking(self.steps, task_ids)) if task_ids else self

    @property
    def is_tool(self) -> bool:
        """Whether the document is a tool, not a workflow."""
        return self.kind != "Workflow"

    @property
    def layout(self) -> str:
        """What the tasks of a run and the values between them are called, as a digest.

        A run may go on with another compilation of its version if that is of the same layout.
        """
        text = json.dumps([*map(_layout, self.steps), self.output_sources])
        return hashlib.sha256(text.encode()).hexdigest()[:_LAYOUT_LENGTH]

    def to_json(self) -> str:
        """Return the text of ``plan.json``."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read :meth:`to_json` back, also what an earlier version of the plugin has written.

        Raises:
            UnknownFormat: it is of a format that this version does not read.

        """
        raw = json.loads(text)
        if raw.get("format") not in READABLE_FORMATS:
            raise UnknownFormat(f"The plan of a workflow is of format {raw.get('format')!r}, which is not known here.")
        data = _known(cls, raw)
        data["inputs"] = tuple(_parameter(item) for item in data["inputs"])
        data["outputs"] = tuple(_parameter(item) for item in data["outputs"])
        data["steps"] = tuple(_step(item) for item in data["steps"])
        data["output_sources"] = tuple(data.get("output_sources", ()))
        return cls(**data)


@cache
def installed_engine() -> str:
    """Return the name and version of the engine that compiles here and runs here, without importing it."""
    from importlib.metadata import version

    return f"cwltool {version('cwltool')}"


def read_plan(folder: Path) -> Plan:
    """Read the plan of a compiled workflow's folder; raise :class:`UnknownFormat`."""
    return Plan.from_json((folder / PLAN_FILE).read_text(encoding="utf-8"))


def read_packed(folder: Path) -> dict[str, object]:
    """Read the packed document of a compiled workflow's folder."""
    document: dict[str, object] = json.loads((folder / PACKED_FILE).read_text(encoding="utf-8"))
    return document


@dataclass(frozen=True)
class Traits:
    """What each step has to know of its workflow as a whole: its ``main`` file, and whether tools change inputs."""

    main: str
    changes_in_place: bool


def traits_of(plan: Plan) -> Traits | None:
    """Return the traits of a workflow, as far as its plan tells them."""
    return None if plan.changes_in_place is None else Traits(plan.main, plan.changes_in_place)


def read_traits(folder: Path) -> Traits:
    """Read the traits of a compiled workflow; only where its plan is an earlier version's, the packed document."""
    plan = read_plan(folder)
    return traits_of(plan) or Traits(plan.main, may_change((folder / PACKED_FILE).read_text(encoding="utf-8")))


def may_change(document: str) -> bool:
    """Whether a tool of a packed document, as text, may change its inputs in their place."""
    return _INPLACE in document


class StepDocument(TypedDict, total=False):
    """What a task of one step (or of the inputs, or the outputs) gives to cwltool: ``wf`` or ``tool``, or nothing.

    A workflow has one step or none, and ``sources`` tells the types of what it reads, by full id. ``formats`` are the
    edges of an ontology that ``formats`` has found.
    """

    wf: CwlObject
    tool: CwlObject
    sources: dict[str, CwlObject]
    namespaces: dict[str, str]
    formats: list[list[str]]


def step_document_text(folder: Path, name: str) -> str:
    """Return the text of one step document, with :data:`SOURCE_TOKEN` in it."""
    place = folder / STEP_DOCUMENTS
    if not place.is_dir():
        place = folder / _STEP_DOCUMENTS_OF_FORMAT_1
    return (place / f"{name}.json").read_text(encoding="utf-8")


def read_step_document(folder: Path, name: str, source: Path) -> StepDocument:
    """Read one step document, with the files of the upload at ``source``."""
    text = step_document_text(folder, name)
    document: StepDocument = json.loads(text.replace(SOURCE_TOKEN, source.resolve().as_uri() + "/"))
    return document


def _parameter(data: CwlObject) -> Parameter:
    return Parameter(**{**data, "secondary_files": tuple(data["secondary_files"])})


def _step(data: CwlObject) -> Step:
    if "piece" in data:  # of format 1
        data = {**data, "document": data["piece"]}
    tuples = {key: tuple(data.get(key, ())) for key in _TUPLES}
    steps = tuple(_step(item) for item in data.get("steps", ()))
    asked = data.get("approval")
    approval = Approval(**{**asked, "assignees": tuple(asked["assignees"])}) if asked else None
    return Step(**{**_known(Step, data), **tuples, "steps": steps, "approval": approval})


def _known(kind: type[Plan | Step], data: dict[str, object]) -> dict[str, Any]:
    """Leave out what is no field any more: stored workflows outlive versions of the plugin."""
    return {key: value for key, value in data.items() if key in kind.__dataclass_fields__}


def _layout(step: Step) -> list[object]:
    own = [step.task_id, step.full_id, step.document, step.sources, step.outputs, step.scatter, step.output_sources]
    return [*own, [_layout(inner) for inner in step.steps]]


def _asking(steps: tuple[Step, ...], task_ids: Collection[str]) -> tuple[Step, ...]:
    return tuple(
        replace(
            step,
            approval=step.approval or (Approval() if step.task_id in task_ids else None),
            steps=_asking(step.steps, task_ids),
        )
        for step in steps
    )


def _deep(steps: tuple[Step, ...], depth: int) -> Iterator[tuple[int, Step]]:
    for step in steps:
        yield depth, step
        yield from _deep(step.steps, depth + 1)
