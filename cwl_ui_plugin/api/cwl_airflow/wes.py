"""``/wes`` of CWL-Airflow's API, as far as it reads: WES 1.0 as 1.2 described it. ``/ga4gh/wes/v1`` is WES of today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Request

from cwl_ui_plugin.api.answering import answered
from cwl_ui_plugin.api.cwl_airflow import schemas
from cwl_ui_plugin.api.cwl_airflow.callers import ReadingUser
from cwl_ui_plugin.api.cwl_airflow.calls import query_of
from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.monitoring.old_states import run_state
from cwl_ui_plugin.services.run_models import RunDetail, RunFilter, RunSummary
from cwl_ui_plugin.version import __version__

router = APIRouter(tags=["CWL-Airflow, WES"])
STATES = {"running": "RUNNING", "success": "COMPLETE", "failed": "EXECUTOR_ERROR"}
SIZE, TOKEN = "page_size", "page_token"
_SIZE_SCHEMA = schemas.query(SIZE, "Most runs to list", type="integer", minimum=1, maximum=queries.MAX_PAGE)
_TOKEN_SCHEMA = schemas.query(TOKEN, "The `next_page_token` of the list before")
_MOST_DIGITS = 9
State = Literal["RUNNING", "COMPLETE", "EXECUTOR_ERROR"]


@dataclass(frozen=True)
class RunStatus:
    """The state of a run."""

    run_id: str
    state: State


@dataclass(frozen=True)
class RunListResponse:
    """A part of all runs; an empty token says that there are no more."""

    runs: list[RunStatus]
    next_page_token: str


@dataclass(frozen=True)
class Log:
    """What is known of a run or of a task; there are no addresses of logs."""

    name: str
    cmd: list[str]
    start_time: str
    end_time: str
    stdout: str
    stderr: str


@dataclass(frozen=True)
class TaskLog:
    """A task of a run."""

    name: str


@dataclass(frozen=True)
class RunLog:
    """A run."""

    run_id: str
    request: dict[str, object]
    state: State
    run_log: Log
    task_logs: list[TaskLog]
    outputs: dict[str, object]


@dataclass(frozen=True)
class ServiceInfo:
    """What the server runs."""

    workflow_type_versions: dict[str, dict[str, list[str]]]
    supported_wes_versions: list[str]
    supported_filesystem_protocols: list[str]
    workflow_engine_versions: dict[str, str]


@router.get("/wes/service-info", responses=answers(ServiceInfo))
def get_service_info() -> object:
    """Tell what runs here; this needs no login."""
    return {
        "workflow_type_versions": {"CWL": {"workflow_type_version": ["v1.0", "v1.1", "v1.2"]}},
        "supported_wes_versions": ["1.0.0"],
        "supported_filesystem_protocols": ["file"],
        "workflow_engine_versions": {"cwl-ui-plugin": __version__},
    }


@router.get(
    "/wes/runs", responses=answers(RunListResponse), openapi_extra={"parameters": [_SIZE_SCHEMA, _TOKEN_SCHEMA]}
)
def list_runs(request: Request, user: ReadingUser) -> object:
    """List runs of CWL Dags that the user may see, newest first."""
    asked = query_of(request, SIZE, TOKEN)
    limit, offset = _whole(asked, SIZE, queries.MAX_PAGE), _whole(asked, TOKEN, 0)
    if not 1 <= limit <= queries.MAX_PAGE:
        raise BadRequest(f"{SIZE} must be from 1 to {queries.MAX_PAGE}.", field=SIZE)
    page = queries.list_runs(permissions.readable_dag_ids(user), limit=limit, offset=offset)
    after = offset + len(page.items)
    return {
        "runs": [_status(run) for run in page.items],
        "next_page_token": str(after) if page.items and after < page.total else "",
    }


@router.get("/wes/runs/{run_id}", responses=answers(RunLog, 404, 409))
def get_run_log(run_id: str, user: ReadingUser) -> object:
    """Show a run."""
    found = _found(run_id, user)
    return answered(_log(queries.get_run(found.dag_id, found.run_id)))


@router.get("/wes/runs/{run_id}/status", responses=answers(RunStatus, 404, 409))
def get_run_status(run_id: str, user: ReadingUser) -> object:
    """Show the state of a run."""
    return _status(_found(run_id, user))


def _found(run_id: str, user: BaseUser) -> RunSummary:
    """Return the run of this name that the user may see: of the Dag of the same name, or else the only one."""
    runs = queries.list_runs(permissions.readable_dag_ids(user), wanted=RunFilter(run_id=run_id)).items
    same = [run for run in runs if run.dag_id == run_id] or list(runs)
    if not same:
        raise NotFound(f"There is no run {run_id!r}.")
    if len(same) > 1:
        dags = ", ".join(sorted(run.dag_id for run in same)[:5])
        raise Conflict(f"Several Dags have a run {run_id!r} ({dags}): ask GET /dag_runs with dag_id and run_id.")
    return same[0]


def _status(run: RunSummary) -> dict[str, str]:
    return {"run_id": run.run_id, "state": STATES[run_state(run.state)]}


def _log(run: RunDetail) -> dict[str, object]:
    summary = run.summary
    return {
        **_status(summary),
        "request": {"workflow_params": run.job, "workflow_type": "CWL"},
        "run_log": {
            "name": summary.run_id,
            "cmd": [""],
            "start_time": summary.started_at or "",
            "end_time": summary.ended_at or "",
            "stdout": "",
            "stderr": "",
        },
        "task_logs": [{"name": name} for name in dict.fromkeys(step.task_id for step in run.steps)],
        "outputs": run.outputs or {},
    }


def _whole(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise BadRequest(f"{name} must be a whole number, as this server gives them.", field=name)
    return int(text)
