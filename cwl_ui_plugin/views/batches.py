"""Batches of a workflow: the list with its start, and the page of one: samples by steps, outputs, stop, again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args
from urllib.parse import unquote

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.wrappers import Response as BaseResponse

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user, requires
from cwl_ui_plugin.cwl.value_files import LongList, beginning, has_long
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.batches import batches, drafts, reasons, stops
from cwl_ui_plugin.services.batches import outputs as batch_outputs
from cwl_ui_plugin.services.batches.models import Batch, BatchRow, BatchStep, RowState
from cwl_ui_plugin.services.errors import BadRequest, NotFound, ServiceError
from cwl_ui_plugin.services.outputs.output_files import name_in, output_place
from cwl_ui_plugin.services.workflows import details
from cwl_ui_plugin.views.base import CwlView, answer_json, user_name, wants_json
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.presenting import value_text

BATCHES = 25
PAGE = 100
OUTPUT_ROWS = 50
MAX_FILES = 20
"""Files of one output that a cell of the table names."""
MAX_TEXT = 250
ROW_STATES: tuple[str, ...] = get_args(RowState)
MARKS = {
    "success": "✓",
    "failed": "✕",
    "running": "●",
    "waits": "…",
    "no_status": "·",
    "not_run": "-",
    "skipped": "→",
    "stopped": "■",
    "awaiting_input": "?",
    "up_for_retry": "↻",
}
"""States of steps are told by a mark, too, not by a colour alone."""


@dataclass(frozen=True)
class OutputLink:
    """A file of an output, or another value: then without a path in the run's outputs."""

    text: str
    path: str | None = None


