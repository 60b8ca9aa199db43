"""The plan: what is known of a workflow after upload, as plain JSON. Importing it costs nothing.

A compiled workflow is a folder::

    plan.json             this module's Plan
    pieces/start.json     workflow inputs: for the first task
    pieces/step-<n>.json  one step each, n as in Step.piece
    pieces/end.json       workflow outputs: for the last task
    pieces/step-<n>.start.json, step-<n>.step-<m>.json, step-<n>.end.json
                          the same for a subworkflow whose steps are tasks, at any depth
    packed.cwl            the resolved document as one JSON file

The pieces are cwltool's own data (see ``compiling``); only the task that needs one reads it. The URIs of files of the
upload stand in all of these as :data:`SOURCE_TOKEN`, replaced by the real folder when a piece is read. Ids of
processes and parameters are ``cwl:<file>#<name>``: the same wherever the store is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
SOURCE_TOKEN = "cwl-upload:///"  # noqa: S105 - a placeholder in URIs, no secret
PLAN_FILE = "plan.json"
PIECES_FOLDER = "pieces"
PACKED_FILE = "packed.cwl"
START_PIECE = "start"
END_PIECE = "end"


@dataclass(frozen=True)
class Parameter:
    """An input or output of the workflow.

    ``id`` is the short name that a job uses. ``type`` is a CWL type as JSON with names resolved in place:
    ``"File"``, ``["null", "int"]``, ``{"type": "array", "items": ...}``, ``{"type": "enum", "symbols": [short
    names]}``, ``{"type": "record", "name": ..., "fields": [{"name": short, "type": ..., "label", "doc"}]}``.
    ``default`` counts only where ``has_default``. ``secondary_files`` is a list of
    ``{"pattern": str, "required": bool | str | None}``.
    """

    id: str
    type: Any
    label: str | None = None
    doc: str | None = None
    has_default: bool = False
    default: Any = None
    format: Any = None
    secondary_files: tuple[dict[str, Any], ...] = ()
    extras: dict[str, Any] = field(default_factory=dict)
    """Fields of other namespaces, for instance ``{"sd:preview": {...}}``."""
    is_secret: bool = False
    """Whether cwltool:Secrets names it: its value is not shown, nor handed from task to task."""

    @property
    def is_optional(self) -> bool:
        """Whether a job may leave the input out."""
        return self.has_default or self.type == "null" or (isinstance(self.type, list) and "null" in self.type)


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
    piece: str
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
    resources: dict[str, Any] = field(default_factory=dict)
    """What its ResourceRequirement asks for at least: ``{"cores", "ram"}``, each a number or an expression."""
    resource_inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Where inputs that such an expression may name come from: ``{name: {"input": of the job, "default": value}}``."""

    @property
    def start_piece(self) -> str:
        """The piece with the inputs of its subworkflow."""
        return f"{self.piece}.{START_PIECE}"

    @property
    def end_piece(self) -> str:
        """The piece with the outputs of its subworkflow."""
        return f"{self.piece}.{END_PIECE}"


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
    warnings: tuple[str, ...] = ()
    engine: str = ""
    """The version of cwltool that compiled it."""
    format: int = FORMAT

    def all_steps(self) -> Iterator[tuple[int, Step]]:
        """Yield every step with its depth, a subworkflow before its steps."""
        return _deep(self.steps, 0)

    @property
    def is_tool(self) -> bool:
        """Whether the document is a tool, not a workflow."""
        return self.kind != "Workflow"

    def to_json(self) -> str:
        """Return the text of ``plan.json``."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read :meth:`to_json` back, also what an earlier version of the plugin has written."""
        data = _known(cls, json.loads(text))
        data["inputs"] = tuple(_parameter(item) for item in data["inputs"])
        data["outputs"] = tuple(_parameter(item) for item in data["outputs"])
        data["steps"] = tuple(_step(item) for item in data["steps"])
        for name in ("warnings", "output_sources"):
            data[name] = tuple(data.get(name, ()))
        return cls(**data)


def read_plan(folder: Path) -> Plan:
    """Read the plan of a compiled workflow's folder."""
    return Plan.from_json((folder / PLAN_FILE).read_text(encoding="utf-8"))


def read_packed(folder: Path) -> dict[str, Any]:
    """Read the packed document of a compiled workflow's folder."""
    document: dict[str, Any] = json.loads((folder / PACKED_FILE).read_text(encoding="utf-8"))
    return document


def read_piece(folder: Path, name: str, source: Path) -> dict[str, Any]:
    """Read one piece, with the files of the upload at ``source``."""
    text = (folder / PIECES_FOLDER / f"{name}.json").read_text(encoding="utf-8")
    piece: dict[str, Any] = json.loads(text.replace(SOURCE_TOKEN, source.resolve().as_uri() + "/"))
    return piece


def _parameter(data: dict[str, Any]) -> Parameter:
    return Parameter(**{**data, "secondary_files": tuple(data["secondary_files"])})


def _step(data: dict[str, Any]) -> Step:
    tuples = {key: tuple(data.get(key, ())) for key in ("upstream", "sources", "outputs", "scatter", "output_sources")}
    steps = tuple(_step(item) for item in data.get("steps", ()))
    return Step(**{**_known(Step, data), **tuples, "steps": steps})


def _known(kind: type[Plan | Step], data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is no field any more: stored workflows outlive versions of the plugin."""
    return {key: value for key, value in data.items() if key in kind.__dataclass_fields__}


def _deep(steps: tuple[Step, ...], depth: int) -> Iterator[tuple[int, Step]]:
    for step in steps:
        yield depth, step
        yield from _deep(step.steps, depth + 1)
