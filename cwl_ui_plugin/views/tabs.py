"""Tabs on Airflow's pages of Dags and of task instances. Airflow shows them for all of these, whatever is in them."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import requires
from cwl_ui_plugin.services.monitoring import task_kinds
from cwl_ui_plugin.services.workflows import details
from cwl_ui_plugin.views.base import CwlView


class TabsView(CwlView):
    """From what Airflow knows of the page that a tab is on to the page of ours that belongs there."""

    default_view = "dag"

    @expose("/tab/dag")
    @requires(permissions.may_read, "dag_id")
    def dag(self) -> ResponseReturnValue:
        """Lead to the page of the workflow, if there is one."""
        dag_id = request.args.get("dag_id", "")
        if details.is_stored(dag_id):
            return redirect(url_for("WorkflowsView.show", dag_id=dag_id))
        return self.page("no_tab.html", dag_id=dag_id, is_cwl=details.is_cwl_dag(dag_id))

    @expose("/tab/task")
    @requires(permissions.may_read, "dag_id")
    def task(self) -> ResponseReturnValue:
        """Lead to the page of the step that a task instance runs, if it runs one."""
        dag_id, run_id, task_id = (request.args.get(name, "") for name in ("dag_id", "run_id", "task_id"))
        map_index = request.args.get("map_index", -1, type=int)
        if not task_kinds.runs_cwl(dag_id, run_id, task_id, map_index):
            return self.page("no_tab.html", dag_id=dag_id, task_id=task_id, is_cwl=False)
        address = url_for("RunView.step", dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
        return redirect(address)
