"""What the routes answer, for the OpenAPI document, as far as it is no model of the services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from typing_extensions import TypedDict

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.servers import Restart
from cwl_ui_plugin.services import run_models, workflow_models

Responses = dict[int | str, dict[str, object]]
_REASONS = {
    400: "Invalid value or malformed JSON",
    401: "Not logged in",
    403: "Not allowed, or the signature does not hold",
    404: "Not found",
    409: "It exists already",
    413: "Too large",
    416: "There is no such range",
    422: "It does not fit: one problem for each input or field",
    500: "An error in the server",
    503: "Not now; try again",
    504: "Processes of the run are left",
    507: "A disk of the server is full",
}


@dataclass(frozen=True)
class Failure:
    """Why something was not done; ``unsupported`` marks valid CWL that can't be run.

    ``choices`` are what may be sent as ``main``, where an upload holds several processes that could be meant.
    """

    detail: str
    problems: list[Problem]
    unsupported: bool = False
    choices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HealthCheck:
    """One check: ``message`` says how it is, or what is wrong and what to do."""

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    details: Mapping[str, object]


@dataclass(frozen=True)
class Health:
    """The state of the plugin. ``checks`` is null for those who may not see them."""

    status: Literal["ok", "warn", "fail"]
    checks: list[HealthCheck] | None
    version: str
    ready: bool
    problems: list[str]
    restarts: list[Restart]
    server: str | None


@dataclass(frozen=True)
class SecondaryFiles:
    """Where secondary files of a job's files would be."""

    locations: list[str]


@dataclass(frozen=True)
class WorkflowList:
    """A part of all workflows that the user may see."""

    workflows: list[workflow_models.WorkflowSummary]
    total: int


@dataclass(frozen=True)
class RunList:
    """A part of all runs that the user may see."""

    runs: list[run_models.RunSummary]
    total: int


@dataclass(frozen=True)
class KeyPair:
    """A new key pair; the server keeps nothing of it."""

    algorithm: str
    private: str
    public: str
    fingerprint: str


@dataclass(frozen=True)
class StartedRun:
    """The answer to a trigger, as the predecessors' clients read it."""

    message: str
    dag_id: str
    run_id: str
    dag_run_id: str
    state: str
    logical_date: str | None
    execution_date: str | None


@dataclass(frozen=True)
class OldRun:
    """A run in the predecessors' list."""

    dag_id: str
    run_id: str
    state: str
    execution_date: str | None
    start_date: str | None


InputFile = TypedDict("InputFile", {"class": Literal["File"], "location": str, "basename": str, "size": int})
InputFile.__doc__ = "A File object of CWL, as a job names it; the size is in bytes."


@dataclass(frozen=True)
class VisibleInputs:
    """For each path whether a job may name it."""

    visible: dict[str, bool]


@dataclass(frozen=True)
class PartialInput:
    """A file that is sent in parts, in bytes; ``file`` is there when all have arrived."""

    id: str
    size: int
    received: int
    file: InputFile | None = None


@dataclass(frozen=True)
class StoredInput:
    """A file that is uploaded to an object store: its parts, of which those with these numbers, from 1, have arrived.

    ``file`` is there when it is complete.
    """

    id: str
    size: int
    part_size: int
    parts: int
    arrived: tuple[int, ...]
    file: InputFile | None = None


@dataclass(frozen=True)
class SignedPart:
    """Where a part is sent by PUT, as it is; empty where it is sent to this server."""

    url: str


def answers(model: object, *failures: int, status: int = 200, description: str = "Successful Response") -> Responses:
    """Return what a route answers: ``model``, or one of the failures."""
    good: Responses = {status: {"model": model, "description": description}}
    return good | failing(*failures)


def failing(*failures: int) -> Responses:
    """Return the failures of a route."""
    return {status: {"model": Failure, "description": _REASONS[status]} for status in failures}


def failing_file(*failures: int) -> Responses:
    """Return the failures of a route that answers with a file: they are JSON all the same."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}}
    statuses = sorted({*failures, *ANY})
    return {status: {"description": _REASONS[int(status)], "content": content} for status in statuses}


ANY = failing(400, 401, 403, 422, 500)
"""What every route may answer."""
