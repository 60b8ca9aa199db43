"""Runs: the list across workflows, and the page of one, which is also the tab on Airflow's page of the DagRun."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import request
from flask_appbuilder import expose

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user, requires
from cwl_ui_plugin.runs import inspection, outputs, stopping, workflows
from cwl_ui_plugin.views.base import CwlView, answer_json, wants_json
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.presenting import app_root
from cwl_ui_plugin.views.stops import stop_context

PAGE_SIZE = 50


class RunsView(CwlView):
    """Watching runs."""

    default_view = "index"

    @expose("/runs")
    def index(self) -> Any:
        """Show the runs of all workflows that the user may read."""
        offset = max(0, request.args.get("offset", 0, type=int))
        state, dag_id = request.args.get("state") or None, request.args.get("dag_id") or None
        readable = permissions.readable_dag_ids(current_user())
        wanted = readable & {dag_id} if dag_id else readable
        runs = inspection.list_runs(wanted, state=state, limit=PAGE_SIZE, offset=offset)
        return self.page(
            "runs.html",
            runs=runs,
            action=ActionForm(),
            **stop_context(runs.items),
            states=inspection.STATES,
            state=state,
            dag_id=dag_id,
            offset=offset,
            page_size=PAGE_SIZE,
        )

    @expose("/run")
    @requires(permissions.may_read, "dag_id")
    def show(self) -> Any:
        """Show one run; a script asks for the changing part of the page alone."""
        dag_id, run_id = request.args.get("dag_id", ""), request.args.get("run_id", "")
        context = self._context(dag_id, run_id)
        if wants_json():
            html = self.render_template("cwl_ui_plugin/run_state.html", **context)
            return answer_json({"html": html, "ended": context["run"].summary.has_ended})
        return self.page("run.html", **context)

    def _context(self, dag_id: str, run_id: str) -> dict[str, Any]:
        run = inspection.get_run(dag_id, run_id)
        user = current_user()
        return {
            "run": run,
            "is_cwl": workflows.is_cwl_dag(dag_id),
            "is_stored": run.version is not None,
            "files": outputs.output_tree(dag_id, run_id) if run.outputs else [],
            "values": _values(run.outputs),
            "files_url": _files_url(dag_id, run_id),
            **stop_context([run.summary]),
            "is_stopping": stopping.progress(dag_id, run_id) is not None,
            "may_trigger": permissions.may_trigger(user, dag_id),
            "action": ActionForm(),
        }


def _files_url(dag_id: str, run_id: str) -> str:
    return f"{app_root()}/cwl/api/v1/workflows/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}/files"


def _values(found: dict[str, Any] | None) -> dict[str, Any]:
    """Return the outputs that are no files."""
    return {name: value for name, value in (found or {}).items() if "class" not in str(value)}
