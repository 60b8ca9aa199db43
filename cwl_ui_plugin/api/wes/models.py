"""What the routes answer, for the OpenAPI document: the schemas of WES 1.1, written by its names."""

from __future__ import annotations

from typing_extensions import NotRequired, TypedDict

from cwl_ui_plugin.services.wes.states import State


class ErrorResponse(TypedDict):
    """Why something was not done."""

    msg: str
    status_code: int


class RunId(TypedDict):
    """Which run was started, or canceled."""

    run_id: str


class RunStatus(TypedDict):
    """How a run stands."""

    run_id: str
    state: State


class RunSummary(RunStatus):
    """A run in a list."""

    start_time: NotRequired[str]
    end_time: NotRequired[str]
    tags: dict[str, str]


class RunListResponse(TypedDict):
    """A page of runs."""

    runs: list[RunSummary]
    next_page_token: str


class Log(TypedDict):
    """How a run went, or a task of it."""

    name: str
    cmd: NotRequired[list[str]]
    start_time: NotRequired[str]
    end_time: NotRequired[str]
    stdout: NotRequired[str]
    stderr: NotRequired[str]
    exit_code: NotRequired[int]
    system_logs: list[str]


class TaskLog(Log):
    """How a task went."""

    id: str


class TaskListResponse(TypedDict):
    """A page of tasks."""

    task_logs: list[TaskLog]
    next_page_token: str


class RunRequest(TypedDict):
    """What was asked for."""

    workflow_params: dict[str, object]
    workflow_type: str
    workflow_type_version: str
    workflow_url: str
    tags: dict[str, str]
    workflow_engine: NotRequired[str]
    workflow_engine_version: NotRequired[str]
    workflow_engine_parameters: NotRequired[dict[str, str]]


class RunLog(TypedDict):
    """Everything about a run; ``task_logs`` are there where they are few."""

    run_id: str
    request: RunRequest
    state: State
    run_log: Log
    task_logs_url: str
    task_logs: list[TaskLog] | None
    outputs: dict[str, object]
