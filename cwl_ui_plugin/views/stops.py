"""Stopping runs: from the page of one run, and from the list for one or many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.exceptions import Forbidden

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user, requires
from cwl_ui_plugin.services.errors import ServiceError
from cwl_ui_plugin.services.run_models import RunSummary
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.views.base import CwlView, answer_json, user_name, wants_json

HAS_ENDED = "The run has ended."


class StopView(CwlView):
    """Stopping a run, and watching how far that is."""

    @expose("/stop", methods=["POST"])
    @requires(permissions.may_stop, "dag_id")
    def stop(self) -> ResponseReturnValue:
        """Stop a run, and say what was stopped."""
        dag_id, run_id = request.args.get("dag_id", ""), request.args.get("run_id", "")
        remove = "remove" in request.form
        if remove and not permissions.may_remove(current_user(), dag_id):
            raise Forbidden(DENIED)
        try:
            report = stops.stop_run(dag_id, run_id, user=user_name(), remove=remove)
        except ServiceError as error:
            if not wants_json():
                raise
            problems = [str(problem) for problem in error.problems]
            return answer_json({"detail": error.message, "problems": problems}, error.status)
        if wants_json():
            return answer_json(report.as_json())
        if remove:
            return redirect(url_for("RunsView.index", dag_id=dag_id))
        return redirect(url_for("RunsView.show", dag_id=dag_id, run_id=run_id))

    @expose("/stop/progress")
    @requires(permissions.may_read, "dag_id")
    def progress(self) -> ResponseReturnValue:
        """Say what is left of a run that is being stopped."""
        found = stops.progress(request.args.get("dag_id", ""), request.args.get("run_id", ""))
        return answer_json(found.as_json() if found else {})


def stop_context(runs: Iterable[RunSummary]) -> dict[str, Any]:
    """Return what ``stop_parts.html`` needs to know of the runs on a page.

    ``why_not_stop`` has, by dag_id and run_id, why a run can't be stopped; ``removable`` the dag_ids whose runs the
    user may remove.
    """
    runs, user = list(runs), current_user()
    dag_ids = {run.dag_id for run in runs}
    stoppable = {dag_id for dag_id in dag_ids if permissions.may_stop(user, dag_id)}
    return {
        "why_not_stop": {
            (run.dag_id, run.run_id): HAS_ENDED if run.has_ended else DENIED
            for run in runs
            if run.has_ended or run.dag_id not in stoppable
        },
        "removable": {dag_id for dag_id in dag_ids if permissions.may_remove(user, dag_id)},
    }
