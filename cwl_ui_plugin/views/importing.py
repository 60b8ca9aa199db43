"""Workflows from a registry or an address: the page that fetches them."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from flask_wtf import FlaskForm
from werkzeug.exceptions import Forbidden
from wtforms import BooleanField, StringField
from wtforms.validators import DataRequired, Length, Optional

from cwl_ui_plugin import config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user
from cwl_ui_plugin.services.errors import ServiceError
from cwl_ui_plugin.services.importing import imports
from cwl_ui_plugin.services.importing.addresses import MAX_ADDRESS
from cwl_ui_plugin.views.base import CwlView, user_name
from cwl_ui_plugin.views.forms import DAG_ID


class ImportForm(FlaskForm):
    """Where a workflow is."""

    url = StringField(
        "Address",
        validators=[DataRequired("Say where the workflow is."), Length(max=MAX_ADDRESS)],
        description="A TRS id or address (trs://host/id/version), a page of Dockstore or WorkflowHub, a git "
        "repository, a zip, or a CWL document.",
    )
    ref = StringField(
        "Version, tag, branch or commit",
        validators=[Optional(), Length(max=200)],
        description="Only where the address does not name it.",
    )
    path = StringField(
        "Main document",
        validators=[Optional(), Length(max=500)],
        description="Its path in the repository or zip, if there are several.",
    )
    dag_id = StringField(
        "Name", validators=[Optional(), Length(max=200), DAG_ID], description="Empty: made from the address."
    )
    replace = BooleanField("Make it a new version, if there is a workflow of that name")


class ImportView(CwlView):
    """The page that fetches workflows."""

    default_view = "form"

    @expose("/imports", methods=["GET", "POST"])
    def form(self) -> ResponseReturnValue:
        """Ask where a workflow is, and fetch it."""
        user = current_user()
        form = ImportForm(dag_id=request.args.get("dag_id"), replace="replace" in request.args)
        if not permissions.may_upload(user) or (form.replace.data and not permissions.may_replace(user)):
            raise Forbidden(DENIED)
        if request.method == "GET":
            return self._page(form)
        if not form.validate_on_submit():
            return self._page(form, 400)
        try:
            started = imports.import_workflow(
                form.url.data or "",
                user=user_name(),
                rights=permissions.upload_rights(user),
                ref=form.ref.data or None,
                path=form.path.data or None,
                dag_id=form.dag_id.data or None,
                replace=form.replace.data,
            )
        except ServiceError as error:
            return self._page(form, error.status, error)
        return redirect(url_for("WorkflowsView.upload", upload_id=started.id))

    def _page(self, form: ImportForm, status: int = 200, problem: ServiceError | None = None) -> ResponseReturnValue:
        return self.page("import.html", status, form=form, problem=problem, hosts=config.fetch_hosts())
