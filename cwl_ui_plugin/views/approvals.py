"""Before which steps of a workflow somebody is asked: chosen on its page."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask_appbuilder import expose
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as BaseResponse

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user, requires
from cwl_ui_plugin.services.workflows import approvals
from cwl_ui_plugin.views.base import CwlView, user_name


class ApprovalsView(CwlView):
    """Which steps are to be approved."""

    default_view = "choose"

    @expose("/workflows/<dag_id>/approvals", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def choose(self, dag_id: str) -> BaseResponse:
        """Ask before the steps that are sent, from now on."""
        if not permissions.may_replace(current_user(), dag_id):
            raise Forbidden(DENIED)
        approvals.choose(dag_id, request.form.getlist("step"), user=user_name())
        return redirect(url_for("WorkflowsView.show", dag_id=dag_id, _anchor="steps"))
