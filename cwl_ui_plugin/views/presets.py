"""Presets of a workflow: saved from the form of a run, renamed, shared, taken away as files and brought back."""

from __future__ import annotations

from pathlib import PurePosixPath

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.wrappers import Response as BaseResponse

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user, requires
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.services.errors import BadRequest, ServiceError
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.presets.models import SavedPreset
from cwl_ui_plugin.services.presets.presets import Changes
from cwl_ui_plugin.services.stored_workflows import stored
from cwl_ui_plugin.views.base import CwlView, answer_json, user_name, wants_json
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.job_form import request_parsing
from cwl_ui_plugin.views.job_form.posted import posted_draft
from cwl_ui_plugin.views.preset_choice import choice_of

NAME, SHARED, REVISION, FILE = "preset_name", "preset_shared", "preset_revision", "preset_file"


class PresetsView(CwlView):
    """Presets of workflows."""

    default_view = "index"

    @expose("/workflows/<dag_id>/presets", methods=["GET", "POST"])
    @requires(permissions.may_trigger, "dag_id")
    def index(self, dag_id: str) -> ResponseReturnValue:
        """Show the presets of a workflow; save what a form of a run holds as a new one."""
        if request.method == "GET":
            return self._list(dag_id)
        digest = request.form.get("digest") or None
        saved = presets.save_preset(
            dag_id, _name(), _posted_job(dag_id, digest), user=user_name(), is_shared=_is_shared(), version=digest
        )
        return self._answer(dag_id, digest, saved, "Saved")

    @expose("/workflows/<dag_id>/presets/import", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    def bring(self, dag_id: str) -> ResponseReturnValue:
        """Save a job file as a preset; without a name it is called as the file is."""
        file = request.files.get(FILE)
        try:
            if file is None or not file.filename:
                raise BadRequest("Choose a job file: YAML or JSON.")
            job = request_parsing.read_job(request_parsing.text_of(request, FILE))
            name = _name() or PurePosixPath(file.filename).stem
            presets.save_preset(dag_id, name, job, user=user_name(), is_shared=_is_shared())
        except JobError as error:
            return self._list(dag_id, 422, BadRequest(error.message, error.problems))
        except ServiceError as error:
            return self._list(dag_id, error.status, error)
        return redirect(url_for("PresetsView.index", dag_id=dag_id))

    @expose("/workflows/<dag_id>/presets/<preset_id>", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    def update(self, dag_id: str, preset_id: str) -> ResponseReturnValue:
        """Let a preset have what the form of a run holds."""
        digest = request.form.get("digest") or None
        changes = Changes(job=_posted_job(dag_id, digest), version=digest)
        return self._answer(dag_id, digest, _changed(dag_id, preset_id, changes), "Updated")

    @expose("/workflows/<dag_id>/presets/<preset_id>/edit", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    def edit(self, dag_id: str, preset_id: str) -> ResponseReturnValue:
        """Rename a preset; share it, or do not any more."""
        try:
            _changed(dag_id, preset_id, Changes(name=_name(), is_shared=_is_shared()))
        except ServiceError as error:
            return self._list(dag_id, error.status, error)
        return redirect(url_for("PresetsView.index", dag_id=dag_id))

    @expose("/workflows/<dag_id>/presets/<preset_id>/delete", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    def delete(self, dag_id: str, preset_id: str) -> BaseResponse:
        """Delete a preset."""
        may_change_all = permissions.may_change_presets(current_user(), dag_id)
        presets.delete_preset(dag_id, preset_id, user=user_name(), may_change_all=may_change_all)
        return redirect(url_for("PresetsView.index", dag_id=dag_id))

    def _list(self, dag_id: str, status: int = 200, problem: ServiceError | None = None) -> ResponseReturnValue:
        plan = stored(dag_id).plan
        return self.page(
            "presets.html",
            status,
            dag_id=dag_id,
            plan=plan,
            presets=presets.list_presets(dag_id, user_name()),
            me=user_name(),
            may_change_all=permissions.may_change_presets(current_user(), dag_id),
            action=ActionForm(),
            problem=problem,
        )

    def _answer(self, dag_id: str, digest: str | None, saved: SavedPreset, said: str) -> ResponseReturnValue:
        """Answer a script with the control as it is now; lead others to the form with the preset."""
        if not wants_json():
            return redirect(url_for("TriggerView.form", dag_id=dag_id, preset=saved.preset.id))
        choice = choice_of(stored(dag_id, digest), saved.preset, not_kept=saved.not_kept, said=said)
        html = self.render_template("cwl_ui_plugin/preset_parts.html", presets=choice)
        return answer_json({"html": html, "name": saved.preset.name})


def _name() -> str:
    return request.form.get(NAME, "")


def _is_shared() -> bool:
    return request.form.get(SHARED) == "yes"


def _posted_job(dag_id: str, digest: str | None) -> dict[str, object]:
    """Return the inputs of the form: as the conf that a script asked for, or as the form itself sends them."""
    if (conf := request_parsing.text_of(request, "conf")).strip():
        job = request_parsing.conf_of(conf)["job"]
        return dict(job) if isinstance(job, dict) else {}
    try:
        return posted_draft(stored(dag_id, digest).plan).job()
    except JobError as error:
        raise BadRequest(error.message, error.problems) from error


def _changed(dag_id: str, preset_id: str, changes: Changes) -> SavedPreset:
    return presets.change_preset(
        dag_id,
        preset_id,
        changes,
        user=user_name(),
        may_change_all=permissions.may_change_presets(current_user(), dag_id),
        revision=request.form.get(REVISION, type=int),
    )
