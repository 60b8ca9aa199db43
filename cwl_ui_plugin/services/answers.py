"""What APIs answer where that is more than a model as it is: each answer is defined once, here, and made here.

The REST API's OpenAPI document is made from these classes, too (``api.schemas``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import NotRequired, TypedDict

from cwl_ui_plugin.cwl.plan import Parameter, Step
from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.reports.removals import Removed
from cwl_ui_plugin.services import run_models, workflow_models

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class WorkflowParameter(TypedDict):
    """An input or output of a workflow; ``default`` is there if there is one."""

    id: str
    type: object
    label: str | None
    doc: str | None
    format: object
    required: bool
    secondary_files: list[object]
    extras: dict[str, object]
    default: NotRequired[object]


@dataclass(frozen=True)
class WorkflowStep:
    """A step of a workflow."""

    id: str
    task_id: str
    label: str | None
    doc: str | None
    tool: str
    tool_name: str
    scatter: tuple[str, ...]
    scatter_method: str | None
    when: str | None
    container: str | None
    upstream: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Workflow(workflow_models.WorkflowSummary):
    """Everything about one version of a workflow."""

    main: str
    doc: str | None
    inputs: list[WorkflowParameter]
    outputs: list[WorkflowParameter]
    steps: list[WorkflowStep]  # type: ignore[assignment]  # a summary only counts them
    warnings: list[str]
    compilation: workflow_models.Compilation
    sources: tuple[str, ...]
    origin: Origin | None
    """Where the version came from, if it was no user's file."""
    versions: tuple[workflow_models.VersionSummary, ...]


@dataclass(frozen=True, kw_only=True)
class Run(run_models.RunSummary):
    """Everything about a run."""

    error: str | None
    steps: tuple[run_models.StepState, ...]
    job: dict[str, object]
    outputs: dict[str, object] | None
    output_folder: str | None
    """Where they are, as a URI; None where there are none."""
    version: str | None
    has_signature: bool
    signature: run_models.RunSignature | None
    removed: tuple[Removed, ...]
    waits: str | None
    """What the run waits for, where nothing of it runs: in words."""
    waiting_tasks: dict[str, str]
    """What tasks wait for, by their ids."""
    continued_from: str | None


def workflow_json(detail: workflow_models.WorkflowDetail) -> dict[str, object]:
    """Return a workflow as a :class:`Workflow` in JSON."""
    plan, compilation = detail.plan, detail.compilation
    return as_json(
        Workflow(
            **{**_fields(detail.summary), "steps": [_step(item) for item in plan.steps]},
            main=plan.main,
            doc=plan.doc,
            inputs=[_parameter(item) for item in plan.inputs],
            outputs=[_parameter(item) for item in plan.outputs],
            warnings=[compilation.message] if compilation.message else [],
            compilation=compilation,
            sources=detail.sources,
            origin=detail.version.origin,
            versions=detail.versions,
        )
    )


def run_json(
    detail: run_models.RunDetail, waits: str | None, waiting_tasks: dict[str, str], output_folder: str | None
) -> dict[str, object]:
    """Return a run as a :class:`Run` in JSON."""
    return as_json(
        Run(
            **_fields(detail.summary),
            error=detail.error,
            steps=detail.steps,
            job=detail.job,
            outputs=detail.outputs,
            output_folder=output_folder,
            version=detail.version,
            has_signature=detail.has_signature,
            signature=detail.signature,
            removed=detail.removed,
            waits=waits,
            waiting_tasks=waiting_tasks,
            continued_from=detail.continued_from,
        )
    )


def as_json(answer: DataclassInstance) -> dict[str, object]:
    """Return an answer in JSON; what is plain already is not copied."""
    return {name: _plain(value) for name, value in _fields(answer).items()}


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, workflow_models.Compilation):
        return value.as_json()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _fields(model: DataclassInstance) -> dict[str, Any]:
    return {item.name: getattr(model, item.name) for item in fields(model)}


def _parameter(item: Parameter) -> WorkflowParameter:
    shown: WorkflowParameter = {
        "id": item.id,
        "type": item.type,
        "label": item.label,
        "doc": item.doc,
        "format": item.format,
        "required": not item.is_optional,
        "secondary_files": list(item.secondary_files),
        "extras": item.extras,
    }
    if item.has_default:
        shown["default"] = item.default
    return shown


def _step(item: Step) -> WorkflowStep:
    return WorkflowStep(**{field.name: getattr(item, field.name) for field in fields(WorkflowStep)})
