"""The page that starts a run."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

from flask import request, url_for
from flask_appbuilder import expose

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import requires
from cwl_ui_plugin.cwl import jobs
from cwl_ui_plugin.cwl.errors import CwlError
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.runs import inspection, triggering, workflows
from cwl_ui_plugin.runs.errors import NotFound, RunsError
from cwl_ui_plugin.views.base import CwlView, user_name
from cwl_ui_plugin.views.forms import TriggerForm


class TriggerView(CwlView):
    """Starting runs."""

    default_view = "form"

    @expose("/workflows/<dag_id>/run", methods=["GET", "POST"])
    @requires(permissions.may_trigger, "dag_id")
    def form(self, dag_id: str) -> Any:
        """Show the job to fill in; check it and start the run."""
        plan = workflows.get_workflow(dag_id).plan
        form = TriggerForm()
        if request.method == "GET":
            form.run_id.data = _new_run_id()
            form.job.data = _first_job(dag_id, plan)
            return self._show(dag_id, plan, form)
        return self._start(dag_id, plan, form)

    def _start(self, dag_id: str, plan: Plan, form: TriggerForm) -> Any:
        if form.job_file.data:
            form.job.data = form.job_file.data.read().decode("utf-8", "replace")
        if not form.validate_on_submit():
            return self._show(dag_id, plan, form, status=400)
        try:
            job = jobs.read_job(form.job.data or "")
            run = triggering.trigger(
                dag_id, conf={"job": job}, run_id=form.run_id.data, user=user_name(), via=triggering.VIEW
            )
        except CwlError as error:
            return self._show(dag_id, plan, form, status=422, problem=error)
        except RunsError as error:
            return self._show(dag_id, plan, form, status=error.status, problem=error)
        return self.page("started.html", run=run, page=url_for("RunsView.show", dag_id=dag_id, run_id=run.run_id))

    def _show(
        self, dag_id: str, plan: Plan, form: TriggerForm, status: int = 200, problem: CwlError | RunsError | None = None
    ) -> Any:
        ordered = sorted(plan.inputs, key=lambda item: item.is_optional)
        problems: dict[str, list[str]] = {}
        for item in problem.problems if problem else ():
            name = (item.input or "").partition(".")[0].partition("[")[0]
            problems.setdefault(name, []).append(str(item))
        return self.page(
            "trigger.html",
            status,
            dag_id=dag_id,
            plan=plan,
            inputs=ordered,
            form=form,
            problem=problem,
            problems=problems,
        )


def _first_job(dag_id: str, plan: Plan) -> str:
    """Return the job to start from: that of an earlier run, or one made from the inputs."""
    earlier = request.args.get("from_run")
    if earlier:
        try:
            return jobs.job_text(plan, inspection.get_run(dag_id, earlier).job)
        except NotFound:
            pass
    return jobs.job_text(plan)


def _new_run_id() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%S}-{uuid.uuid4().hex[:6]}"
