"""Presets of a workflow: list, save, show, change, delete, and take away as a job file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Response

from cwl_ui_plugin.api.downloads import saved_as
from cwl_ui_plugin.api.openapi import json_body
from cwl_ui_plugin.api.request_json import JsonBody, check_object
from cwl_ui_plugin.api.schemas import answers, failing
from cwl_ui_plugin.api.security import GetUserDep, allow_dag
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.services.answers import as_json
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.presets.models import FittedPreset, PresetSummary, SavedPreset
from cwl_ui_plugin.services.presets.presets import Changes
from cwl_ui_plugin.services.stored_workflows import stored

router = APIRouter(tags=["presets"], dependencies=[allow_dag(permissions.may_trigger)])
_FIELDS: dict[str, dict[str, object]] = {
    "name": {"type": "string", "description": "At most 100 characters; one of a kind for you, or among the shared"},
    "job": {
        "type": ["object", "null"],
        "description": "Some or all inputs. They are not checked; secrets and folders for outputs are not kept",
    },
    "is_shared": {"type": "boolean", "description": "Whether everybody has it who may run the workflow"},
    "version": {"type": ["string", "null"], "description": "The version that job is for; default: the current one"},
    "revision": {"type": ["integer", "null"], "description": "Of a change: refuse it if the preset has another by now"},
}
_JOB_FILE: dict[str, object] = {
    "application/yaml": {"schema": {"type": "string"}},
    "application/json": {"schema": {"type": "object"}},
}
_OF_RUN: dict[str, dict[str, object]] = {
    "from_run": {"type": ["string", "null"], "description": "Instead of job: a run of the workflow"}
}


@dataclass(frozen=True)
class PresetList:
    """The presets that the user has of a workflow."""

    presets: list[PresetSummary]


@dataclass(frozen=True, kw_only=True)
class Saved(PresetSummary):
    """A preset that was saved, and the inputs that are not kept."""

    job: dict[str, object]
    not_kept: list[Problem]


def _body(properties: dict[str, dict[str, object]], *required: str) -> dict[str, object]:
    schema: dict[str, object] = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        schema["required"] = list(required)
    return json_body(schema)


@router.get("/workflows/{dag_id}/presets", responses=answers(PresetList, 404))
def list_presets(dag_id: str, user: GetUserDep) -> object:
    """List the presets that you have of a workflow: your own, and those that others share."""
    stored(dag_id)
    return as_json(PresetList(list(presets.list_presets(dag_id, _name(user)))))


@router.post(
    "/workflows/{dag_id}/presets",
    status_code=201,
    responses=answers(Saved, 404, 409, 413, 503, status=201),
    openapi_extra=_body({key: value for key, value in (_FIELDS | _OF_RUN).items() if key != "revision"}, "name"),
)
def save_preset(dag_id: str, user: GetUserDep, body: JsonBody) -> object:
    """Keep inputs under a name, for yourself or for all who may run the workflow."""
    given = _checked(body, {*_FIELDS, *_OF_RUN} - {"revision"})
    saved = presets.save_preset(
        dag_id,
        given.get("name"),
        _job(dag_id, body, user) or {},
        user=_name(user),
        is_shared=given.get("is_shared") or False,
        version=given.get("version"),
    )
    return _saved(saved)


@router.get("/workflows/{dag_id}/presets/{preset_id}", responses=answers(FittedPreset, 404))
def get_preset(dag_id: str, preset_id: str, user: GetUserDep) -> object:
    """Show a preset; its job is what fits the current version of the workflow, and ``left_out`` says what does not."""
    return as_json(presets.fitted(presets.get_preset(dag_id, preset_id, _name(user))))


@router.patch(
    "/workflows/{dag_id}/presets/{preset_id}",
    responses=answers(Saved, 404, 409, 413, 503),
    openapi_extra=_body(_FIELDS | _OF_RUN),
)
def change_preset(dag_id: str, preset_id: str, user: GetUserDep, body: JsonBody) -> object:
    """Change what is given of a preset: one of your own, or, with the right to edit the Dag, one that is shared."""
    given = _checked(body, {*_FIELDS, *_OF_RUN})
    changes = Changes(given.get("name"), given.get("is_shared"), _job(dag_id, body, user), given.get("version"))
    changed = presets.change_preset(
        dag_id,
        preset_id,
        changes,
        user=_name(user),
        may_change_all=permissions.may_change_presets(user, dag_id),
        revision=given.get("revision"),
    )
    return _saved(changed)


@router.delete("/workflows/{dag_id}/presets/{preset_id}", status_code=204, responses=failing(404, 409, 503))
def delete_preset(dag_id: str, preset_id: str, user: GetUserDep) -> None:
    """Delete a preset: one of your own, or, with the right to edit the Dag, one that is shared."""
    may_change_all = permissions.may_change_presets(user, dag_id)
    presets.delete_preset(dag_id, preset_id, user=_name(user), may_change_all=may_change_all)


@router.get(
    "/workflows/{dag_id}/presets/{preset_id}/job",
    responses={200: {"description": "The job file", "content": _JOB_FILE}, **failing(404)},
    response_class=Response,
)
def export_preset(dag_id: str, preset_id: str, user: GetUserDep, format: Literal["yaml", "json"] = "yaml") -> Response:
    """Send the inputs of a preset as a job file, which every CWL runner takes, and the form of the workflow."""
    preset = presets.fitted(presets.get_preset(dag_id, preset_id, _name(user)))
    if format == "json":
        text = json.dumps(preset.job, ensure_ascii=False, indent=1) + "\n"
    else:
        text = checks.job_text(stored(dag_id).plan, preset.job)
    name = f"{preset.name}.{'json' if format == 'json' else 'yml'}".replace("/", "_")
    return Response(text, media_type=f"application/{format}", headers=saved_as(name))


def _name(user: BaseUser) -> str:
    return str(user.get_name())


def _saved(saved: SavedPreset) -> dict[str, object]:
    return as_json(Saved(**vars(saved.preset), not_kept=list(saved.not_kept)))


def _checked(body: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return the fields of a body, each of the type that it has; raise :class:`BadRequest`."""
    if more := sorted(set(body) - known):
        raise BadRequest(f"These fields are not known: {', '.join(more)}. There are {', '.join(sorted(known))}.")
    if not isinstance(body.get("is_shared", False), bool):
        raise BadRequest("is_shared must be true or false.", field="is_shared")
    for name in ("name", "version", "from_run"):
        if not isinstance(body.get(name) or "", str):
            raise BadRequest(f"{name} must be a text.", field=name)
    revision = body.get("revision")
    if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int)):
        raise BadRequest("revision must be a whole number.", field="revision")
    return body


def _job(dag_id: str, body: dict[str, Any], user: BaseUser) -> dict[str, object] | None:
    """Return the inputs that are to be kept; None where none are given."""
    job, from_run = body.get("job"), body.get("from_run")
    if from_run and job is not None:
        raise BadRequest("Give a job, or a run to take it from, not both.")
    if from_run:
        if not permissions.may_read(user, dag_id):
            raise BadRequest("You may not see the runs of this workflow: give a job.")
        return queries.get_run(dag_id, from_run).job
    return None if job is None else check_object(job, "job")
