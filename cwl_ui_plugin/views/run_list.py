"""Runs: the list across workflows, two of them side by side, and the page of one, which is also the tab on Airflow's
page of the DagRun."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.exceptions import Forbidden

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user, requires
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.monitoring import comparison, naming, queries, run_states
from cwl_ui_plugin.services.run_models import RunFilter
from cwl_ui_plugin.views import run_overview
from cwl_ui_plugin.views.base import CwlView, user_name, wants_json
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.stops import stop_context

PAGE_SIZE = 50
MAX_FILTER = 250
SOUGHT = ("text", "state", "tag", "user", "since", "until")
"""What the list can be searched by."""


class RunsView(CwlView):
    """Watching runs."""

    default_view = "index"

    @expose("/runs")
    def index(self) -> ResponseReturnValue:
        """Show the runs of all workflows that the user may read."""
        offset = max(0, request.args.get("offset", 0, type=int))
        dag_id = request.args.get("dag_id") or None
        user = current_user()
        readable = permissions.readable_dag_ids(user)
        among = readable & {dag_id} if dag_id else readable
        runs = queries.list_runs(among, wanted=_filter(), limit=PAGE_SIZE, offset=offset)
        return self.page(
            "runs.html",
            runs=runs,
            **stop_context(runs.items),
            triggerable={found for found in {run.dag_id for run in runs.items} if permissions.may_trigger(user, found)},
            states=run_states.SHOWN_STATES,
            sought={name: request.args.get(name, "") for name in SOUGHT},
            labelable={found for found in {run.dag_id for run in runs.items} if permissions.may_label(user, found)},
            dag_id=dag_id,
            offset=offset,
            page_size=PAGE_SIZE,
            action=ActionForm(),
        )

    @expose("/compare")
    def compare(self) -> ResponseReturnValue:
        """Show two runs side by side: those that were chosen in the list, each as dag_id/run_id."""
        chosen = [tuple(name.partition("/")[::2]) for name in request.args.getlist("run")]
        if len(chosen) != 2:
            raise BadRequest("Choose two runs to compare.")
        for dag_id, _run_id in chosen:
            if not permissions.may_read(current_user(), dag_id):
                raise Forbidden(DENIED)
        return self.page("compare.html", comparison=comparison.compare(*chosen))

    @expose("/run")
    @requires(permissions.may_read, "dag_id")
    def show(self) -> ResponseReturnValue:
        """Show one run; a script asks for the changing parts of the page alone, and only if they have changed."""
        dag_id, run_id = request.args.get("dag_id", ""), request.args.get("run_id", "")
        if wants_json():
            return run_overview.answer_changes(self, dag_id, run_id)
        return self.page("run.html", **run_overview.context(dag_id, run_id))

    @expose("/run/label", methods=["POST"])
    @requires(permissions.may_label, "dag_id")
    @requires(permissions.may_read, "dag_id")
    def label(self) -> ResponseReturnValue:
        """Give a run the title, the tags and the note that were sent."""
        dag_id, run_id = request.args.get("dag_id", ""), request.args.get("run_id", "")
        tags = request.form.get("tags", "").split(",")
        given = naming.Naming(request.form.get("title", ""), tags, request.form.get("note", ""))
        naming.name_run(dag_id, run_id, given, user=user_name())
        return redirect(url_for("RunsView.show", dag_id=dag_id, run_id=run_id))


def _filter() -> RunFilter:
    until = _day("until")
    return RunFilter(
        shown_state=request.args.get("state") or None,
        text=request.args.get("text", "")[:MAX_FILTER],
        tag=request.args.get("tag", "")[:MAX_FILTER].strip(),
        user=request.args.get("user", "")[:MAX_FILTER].strip(),
        since=_day("since"),
        until=until + timedelta(days=1) if until else None,
    )


def _day(name: str) -> datetime | None:
    text = request.args.get(name, "")
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc) if text else None
    except ValueError:
        raise BadRequest(f"{text!r} is no day; write it as 2026-01-31.") from None