class BatchView(CwlView):
    """Batches."""

    default_view = "index"

    @expose("/workflows/<dag_id>/batches")
    @requires(permissions.may_read, "dag_id")
    def index(self, dag_id: str) -> ResponseReturnValue:
        """Show the batches of a workflow, and where a new one begins."""
        offset = max(0, request.args.get("offset", 0, type=int))
        workflow = details.get_workflow(dag_id)
        return self.page(
            "batches.html",
            workflow=workflow,
            plan=workflow.plan,
            user=current_user(),
            action=ActionForm(),
            dag_id=dag_id,
            batches=batches.list_of(dag_id, limit=BATCHES, offset=offset),
            drafts=drafts.list_of(dag_id, user_name()),
            offset=offset,
            page_size=BATCHES,
        )

    @expose("/workflows/<dag_id>/batches/<batch_id>")
    @requires(permissions.may_read, "dag_id")
    def show(self, dag_id: str, batch_id: str) -> ResponseReturnValue:
        """Show a batch: a line for each sample; a script asks for what has changed."""
        context = _shown(dag_id, batch_id)
        if not wants_json():
            return self.page("batch.html", **context)
        html = {part: self.render_template(f"cwl_ui_plugin/batch_{part}.html", **context) for part in ("head", "rows")}
        answer = answer_json({"parts": html, "ended": context["batch"].has_ended})
        answer.set_etag(hashlib.sha256("".join(html.values()).encode()).hexdigest())
        return answer.make_conditional(request)

    @expose("/workflows/<dag_id>/batches/<batch_id>/outputs")
    @requires(permissions.may_read, "dag_id")
    def outputs(self, dag_id: str, batch_id: str) -> ResponseReturnValue:
        """Show what came out: a line for each sample, a column for each output."""
        offset = max(0, request.args.get("offset", 0, type=int))
        found = batch_outputs.outputs(dag_id, batch_id, limit=OUTPUT_ROWS, offset=offset)
        names = batch_outputs.output_ids(dag_id, batch_id)
        cells = {
            row.number: [_links(dag_id, row.run_id, (row.outputs or {}).get(name)) for name in names]
            for row in found.items
        }
        return self.page(
            "batch_outputs.html",
            dag_id=dag_id,
            batch=batches.get(dag_id, batch_id),
            names=names,
            found=found,
            cells=cells,
            offset=offset,
            page_size=OUTPUT_ROWS,
        )

    @expose("/workflows/<dag_id>/batches/<batch_id>/retry", methods=["POST"])
    @requires(permissions.may_trigger, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def retry(self, dag_id: str, batch_id: str) -> BaseResponse:
        """Run what has failed again."""
        batches.retry(dag_id, batch_id, user=user_name(), files=permissions.input_access(current_user()))
        return redirect(url_for("BatchView.show", dag_id=dag_id, batch_id=batch_id))

    @expose("/workflows/<dag_id>/batches/<batch_id>/stop", methods=["POST"])
    @requires(permissions.may_stop, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def stop(self, dag_id: str, batch_id: str) -> ResponseReturnValue:
        """Stop all runs of a batch, and answer once that is proven."""
        try:
            stopped = stops.stop(dag_id, batch_id, user=user_name())
        except ServiceError as error:
            if not wants_json():
                raise
            return answer_json(
                {"detail": error.message, "problems": [str(problem) for problem in error.problems]}, error.status
            )
        if wants_json():
            return answer_json({"stopped": stopped})
        return redirect(url_for("BatchView.show", dag_id=dag_id, batch_id=batch_id))


def _shown(dag_id: str, batch_id: str) -> dict[str, Any]:
    """Return what the page of a batch shows."""
    state, text = request.args.get("state", ""), request.args.get("text", "")[:MAX_TEXT].replace("\0", "").strip()
    if state and state not in ROW_STATES:
        raise BadRequest(f"No row is {state[:40]!r}; there are {', '.join(ROW_STATES)}.")
    offset = max(0, request.args.get("offset", 0, type=int))
    batch = batches.get(dag_id, batch_id)
    rows = batches.rows(dag_id, batch_id, wanted=[state] if state else (), text=text, limit=PAGE, offset=offset)
    failed = [row.run_id for row in rows.items if row.state == "failed" and row.run_id]
    user = current_user()
    return {
        "dag_id": dag_id,
        "batch": batch,
        "rows": rows,
        "steps": _steps(batch, rows.items),
        "reasons": reasons.first_reasons(dag_id, failed),
        "marks": MARKS,
        "states": [name for name in ROW_STATES if batch.counts.get(name)],
        "sought": {"state": state, "text": text},
        "offset": offset,
        "page_size": PAGE,
        "action": ActionForm(),
        "may_stop": permissions.may_stop(user, dag_id) and not batch.has_ended,
        "may_retry": permissions.may_trigger(user, dag_id) and batch.can_retry,
    }


def _steps(batch: Batch, rows: tuple[BatchRow, ...]) -> list[BatchStep]:
    """Return the steps of the workflow in the version of a batch; where that is gone, none."""
    version = details.stored_version(batch.dag_id, batch.version)
    if version is None:
        return list(next((row.steps for row in rows if row.steps), ()))
    return [BatchStep(step.id, step.label or step.id, "") for step in version.plan.steps]


def _links(dag_id: str, run_id: str | None, value: object) -> list[OutputLink]:
    """Return the files of an output with their paths in the run's outputs, or its value as text."""
    if run_id is None or value is None:
        return []
    place = _place(dag_id, run_id)
    files = list(islice(_files_in(value), MAX_FILES + 1))
    if not files:
        return [OutputLink(beginning(value, MAX_TEXT) if has_long(value) else value_text(value))]
    shown = [
        OutputLink(_file_name(file), name_in(place, file.get("location") or file.get("path")) if place else None)
        for file in files[:MAX_FILES]
    ]
    return [*shown, OutputLink("…")] if len(files) > MAX_FILES else shown


def _place(dag_id: str, run_id: str) -> Place | None:
    try:
        return output_place(dag_id, run_id, None)
    except NotFound:
        return None


def _files_in(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict) and value.get("class") in ("File", "Directory"):
        yield value
    elif isinstance(value, (dict, list, LongList)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _files_in(item)


def _file_name(file: dict[str, object]) -> str:
    location = str(file.get("location") or file.get("path") or "")
    name = str(file.get("basename") or unquote(location.rstrip("/").rpartition("/")[2]) or "file")
    return f"{name}/" if file.get("class") == "Directory" else name
