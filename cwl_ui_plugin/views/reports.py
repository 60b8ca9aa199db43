"""The reports of a run: what the receiver was told, and what waits."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user, requires
from cwl_ui_plugin.services.settings import report_delivery
from cwl_ui_plugin.views.base import CwlView
from cwl_ui_plugin.views.forms import ActionForm

PAGE_SIZE = 50


class ReportsView(CwlView):
    """Reports, for whoever may see the run."""

    default_view = "of_run"

    @expose("/runs/<string:dag_id>/<path:run_id>/reports")
    @requires(permissions.may_read, "dag_id")
    def of_run(self, dag_id: str, run_id: str) -> ResponseReturnValue:
        """Show the reports of a run, the last first; also of a run that was deleted."""
        user = current_user()
        offset = max(0, request.args.get("offset", 0, type=int))
        return self.page(
            "reports.html",
            dag_id=dag_id,
            run_id=run_id,
            reports=report_delivery.reports_of(dag_id, run_id, PAGE_SIZE, offset),
            delivery=report_delivery.delivery_state() if permissions.may_read_connection(user) else None,
            may_retry=permissions.may_edit_connection(user),
            action=ActionForm(),
            retried="retried" in request.args,
            offset=offset,
            page_size=PAGE_SIZE,
        )
