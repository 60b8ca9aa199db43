"""The schedule of a workflow: show, save, pause, remove."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter
from pydantic import BaseModel

from cwl_ui_plugin.api.openapi import json_body
from cwl_ui_plugin.api.request_json import JsonBody, check_object
from cwl_ui_plugin.api.schemas import answers, failing
from cwl_ui_plugin.api.security import GetUserDep, allow_dag, require
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.dags.job_templates import literal
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.scheduling import schedules
from cwl_ui_plugin.services.scheduling.details import ScheduleDetail, detail_of
from cwl_ui_plugin.services.scheduling.kinds import checked_settings
from cwl_ui_plugin.services.stored_workflows import stored
from cwl_ui_plugin.services.watching import starts, states
from cwl_ui_plugin.services.watching.preview import preview
from cwl_ui_plugin.services.watching.states import FolderState

router = APIRouter(tags=["schedules"])
_MAY_READ, _MAY_SCHEDULE = allow_dag(permissions.may_read), allow_dag(permissions.may_schedule)
_FIELDS: dict[str, dict[str, object]] = {
    "kind": {"type": "string", "description": "cron, preset, assets or folder"},
    "settings": {
        "type": "object",
        "description": '{"cron": "0 6 * * *"}, {"preset": "@daily"}, '
        '{"assets": ["name", ...], "all": false, "inputs": {"input": "cwl://dag_id/output"}}, or '
        '{"folder": "/data/incoming", "files": {"input": "{sample}_R{1,2}.fastq.gz"}, "names": {"input": "sample"}, '
        '"marker": null, "settle": 10}',
    },
    "job": {
        "type": ["object", "null"],
        "description": "The CWL input object; its texts may have {{ ds }} and the like",
    },
    "from_run": {"type": ["string", "null"], "description": "Instead of job: a run of the workflow, to take its job"},
    "timezone": {"type": ["string", "null"], "description": "A name such as Europe/Berlin; default: Airflow's"},
    "start_date": {"type": ["string", "null"], "description": "From when on to catch up (ISO 8601)"},
    "catchup": {"type": "boolean", "default": False},
    "is_paused": {"type": "boolean", "default": False},
    "max_active_runs": {"type": ["integer", "null"], "description": "Runs at a time; default: Airflow's"},
}
_SCHEMA = json_body(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "settings"],
        "properties": _FIELDS,
    }
)


class Pause(BaseModel):
    """Whether a schedule starts runs."""

    is_paused: bool


class Again(BaseModel):
    """The run of a set of a watched folder."""

    run_id: str


@router.get("/workflows/{dag_id}/schedule", responses=answers(ScheduleDetail, 404, 409), dependencies=[_MAY_READ])
def get_schedule(dag_id: str) -> object:
    """Show when Airflow starts a workflow by itself, with which job, and the next times; 404 if it does not."""
    return _shown(dag_id)


@router.put(
    "/workflows/{dag_id}/schedule",
    responses=answers(ScheduleDetail, 404, 409, 413, 503),
    dependencies=[_MAY_READ, _MAY_SCHEDULE],
    openapi_extra=_SCHEMA,
)
def save_schedule(dag_id: str, user: GetUserDep, body: JsonBody) -> object:
    """Let a workflow have this schedule, instead of the one that it has. Its job is checked as that of a run."""
    wanted = _wanted(dag_id, check_object(body, "body"))
    require(wanted.kind != "assets" or permissions.may_read_assets(user))
    schedules.save(dag_id, wanted, user=user.get_name(), files=permissions.input_access(user))
    return _shown(dag_id)


@router.delete(
    "/workflows/{dag_id}/schedule",
    status_code=204,
    responses=failing(404, 409, 503),
    dependencies=[_MAY_READ, _MAY_SCHEDULE],
)
def delete_schedule(dag_id: str, user: GetUserDep) -> None:
    """Let a workflow have no schedule any more; runs on their way go on."""
    schedules.remove(dag_id, user=_name(user))


@router.post(
    "/workflows/{dag_id}/schedule/pause",
    responses=answers(ScheduleDetail, 404, 409, 503),
    dependencies=[_MAY_READ, _MAY_SCHEDULE],
)
def pause_schedule(dag_id: str, user: GetUserDep, wanted: Pause) -> object:
    """Stop or go on starting runs; the workflow can be run as before."""
    schedules.pause(dag_id, wanted.is_paused, user=_name(user))
    return _shown(dag_id)


@router.get("/workflows/{dag_id}/schedule/folder", responses=answers(FolderState, 404), dependencies=[_MAY_SCHEDULE])
def get_watched_folder(dag_id: str) -> object:
    """Show how the watched folder of a workflow stood when it was looked at last: its sets, and what was refused."""
    found = states.kept(dag_id)
    if found is None:
        raise NotFound(f"The workflow {dag_id!r} has no watched folder, or it was not looked at yet.")
    return found.as_json()


@router.post(
    "/workflows/{dag_id}/schedule/folder/preview",
    responses=answers(FolderState, 404),
    dependencies=[_MAY_READ, _MAY_SCHEDULE],
)
def preview_watched_folder(dag_id: str, user: GetUserDep, body: JsonBody) -> object:
    """Show which sets the settings of a watched folder find now. Nothing is saved or started."""
    settings = checked_settings("folder", check_object(body, "body"))
    return preview(settings, stored(dag_id).plan, permissions.input_access(user)).as_json()


@router.post(
    "/workflows/{dag_id}/schedule/folder/again", status_code=204, responses=failing(404), dependencies=[_MAY_SCHEDULE]
)
def start_set_again(dag_id: str, wanted: Again) -> None:
    """Let the set that has started a run, which was deleted, start it again, if its files are still there."""
    starts.allow_again(dag_id, wanted.run_id)


def _name(user: BaseUser) -> str:
    return str(user.get_name())


def _shown(dag_id: str) -> dict[str, object]:
    found = schedules.find_schedule(dag_id)
    if found is None:
        raise NotFound(f"The workflow {dag_id!r} has no schedule.")
    return detail_of(stored(dag_id), found).as_json()


def _wanted(dag_id: str, body: dict[str, Any]) -> schedules.Wanted:
    if more := sorted(set(body) - set(_FIELDS)):
        raise BadRequest(f"These fields are not known: {', '.join(more)}. There are {', '.join(_FIELDS)}.")
    for name in ("catchup", "is_paused"):
        if not isinstance(body.get(name, False), bool):
            raise BadRequest(f"{name} must be true or false.", field=name)
    for name in ("timezone", "start_date"):
        if not isinstance(body.get(name) or "", str):
            raise BadRequest(f"{name} must be a text.", field=name)
    from_run, job = body.pop("from_run", None), body.pop("job", None)
    if from_run and job:
        raise BadRequest("Give a job, or a run to take it from, not both.")
    job = (
        literal(queries.get_run(dag_id, str(from_run)).job)
        if from_run
        else check_object({} if job is None else job, "job")
    )
    return schedules.Wanted(**{"kind": None, "settings": None, **body, "job": job})
