"""The list of workflows with its upload, and the page of one workflow."""

from __future__ import annotations

from contextlib import suppress

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as BaseResponse

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user, requires
from cwl_ui_plugin.services.crates import importing
from cwl_ui_plugin.services.errors import NotFound, ServiceError
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.workflow_models import Upload
from cwl_ui_plugin.services.workflows import approvals, compilation_state, details, examples, uploads
from cwl_ui_plugin.services.workflows.listing import DEFAULT_SORT, deleted_workflows, list_workflows
from cwl_ui_plugin.views.base import CwlView, answer_json, user_name, wants_json
from cwl_ui_plugin.views.forms import ActionForm, UploadForm
from cwl_ui_plugin.views.job_form.request_parsing import link_of_job

PAGE_SIZE = 50
SHOWN_RUNS = 5


class WorkflowsView(CwlView):
    """Workflows. Its permissions are the plugin's own in auth managers that keep such."""

    default_view = "index"
    class_permission_name = permissions.WORKFLOWS
    base_permissions = ["can_create", "can_edit", "can_delete"]

    @expose("/")
    def home(self) -> BaseResponse:
        """Lead to the list."""
        return redirect(url_for("WorkflowsView.index"))

    @expose("/workflows", methods=["GET", "POST"])
    def index(self) -> ResponseReturnValue:
        """Show the workflows that the user may read; take an upload."""
        form = UploadForm(dag_id=request.args.get("dag_id"), replace="replace" in request.args)
        if request.method == "POST":
            return self._upload(form)
        return self._list(form)

    @expose("/examples/<name>", methods=["POST"])
    def example(self, name: str) -> BaseResponse:
        """Upload one of the examples."""
        if not permissions.may_upload(current_user()):
            raise Forbidden(DENIED)
        started = examples.start(name, user=user_name(), rights=permissions.upload_rights(current_user()))
        return redirect(url_for("WorkflowsView.upload", upload_id=started.id))

    @expose("/uploads/<upload_id>")
    def upload(self, upload_id: str) -> ResponseReturnValue:
        """Show how an upload is doing; the page follows it by itself."""
        found = uploads.get_upload(upload_id)
        if found.user != user_name():
            raise NotFound(f"There is no upload {upload_id!r}.")
        if wants_json():
            return answer_json(_upload_json(found))
        if found.state == "done":
            return redirect(url_for("WorkflowsView.show", dag_id=found.dag_id))
        return self.page("upload.html", upload=found)

    @expose("/workflows/<dag_id>")
    @requires(permissions.may_read, "dag_id")
    def show(self, dag_id: str) -> ResponseReturnValue:
        """Show one workflow; ``version`` chooses an earlier one."""
        detail = details.get_workflow(dag_id, request.args.get("version") or None)
        return self.page(
            "workflow.html",
            workflow=detail,
            plan=detail.plan,
            runs=queries.list_runs([dag_id], limit=SHOWN_RUNS).items,
            example_job=link_of_job(examples.job_of(dag_id)),
            user=current_user(),
            action=ActionForm(),
            approvals=approvals.approvals_of(dag_id) if detail.version.digest == detail.summary.digest else None,
        )

    @expose("/workflows/<dag_id>/graph")
    @requires(permissions.may_read, "dag_id")
    def graph(self, dag_id: str) -> Response:
        """Answer the graph of a workflow; ``version`` chooses an earlier one."""
        return answer_json(details.workflow_graph(dag_id, request.args.get("version") or None))

    @expose("/workflows/<dag_id>/delete", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def delete(self, dag_id: str) -> BaseResponse:
        """Delete a workflow; its runs stay, and it can be restored."""
        if not permissions.may_delete(current_user(), dag_id):
            raise Forbidden(DENIED)
        details.delete_workflow(dag_id)
        return redirect(url_for("WorkflowsView.index", deleted=dag_id))

    def _list(self, form: UploadForm, status: int = 200, problem: ServiceError | None = None) -> ResponseReturnValue:
        user = current_user()
        readable = permissions.readable_dag_ids(user)
        search, sort = request.args.get("search", "").strip(), request.args.get("sort", DEFAULT_SORT)
        offset = max(0, request.args.get("offset", 0, type=int))
        may_upload = permissions.may_upload(user)
        found = list_workflows(readable, search, sort=sort, limit=PAGE_SIZE, offset=offset)
        return self.page(
            "workflows.html",
            status,
            form=form,
            action=ActionForm(),
            problem=problem,
            workflows=found.items,
            total=found.total,
            deleted=deleted_workflows(readable & permissions.restorable_dag_ids(user)),
            just_deleted=request.args.get("deleted"),
            examples=examples.not_added() if may_upload and not search and not offset else (),
            is_uploading=form.replace.data or problem is not None or bool(form.errors) or "upload" in request.args,
            offset=offset,
            page_size=PAGE_SIZE,
            search=search,
            sort=sort,
            may_upload=may_upload,
            recompiling=compilation_state.progress(),
            deletable=permissions.deletable_dag_ids(user),
        )

    def _upload(self, form: UploadForm) -> ResponseReturnValue:
        user = current_user()
        if not permissions.may_upload(user) or (form.replace.data and not permissions.may_replace(user)):
            raise Forbidden(DENIED)
        if not form.validate_on_submit():
            errors = [message for field in form for message in field.errors]
            return answer_json({"detail": " ".join(errors)}, 400) if wants_json() else self._list(form, 400)
        try:
            if crate := _sent_crate(form):
                return _imported(form, crate)
            started = uploads.start_upload(
                [uploads.UploadedFile(file.filename, file.stream) for file in form.files.data if file.filename],
                user=user_name(),
                rights=permissions.upload_rights(user),
                dag_id=form.dag_id.data or None,
                main=form.main.data or None,
                replace=form.replace.data,
            )
        except ServiceError as error:
            if wants_json():
                return answer_json({"detail": error.message, "html": _problems_html(error)}, error.status)
            return self._list(form, error.status, error)
        if wants_json():
            return _accepted(started)
        return redirect(url_for("WorkflowsView.upload", upload_id=started.id))


def _sent_crate(form: UploadForm) -> uploads.UploadedFile | None:
    """Return the crate that was sent, if it is one and alone."""
    files = [file for file in form.files.data if file.filename]
    if len(files) != 1 or not importing.is_crate(files[0].stream):
        return None
    return uploads.UploadedFile(files[0].filename, files[0].stream)


def _imported(form: UploadForm, crate: uploads.UploadedFile) -> ResponseReturnValue:
    """Import a crate; lead to the form of its workflow, filled in with the job of its run."""
    user = current_user()
    if not permissions.may_add_inputs(user):
        raise Forbidden(DENIED)
    begun = importing.begin(
        crate,
        user=user_name(),
        rights=permissions.upload_rights(user),
        access=permissions.input_access(user),
        dag_id=form.dag_id.data or None,
        replace=form.replace.data,
    )
    with suppress(ServiceError):  # finishing raises it, too, and takes back what was kept
        uploads.wait_upload(begun.upload.id)
    made = importing.finish(begun, user_name())
    page = f"{url_for('TriggerView.form', dag_id=made.dag_id)}?{made.form.partition('?')[2]}"
    return answer_json({"state": "done", "workflow": page}) if wants_json() else redirect(page)


def _accepted(upload: Upload) -> Response:
    return answer_json(_upload_json(upload), 202)


def _upload_json(upload: Upload) -> dict[str, object]:
    answer = {
        **upload.as_json(),
        "url": url_for("WorkflowsView.upload", upload_id=upload.id),
        "workflow": url_for("WorkflowsView.show", dag_id=upload.dag_id) if upload.state == "done" else None,
    }
    return answer if upload.state != "failed" else {**answer, "html": _problems_html(upload)}


def _problems_html(failed: Upload | ServiceError) -> str:
    return str(render_template("cwl_ui_plugin/upload_problems.html", failed=failed, can_choose=True))
