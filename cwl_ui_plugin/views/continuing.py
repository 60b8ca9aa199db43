"""What can be done about a run that failed: going on, mending its workflow; and what its steps used and asked for."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.exceptions import Forbidden

from cwl_ui_plugin import addresses
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user, requires
from cwl_ui_plugin.services.continuing import continues, fixes
from cwl_ui_plugin.services.continuing.models import Continuation, Forecast
from cwl_ui_plugin.services.continuing.step_inputs import step_inputs
from cwl_ui_plugin.services.errors import NotFound, ServiceError
from cwl_ui_plugin.services.monitoring import failure_advice, queries, resource_report
from cwl_ui_plugin.services.monitoring.failures import failures_of
from cwl_ui_plugin.services.run_models import RunDetail, StepState
from cwl_ui_plugin.services.triggering import refusals, triggers
from cwl_ui_plugin.services.workflow_models import Upload
from cwl_ui_plugin.services.workflows import details, uploads
from cwl_ui_plugin.views.addresses import rooted
from cwl_ui_plugin.views.base import CwlView, user_name, wants_json
from cwl_ui_plugin.views.forms import ActionForm

MAX_FAILURES = 5


class ContinueView(CwlView):
    """Going on after a failure."""

    default_view = "fix"

    @expose("/run/continue", methods=["POST"])
    @requires(permissions.may_continue, "dag_id")
    def go_on(self) -> ResponseReturnValue:
        """Let a run go on, and show it."""
        dag_id, run_id = _run()
        continues.continue_run(dag_id, run_id, user=user_name())
        return redirect(url_for("RunsView.show", dag_id=dag_id, run_id=run_id))

    @expose("/run/fix")
    @requires(permissions.may_trigger, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def fix(self) -> ResponseReturnValue:
        """Choose a version, or upload one, and see which steps a run of it would take over."""
        return self._fix()

    @expose("/run/fix", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def start(self) -> ResponseReturnValue:
        """Start the run."""
        dag_id, run_id = _run()
        version = request.form.get("version") or None
        try:
            with refusals.recorded(dag_id, None, user_name()):
                begun = fixes.fix_and_continue(
                    dag_id,
                    run_id,
                    user=user_name(),
                    via=triggers.VIEW,
                    version=version,
                    files=permissions.input_access(current_user()),
                )
        except ServiceError as error:
            return self._fix(version, error)
        return redirect(url_for("RunsView.show", dag_id=dag_id, run_id=begun.run.run_id))

    @expose("/run/fix/upload", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def upload(self) -> ResponseReturnValue:
        """Take a new version, and come back once it can be run."""
        dag_id, run_id = _run()
        user = current_user()
        if not permissions.may_upload(user) or not permissions.may_replace(user):
            raise Forbidden(DENIED)
        files = [file for file in request.files.getlist("files") if file.filename]
        try:
            started = uploads.start_upload(
                [uploads.UploadedFile(str(file.filename), cast("BinaryIO", file.stream)) for file in files],
                user=user_name(),
                rights=permissions.upload_rights(user),
                dag_id=dag_id,
                replace=True,
            )
        except ServiceError as error:
            return self._fix(None, error)
        return redirect(url_for("ContinueView.fix", dag_id=dag_id, run_id=run_id, upload=started.id))

    @expose("/run/step/inputs")
    @requires(permissions.may_read, "dag_id")
    def inputs(self) -> ResponseReturnValue:
        """Show what a task instance has read."""
        dag_id, run_id = _run()
        found = step_inputs(
            dag_id, run_id, request.args.get("task_id", ""), request.args.get("map_index", -1, type=int)
        )
        shown: dict[str, Any] = {"summary": {"dag_id": dag_id, "run_id": run_id}, "inputs": found}
        if wants_json():
            return str(self.render_template("cwl_ui_plugin/step_inputs.html", **shown))
        run = queries.get_run(dag_id, run_id)
        return self.page(
            "run_fragment.html",
            fragment="cwl_ui_plugin/step_inputs.html",
            **{**shown, "run": run, "summary": run.summary},
        )

    @expose("/run/resources")
    @requires(permissions.may_read, "dag_id")
    def resources(self) -> ResponseReturnValue:
        """Report what each step asked for and used."""
        dag_id, run_id = _run()
        count = max(1, min(request.args.get("runs", resource_report.RUNS, type=int), resource_report.MAX_RUNS))
        return self.page(
            "resources.html",
            report=resource_report.report(dag_id, run_id, count),
            count=count,
            csv=rooted(addresses.resources_csv(dag_id, run_id, count)),
        )

    def _fix(self, version: str | None = None, problem: ServiceError | None = None) -> ResponseReturnValue:
        dag_id, run_id = _run()
        run = queries.get_run(dag_id, run_id)
        upload = _upload(dag_id)
        version = version or request.args.get("version") or None
        found, problem = _forecast(dag_id, run_id, version, problem)
        return self.page(
            "fix.html",
            problem.status if problem else 200,
            run=run,
            summary=run.summary,
            workflow=details.get_workflow(dag_id) if details.stored_version(dag_id) else None,
            forecast=found,
            problem=problem,
            upload=upload,
            may_upload=permissions.may_upload(current_user()) and permissions.may_replace(current_user()),
            action=ActionForm(),
        )


def failure_context(run: RunDetail, failed: list[StepState]) -> dict[str, object]:
    """Return what the page of a run shows of its failures, and of what can be done about them."""
    summary, user = run.summary, current_user()
    groups = failures_of(failed, run.steps)
    has_failed = summary.state == "failed"
    may_continue = has_failed and permissions.may_continue(user, summary.dag_id)
    is_fixable = has_failed and run.version is not None and permissions.may_trigger(user, summary.dag_id)
    return {
        "failures": [(group, failure_advice.advice(group.first)) for group in groups[:MAX_FAILURES]],
        "more_failures": sum(len(group.members) for group in groups[MAX_FAILURES:]),
        "continuation": _continuation(summary.dag_id, summary.run_id) if may_continue else None,
        "is_fixable": is_fixable,
        "followers": fixes.followers(summary.dag_id, summary.run_id) if has_failed else (),
        "taken_over": sum(step.taken_over for step in run.steps),
    }


def _continuation(dag_id: str, run_id: str) -> Continuation | None:
    """Return whether a run can go on; nothing for one of a Dag that is no workflow."""
    return continues.continuation(dag_id, run_id) if details.is_cwl_dag(dag_id) else None


def _run() -> tuple[str, str]:
    return request.args.get("dag_id", ""), request.args.get("run_id", "")


def _upload(dag_id: str) -> Upload | None:
    """Return the upload that the page waits for, if it is this user's and of this workflow."""
    name = request.args.get("upload")
    found = uploads.get_upload(name) if name else None
    if found and (found.user != user_name() or found.dag_id != dag_id):
        raise NotFound(f"There is no upload {name!r}.")
    return found


def _forecast(
    dag_id: str, run_id: str, version: str | None, problem: ServiceError | None
) -> tuple[Forecast | None, ServiceError | None]:
    try:
        return fixes.preview(dag_id, run_id, version), problem
    except ServiceError as error:
        return None, problem or error
