"""The page that starts a run."""

from __future__ import annotations

import json

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user, requires
from cwl_ui_plugin.config import MEBIBYTE
from cwl_ui_plugin.cwl.errors import CwlError, JobError
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import Conflict, NotFound, ServiceError
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.run_models import RunSummary
from cwl_ui_plugin.services.triggering import refusals, reruns, triggers
from cwl_ui_plugin.services.workflows import details
from cwl_ui_plugin.views.base import CwlView, answer_json, user_name
from cwl_ui_plugin.views.job_form import request_parsing
from cwl_ui_plugin.views.job_form.draft import TEXT, Draft, moved
from cwl_ui_plugin.views.job_form.posted import posted_draft
from cwl_ui_plugin.views.job_form.trigger_form import TriggerForm
from cwl_ui_plugin.views.preset_choice import chosen_preset, preset_choice
from cwl_ui_plugin.views.signing import FIELD, signed_conf, signing_choice

PARTS_ABOVE = 100 * MEBIBYTE
"""Larger files are uploaded in parts, so that an upload that was broken off goes on where it was."""
REPLACED = (
    "The workflow was replaced by a new version while this form was open. What fits the new version was kept: "
    "look at it, and press Run again."
)


class TriggerView(CwlView):
    """Starting runs."""

    default_view = "form"

    @expose("/workflows/<dag_id>/run", methods=["GET", "POST"])
    @requires(permissions.may_trigger, "dag_id")
    def form(self, dag_id: str) -> ResponseReturnValue:
        """Show the job to fill in; check it and start the run."""
        version = details.get_workflow(dag_id, _chosen_version()).version
        form = TriggerForm(formdata=request.form if request.method == "POST" else None)
        if request.method == "GET":
            form.run_id.data = triggers.new_run_id()
            return self._show_first(dag_id, version, form)
        if form.digest.data and form.digest.data != version.digest:
            return self._show_replaced(dag_id, version, form)
        return self._start(dag_id, version, form)

    @expose("/again", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def again(self) -> ResponseReturnValue:
        """Start a run like an earlier one: the same version of the workflow, the same job."""
        dag_id, run_id = request.args.get("dag_id", ""), request.args.get("run_id", "")
        try:
            files = permissions.input_access(current_user())
            with refusals.recorded(dag_id, None, user_name()):
                run = reruns.run_again(dag_id, run_id, user=user_name(), via=triggers.VIEW, files=files)
            return self._started(run)
        except ServiceError as error:
            is_stored = details.stored_version(dag_id) is not None
            shown = {"dag_id": dag_id, "run_id": run_id, "is_stored": is_stored, "problem": error}
            return self.page("not_started.html", error.status, **shown)

    @expose("/workflows/<dag_id>/run/convert", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    def convert(self, dag_id: str) -> ResponseReturnValue:
        """Return the job of the form as text, as fields and as conf, whichever way it was written."""
        plan = details.get_workflow(dag_id, request.form.get("digest") or None).plan
        draft = posted_draft(plan)
        try:
            job = draft.job()
        except JobError as error:
            return answer_json({"detail": error.message, "problems": [str(item) for item in error.problems]}, 422)
        same = Draft.of_job(plan, job)
        html = self.render_template("cwl_ui_plugin/job_fields_only.html", job_form=same.form)
        public = request_parsing.kept(job, _secrets(plan))
        return answer_json(
            {
                "text": same.text,
                "html": html,
                "conf": json.dumps({"job": job}, ensure_ascii=False),
                "shared": json.dumps(public, ensure_ascii=False, separators=(",", ":")),
            }
        )

    def _start(self, dag_id: str, version: StoredVersion, form: TriggerForm) -> ResponseReturnValue:
        draft = Draft.of_job(version.plan, {})
        try:
            draft = posted_draft(version.plan)
            if not form.validate_on_submit():
                return self._show(dag_id, version, form, draft, status=400)
            with refusals.recorded(dag_id, form.run_id.data, user_name()):
                run = triggers.trigger(
                    dag_id,
                    conf=_conf(dag_id, form, draft),
                    run_id=form.run_id.data,
                    user=user_name(),
                    via=triggers.VIEW,
                    files=permissions.input_access(current_user()),
                    version=_chosen_version(),
                )
        except CwlError as error:
            return self._show(dag_id, version, form, draft, status=422, problem=error)
        except ServiceError as error:
            return self._show(dag_id, version, form, draft, status=error.status, problem=error)
        return self._started(run)

    def _started(self, run: RunSummary) -> ResponseReturnValue:
        return self.page("started.html", run=run, page=url_for("RunsView.show", dag_id=run.dag_id, run_id=run.run_id))

    def _show_first(self, dag_id: str, version: StoredVersion, form: TriggerForm) -> ResponseReturnValue:
        try:
            job = _first_job(dag_id, version)
        except JobError as error:
            return self._show(dag_id, version, form, Draft.of_job(version.plan, {}), status=400, problem=error)
        except NotFound as error:
            return self._show(dag_id, version, form, Draft.of_job(version.plan, {}), status=404, problem=error)
        return self._show(dag_id, version, form, Draft.of_job(version.plan, job))

    def _show_replaced(self, dag_id: str, version: StoredVersion, form: TriggerForm) -> ResponseReturnValue:
        """Show the form of the new version, with what was written for the old one where it fits."""
        old = _plan_of(dag_id, form.digest.data)
        draft = posted_draft(old or version.plan)
        try:
            job, left = moved(draft.job() if old or draft.source == TEXT else {}, old, version.plan)
        except JobError as error:
            job, left = {}, list(error.problems)
        moved_draft = Draft.of_job(version.plan, job, draft.source)
        return self._show(dag_id, version, form, moved_draft, status=409, problem=Conflict(REPLACED, tuple(left)))

    def _show(
        self,
        dag_id: str,
        version: StoredVersion,
        form: TriggerForm,
        draft: Draft,
        status: int = 200,
        problem: CwlError | ServiceError | None = None,
    ) -> ResponseReturnValue:
        form.digest.data = version.digest
        form.source.data = draft.source
        form.job.data = draft.text
        form.conf.data = form.check_payload.data = ""  # a signature is for one conf, and that one was not taken
        draft.form.show(problem.problems if problem else ())
        return self.page(
            "trigger.html",
            status,
            dag_id=dag_id,
            chosen=_chosen_version(),
            plan=version.plan,
            form=form,
            job_form=draft.form,
            problem=problem,
            parts_above=PARTS_ABOVE,
            longest_link=request_parsing.MAX_LINK,
            signing=signing_choice(request.form.get(FIELD)),
            presets=preset_choice(version),
        )


def _chosen_version() -> str | None:
    """Return which version of the workflow to run, where it is not the current one."""
    return request.args.get("version") or None


def _conf(dag_id: str, form: TriggerForm, draft: Draft) -> dict[str, object]:
    """Return the conf of the run: the one that the browser signed, or one with the job of the form."""
    text = request_parsing.text_of(request, "conf")
    conf = request_parsing.conf_of(text) if text.strip() else {"job": draft.job()}
    return signed_conf(
        conf,
        dag_id=dag_id,
        run_id=form.run_id.data or "",
        sign_with=request.form.get(FIELD),
        token=form.check_payload.data,
    )


def _first_job(dag_id: str, version: StoredVersion) -> dict[str, object]:
    """Return the job to start from: of a preset, of an earlier run or a link, without its secrets; or an empty one."""
    plan = version.plan
    earlier, link = request.args.get("from_run"), request.args.get("job")
    if preset := chosen_preset(version):
        return preset.job
    if link:
        return request_parsing.kept(request_parsing.job_of_link(link), _secrets(plan))
    if earlier and permissions.may_read(current_user(), dag_id):
        try:
            return request_parsing.kept(queries.get_run(dag_id, earlier).job, _secrets(plan))
        except NotFound:
            pass
    return {}


def _secrets(plan: Plan) -> list[str]:
    return [item.id for item in plan.inputs if item.is_secret]


def _plan_of(dag_id: str, digest: str | None) -> Plan | None:
    try:
        return details.get_workflow(dag_id, digest).plan
    except ServiceError:
        return None
