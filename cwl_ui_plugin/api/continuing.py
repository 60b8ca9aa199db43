"""Runs once more: as they were, or failed ones from where they stopped; what their steps used and asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from cwl_ui_plugin.api.downloads import saved_as
from cwl_ui_plugin.api.request_json import JsonBody, check_object
from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import GetUserDep, allow_dag
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.continuing import continues, fixes
from cwl_ui_plugin.services.continuing.models import Continuation, ContinuedRun, Forecast
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.monitoring import resource_report
from cwl_ui_plugin.services.monitoring.resource_report import ResourceReport
from cwl_ui_plugin.services.run_models import RunSummary
from cwl_ui_plugin.services.triggering import refusals, reruns, triggers

router = APIRouter(tags=["runs"])
_RUN = "/workflows/{dag_id}/runs/{run_id}"
_READERS = [allow_dag(permissions.may_read)]
_FIELDS: dict[str, dict[str, object]] = {
    "version": {"type": ["string", "null"], "description": "Its digest; default: the current version"},
    "job": {"type": ["object", "null"], "description": "The CWL input object; default: that of the failed run"},
}
_REPORT = answers(ResourceReport, 404)
_REPORT[200]["content"] = {"text/csv": {"schema": {"type": "string"}}}
_FIX_SCHEMA: dict[str, object] = {
    "requestBody": {
        "content": {
            "application/json": {"schema": {"type": "object", "additionalProperties": False, "properties": _FIELDS}}
        }
    }
}


@dataclass(frozen=True, kw_only=True)
class Fixed(RunSummary):
    """The new run, and what it is going to take over."""

    forecast: Forecast


@router.post(
    f"{_RUN}/again",
    status_code=201,
    responses=answers(RunSummary, 404, 409, 503, status=201, description="The new run"),
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_trigger)],
)
def run_again(dag_id: str, run_id: str, user: GetUserDep) -> object:
    """Start a run like an earlier one: the same version of the workflow, the same job, outputs in a folder of its own.

    It is signed with the server's key, if it has one. Inputs that are gone, or not yours, are refused (422).
    """
    name = str(user.get_name())
    files = permissions.input_access(user)
    with refusals.recorded(dag_id, None, name):
        return reruns.run_again(dag_id, run_id, user=name, via=triggers.REST, files=files).as_json()


@router.get(f"{_RUN}/continue", responses=answers(Continuation, 404), dependencies=_READERS)
def get_continuation(dag_id: str, run_id: str) -> object:
    """Tell whether a failed run can go on, and what of what it would need is gone."""
    return asdict(continues.continuation(dag_id, run_id))


@router.post(
    f"{_RUN}/continue",
    responses=answers(ContinuedRun, 404, 409, 503),
    dependencies=[allow_dag(permissions.may_continue)],
)
def continue_run(dag_id: str, run_id: str, user: GetUserDep) -> object:
    """Let a failed run go on: what failed, and what follows it, runs again."""
    return continues.continue_run(dag_id, run_id, user=user.get_name()).as_json()


@router.get(f"{_RUN}/fix", responses=answers(Forecast, 404, 409), dependencies=_READERS)
def get_forecast(dag_id: str, run_id: str, version: str | None = None) -> object:
    """Tell which steps a run of a version would take over from a failed run."""
    return fixes.preview(dag_id, run_id, version).as_json()


@router.post(
    f"{_RUN}/fix",
    status_code=201,
    responses=answers(Fixed, 404, 409, 413, 503, status=201, description="The new run"),
    dependencies=[allow_dag(permissions.may_read), allow_dag(permissions.may_trigger)],
    openapi_extra=_FIX_SCHEMA,
)
def fix_and_continue(dag_id: str, run_id: str, user: GetUserDep, body: JsonBody) -> object:
    """Start a run of a mended version that takes over from a failed run the steps that did not change."""
    unknown = sorted(set(body) - set(_FIELDS))
    version, job = body.get("version"), body.get("job")
    if unknown:
        raise BadRequest(f"Unknown fields: {', '.join(unknown)}; use {', '.join(_FIELDS)}.")
    if version is not None and not isinstance(version, str):
        raise BadRequest("version must be a text.")
    name = user.get_name()
    with refusals.recorded(dag_id, None, name):
        begun = fixes.fix_and_continue(
            dag_id,
            run_id,
            user=name,
            via=triggers.REST,
            version=version,
            job=None if job is None else check_object(job, "job"),
            files=permissions.input_access(user),
        )
    return {**begun.run.as_json(), "forecast": begun.forecast.as_json()}


@router.get(
    f"{_RUN}/resources",
    responses=_REPORT,
    dependencies=_READERS,
)
def get_resources(
    dag_id: str,
    run_id: str,
    runs: Annotated[int, Query(ge=1, le=resource_report.MAX_RUNS)] = resource_report.RUNS,
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
) -> object:
    """Report what each step asked for and used: in this run, and in the last that succeeded, `runs` in all."""
    report = resource_report.report(dag_id, run_id, runs)
    if form == "json":
        return asdict(report)
    table = resource_report.as_csv(report)
    return Response(table, media_type="text/csv; charset=utf-8", headers=saved_as("resources.csv"))
