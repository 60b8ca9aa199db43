"""From a sheet to a batch: which column gives which input, what all samples have, each row checked, and the start."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.wrappers import Response as BaseResponse

from cwl_ui_plugin import config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user, requires
from cwl_ui_plugin.cwl.errors import CwlError, JobError
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.batches import batches, drafts, sheets
from cwl_ui_plugin.services.batches.drafts import Draft
from cwl_ui_plugin.services.batches.mapping import guess, read_mapping
from cwl_ui_plugin.services.batches.models import Batch, CheckedSheet, InvalidSheet, Sheet
from cwl_ui_plugin.services.errors import BadRequest, ServiceError
from cwl_ui_plugin.services.stored_workflows import stored
from cwl_ui_plugin.services.triggering import refusals
from cwl_ui_plugin.views import batch_columns
from cwl_ui_plugin.views.base import CwlView, answer_json, user_name, wants_json
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.job_form import request_parsing
from cwl_ui_plugin.views.job_form.form import JobForm
from cwl_ui_plugin.views.trigger import PARTS_ABOVE

if TYPE_CHECKING:
    from cwl_ui_plugin.services.inputs.access import InputAccess


CHECK, ALL, GOOD = "check", "all", "good"
MAX_FOLDER = 4000


class BatchDraftView(CwlView):
    """Sheets on their way to a batch."""

    default_view = "show"

    @expose("/workflows/<dag_id>/batches/sheets", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def take(self, dag_id: str) -> ResponseReturnValue:
        """Take a sheet: a file, or a table that was pasted."""
        version = stored(dag_id)
        try:
            sheet, title = _sent_sheet()
            draft = drafts.create(_first_draft(dag_id, version.plan, sheet, title))
        except ServiceError as error:
            if wants_json():
                shown = {"problem": error, "found": found_of(error)}
                html = self.render_template("cwl_ui_plugin/batch_problems.html", **shown)
                return answer_json({"detail": error.message, "html": html}, error.status)
            return self.page(
                "batch_sheet.html",
                error.status,
                dag_id=dag_id,
                plan=version.plan,
                action=ActionForm(),
                problem=error,
                found=found_of(error),
            )
        page = url_for("BatchDraftView.show", dag_id=dag_id, draft_id=draft.id)
        return answer_json({"url": page}) if wants_json() else redirect(page)

    @expose("/workflows/<dag_id>/batches/sheets/<draft_id>", methods=["GET", "POST"])
    @requires(permissions.may_trigger, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def show(self, dag_id: str, draft_id: str) -> ResponseReturnValue:
        """Show a sheet with what is filled in around it; check that, or start it."""
        version = stored(dag_id)
        draft = drafts.fitting(drafts.get(dag_id, draft_id, user_name()), version.plan)
        if request.method == "GET":
            return self._show(version, draft, JobForm(version.plan, dict(draft.constants)))
        return self._posted(version, draft)

    @expose("/workflows/<dag_id>/batches/sheets/<draft_id>/remove", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    def remove(self, dag_id: str, draft_id: str) -> BaseResponse:
        """Remove a sheet that was not started."""
        drafts.discard(dag_id, draft_id, user_name())
        return redirect(url_for("BatchView.index", dag_id=dag_id))

    def _posted(self, version: StoredVersion, draft: Draft) -> ResponseReturnValue:
        form = JobForm(version.plan, posted=request_parsing.fields_of(request))
        problem: CwlError | ServiceError | None = None
        try:
            draft = _filled_in(draft, version.plan, form)
            act = request.form.get("act", CHECK)
            with refusals.recorded(draft.dag_id, None, user_name()) if act in (ALL, GOOD) else nullcontext():
                checked = drafts.checked_rows(draft, version.plan, _files())
                draft = replace(draft, findings=drafts.found_in(checked))
                if act in (ALL, GOOD):
                    return _started(_start(version, draft, checked, act), draft)
        except (CwlError, ServiceError) as error:
            problem = error
        drafts.keep(draft, version.plan)
        return self._show(version, draft, form, problem)

    def _show(
        self, version: StoredVersion, draft: Draft, form: JobForm, problem: CwlError | ServiceError | None = None
    ) -> ResponseReturnValue:
        form.show(problem.problems if problem else ())
        context = _context(version, draft, form, problem)
        status = getattr(problem, "status", 422) if problem else 200
        if not wants_json():
            return self.page("batch_draft.html", status, **context)
        parts = ("preview", "constants")
        html = {part: self.render_template(f"cwl_ui_plugin/batch_{part}.html", **context) for part in parts}
        return answer_json({"parts": html, "detail": problem.message if problem else ""})


def found_of(error: ServiceError) -> list[object]:
    """Return what is wrong in a sheet, cell by cell."""
    return list(error.found[: batch_columns.PAGE]) if isinstance(error, InvalidSheet) else []


def _context(
    version: StoredVersion, draft: Draft, form: JobForm, problem: CwlError | ServiceError | None
) -> dict[str, object]:
    plan = version.plan
    only_bad = request.values.get("rows") == "bad" and bool(draft.findings.bad)
    offset = max(0, request.args.get("offset", 0, type=int))
    rows, total = batch_columns.preview_rows(draft, plan, only_bad=only_bad, offset=offset)
    if offset and not rows:  # those that were there can start now, for instance
        offset = 0
        rows, total = batch_columns.preview_rows(draft, plan, only_bad=only_bad, offset=offset)
    given = batch_columns.mapped_inputs(plan, draft.mapping)
    return {
        "dag_id": draft.dag_id,
        "plan": plan,
        "draft": draft,
        "action": ActionForm(),
        "columns": batch_columns.columns_of(draft, plan),
        "choices": batch_columns.choices_of(plan, draft.mapping),
        "inputs": [item for item in form.inputs if item.parameter.id not in given],
        "rows": rows,
        "row_total": total,
        "only_bad": only_bad,
        "offset": offset,
        "page_size": batch_columns.PAGE,
        "kinds": batch_columns.problem_kinds(draft),
        "problem": problem,
        "default_max_active": config.batch_max_active(),
        "parts_above": PARTS_ABOVE,
    }


def _files() -> InputAccess:
    return permissions.input_access(current_user())


def _sent_sheet() -> tuple[Sheet, str]:
    """Return the sheet that was sent, and what to call it."""
    file = request.files.get("sheet")
    if file is not None and file.filename:
        return sheets.read(file.filename, cast("BinaryIO", file.stream)), file.filename
    pasted = request.files.get("pasted")
    if pasted is not None:
        return sheets.read("pasted.csv", cast("BinaryIO", pasted.stream)), "Pasted table"
    if text := request.form.get("pasted", "").strip("\r\n"):
        return sheets.read_text(text), "Pasted table"
    raise BadRequest("Choose a sheet (CSV, TSV or XLSX), or paste a table.")


def _first_draft(dag_id: str, plan: Plan, sheet: Sheet, title: str) -> Draft:
    """Return a draft with what the columns most likely are for, checked."""
    draft = Draft(dag_id, user_name(), title, sheet, guess(plan, sheet.columns))
    return replace(draft, findings=drafts.findings_of(draft, plan, _files()))


def _filled_in(draft: Draft, plan: Plan, form: JobForm) -> Draft:
    """Return the draft with what was filled in; raise :class:`BadRequest` for what can't be."""
    paths, name = batch_columns.posted_mapping(draft, request.form)
    mapping = read_mapping(plan, draft.sheet.columns, paths, name or None)
    given = batch_columns.mapped_inputs(plan, mapping)
    values = form.job()
    if bad := form.bad_texts():
        raise JobError("Some fields can't be read.", tuple(bad))
    folder = request.form.get("folder", "").strip()
    if len(folder) > MAX_FOLDER or "\0" in folder:
        raise BadRequest("The folder of the files can't be that.", field="folder")
    return replace(
        draft,
        mapping=mapping,
        constants={name: value for name, value in values.items() if name not in given},
        folder=folder,
        name=request.form.get("name", "")[: 2 * batches.MAX_NAME],
        max_active=_max_active(),
    )


def _max_active() -> int | None:
    text = request.form.get("max_active", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest("How many runs there may be at a time is a number.", field="max_active")
    return int(text)


def _started(batch: Batch, draft: Draft) -> ResponseReturnValue:
    """Lead to a batch; its draft is not needed any more."""
    drafts.discard(draft.dag_id, draft.id, draft.owner)
    page = url_for("BatchView.show", dag_id=batch.dag_id, batch_id=batch.id)
    return answer_json({"url": page}) if wants_json() else redirect(page)


def _start(version: StoredVersion, draft: Draft, checked: CheckedSheet, start: str) -> Batch:
    """Make a batch of the rows, which were checked just now."""
    return batches.create(
        draft.dag_id,
        version.digest,
        checked,
        draft.mapping,
        user=user_name(),
        files=_files(),
        start="good" if start == GOOD else "all",
        name=draft.name or draft.title,
        max_active=draft.max_active,
        request=batches.Request(draft.dag_id, draft.owner, f"sheet {draft.id}", [draft.id]),  # started twice, it is one
    )
