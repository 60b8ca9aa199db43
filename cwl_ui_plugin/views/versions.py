"""The pages about versions of a workflow: source, comparison, download, which one is current."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, redirect, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as BaseResponse

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user, requires
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.stored_workflows import stored
from cwl_ui_plugin.services.workflows import details, versions
from cwl_ui_plugin.views.base import CwlView
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.highlighting import MAX_LINES

if TYPE_CHECKING:
    from cwl_ui_plugin.services.workflow_models import WorkflowDetail


PACKED = "packed"


class VersionsView(CwlView):
    """Versions of a workflow, and the files of each."""

    default_view = "index"

    @expose("/workflows/<dag_id>/source")
    @requires(permissions.may_read, "dag_id")
    def source(self, dag_id: str) -> ResponseReturnValue:
        """Show a file of a version, the main document by default."""
        detail = details.get_workflow(dag_id, request.args.get("version") or None)
        path = request.args.get("path") or detail.plan.main.partition("#")[0]
        text = details.source_text(dag_id, path, detail.version.digest)
        return self.page(
            "source.html",
            path=path,
            text=text,
            is_cut=len(text.encode()) >= details.MAX_SOURCE or text.count("\n") > MAX_LINES,
            **self._common(detail),
        )

    @expose("/workflows/<dag_id>/versions")
    @requires(permissions.may_read, "dag_id")
    def index(self, dag_id: str) -> ResponseReturnValue:
        """Show all versions; with ``old`` and ``new``, what these two differ in."""
        detail = details.get_workflow(dag_id, request.args.get("version") or None)
        digests = [version.digest for version in detail.versions]
        new = request.args.get("new") or digests[0]
        old = request.args.get("old") or digests[min(1, len(digests) - 1)]
        is_asked = "old" in request.args or "new" in request.args
        changes = versions.compare(dag_id, old, new) if is_asked else None
        return self.page("versions.html", old=old, new=new, changes=changes, **self._common(detail))

    @expose("/workflows/<dag_id>/download")
    @requires(permissions.may_read, "dag_id")
    def download(self, dag_id: str) -> Response:
        """Send a version: its files as a zip, or with ``form=packed`` one document."""
        version = stored(dag_id, request.args.get("version") or None)
        name = f"{dag_id}-{version.digest[:8]}"
        if request.args.get("form") == PACKED:
            answer = Response(versions.packed_document(version), mimetype="application/json")
            answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.cwl")
            return answer
        return send_file(
            versions.archive(version), mimetype="application/zip", as_attachment=True, download_name=f"{name}.zip"
        )

    @expose("/workflows/<dag_id>/current", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def make_current(self, dag_id: str) -> BaseResponse:
        """Let new runs use another version."""
        if not permissions.may_replace(current_user(), dag_id):
            raise Forbidden(DENIED)
        digest = request.form.get("version")
        if not digest:
            raise BadRequest("Say which version is to be the current one.")
        versions.make_current(dag_id, digest)
        return redirect(url_for("WorkflowsView.show", dag_id=dag_id))

    @expose("/workflows/<dag_id>/restore", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def restore(self, dag_id: str) -> BaseResponse:
        """Bring a deleted workflow back."""
        if not permissions.may_restore(current_user(), dag_id):
            raise Forbidden(DENIED)
        versions.restore(dag_id)
        return redirect(url_for("WorkflowsView.show", dag_id=dag_id))

    def _common(self, detail: WorkflowDetail) -> dict[str, Any]:
        return {"workflow": detail, "plan": detail.plan, "user": current_user(), "action": ActionForm()}
