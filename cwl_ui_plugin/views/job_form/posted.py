"""The job that a page has sent, whichever way it was written."""

from __future__ import annotations

from flask import request

from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.views.job_form import request_parsing
from cwl_ui_plugin.views.job_form.draft import FORM, Draft


def posted_draft(plan: Plan) -> Draft:
    """Return the job that was sent; without a word about how, it is the text."""
    imported = request.files.get("job_file")
    if imported is not None and imported.filename:
        return Draft.of_text(plan, request_parsing.text_of(request, "job_file"))
    text = request_parsing.text_of(request, "job")
    if request.form.get("source") == FORM:
        return Draft.of_fields(plan, request_parsing.fields_of(request), text)
    return Draft.of_text(plan, text)
