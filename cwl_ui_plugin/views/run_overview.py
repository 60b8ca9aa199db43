"""The page of a run: what it shows, and what a script is told while the run goes on."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Response, request

from cwl_ui_plugin import config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user
from cwl_ui_plugin.dags.names import DISPATCHER, GATHERER
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.monitoring import expected_duration, queries, step_groups, waiting
from cwl_ui_plugin.services.monitoring.step_groups import StepGroup, StepLine
from cwl_ui_plugin.services.outputs import output_tree
from cwl_ui_plugin.services.outputs.value_tree import Node
from cwl_ui_plugin.services.provenance import run_inputs
from cwl_ui_plugin.services.run_models import RunDetail, RunSummary, StepState
from cwl_ui_plugin.services.settings import report_delivery
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.workflows import details
from cwl_ui_plugin.views.base import answer_json
from cwl_ui_plugin.views.continuing import failure_context
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.stops import stop_context
from cwl_ui_plugin.views.timeline import timeline

if TYPE_CHECKING:
    from cwl_ui_plugin.views.base import CwlView

PARTS = ("head", "problem", "outputs", "timeline", "steps")
"""What changes while a run goes on, in the order of the page; each is a template."""
RECORDED_WITHIN = timedelta(minutes=5)
"""After this no more reports about the end of a run are expected, whatever was recorded."""
_YOUNG, _OLDER = 5.0, 1.05


def context(dag_id: str, run_id: str) -> dict[str, Any]:
    """Return what the templates show of a run; raise :class:`NotFound`."""
    run = queries.get_run(dag_id, run_id)
    groups = step_groups.group_steps(run.steps)
    lines = step_groups.fold(groups)
    failed = _failures(run)
    summary = run.summary
    user = current_user()
    reports = report_delivery.delivery_of(dag_id, run_id)
    return {
        "run": run,
        "summary": summary,
        "parts": PARTS,
        "lines": [StepLine(group, state=group.state) for group in groups] if shows_all() else lines,
        "shows_all": shows_all(),
        "has_tasks": bool(groups),
        "activity": _activity(run),
        "waits": waiting.why(run, partial(permissions.may_read, user)),
        "states": {group.task_id: _graph_state(group) for group in groups},
        "timeline": timeline(lines, groups, summary.started_at, summary.ended_at),
        **failure_context(run, failed),
        "input_nodes": partial(_input_nodes, run),  # the page asks for it once, its changing parts never
        "has_pictures": output_tree.has_pictures(run.outputs),
        "nodes": output_tree.output_nodes(dag_id, run_id, known=run.outputs) if run.outputs else None,
        "expected": expected_duration.expected_seconds(dag_id, run_id),
        "elapsed": _elapsed(summary),
        "waited": expected_duration.seconds_waited(dag_id, run_id) if _asks(run) else 0.0,
        "reports": reports,
        "is_over": _is_over(summary, reports),
        "is_cwl": details.is_cwl_dag(dag_id),
        "is_stored": run.version is not None,
        "origin": details.origin_of(dag_id, run.version),
        "labels": details.port_labels(dag_id, run.version),
        "keep_logs_days": config.number("keep_logs_days"),
        **stop_context([summary]),
        "is_stopping": stops.progress(dag_id, run_id) is not None,
        "may_trigger": permissions.may_trigger(user, dag_id),
        "may_schedule": permissions.may_schedule(user, dag_id),
        "may_label": permissions.may_label(user, dag_id),
        "action": ActionForm(),
    }


def shows_all() -> bool:
    """Whether the page is asked to show Airflow's own tasks, and not the workflow's steps alone."""
    return request.args.get("tasks") == "all"


def _input_nodes(run: RunDetail) -> Page[Node]:
    """Return the inputs as far as the user may see them."""
    summary, access = run.summary, permissions.input_access(current_user())
    return run_inputs.input_nodes(summary.dag_id, summary.run_id, access, known=run.job)


def answer_changes(view: CwlView, dag_id: str, run_id: str) -> Response:
    """Answer a script: the parts of the page as HTML, or 304 where they are as it has them already."""
    stamp = queries.run_stamp(dag_id, run_id)
    news = _short(stamp.text)
    tag = _short(f"{news}|{_age(stamp.seconds)}|{waiting.stamp(dag_id, run_id) if stamp.waits else ''}")
    if request.if_none_match.contains(tag):
        answer = Response(status=304)
    else:
        found = context(dag_id, run_id)
        html = {part: view.render_template(f"cwl_ui_plugin/run_{part}.html", **found) for part in PARTS}
        ended, over = found["summary"].has_ended, found["is_over"]
        answer = answer_json({"parts": html, "states": found["states"], "news": news, "ended": ended, "over": over})
    answer.set_etag(tag)
    return answer


def _is_over(summary: RunSummary, reports: report_delivery.RunDelivery) -> bool:
    """Whether nothing more will happen: the run has ended, and the receiver has the reports about that."""
    if not summary.has_ended:
        return False
    if not reports.is_wanted:
        return True
    ended = datetime.fromisoformat(summary.ended_at) if summary.ended_at else datetime.now(timezone.utc)
    is_recorded = reports.is_settled or datetime.now(timezone.utc) - ended > RECORDED_WITHIN
    return is_recorded and not reports.waiting


def _failures(run: RunDetail) -> list[StepState]:
    """Return the steps that failed by themselves; those that a stop ended did not, and the page says who stopped it."""
    return [step for step in run.steps if step.shown_state == "failed"]


def _asks(run: RunDetail) -> bool:
    return any(step.approval for step in run.steps)


def _activity(run: RunDetail) -> str | None:
    """Return what a run does before its first step and after its last, where nothing else says it."""
    running = {step.task_id.rpartition(".")[2] for step in run.steps if step.state == "running"}
    if run.summary.has_ended or not running <= {DISPATCHER, GATHERER}:
        return None
    return "looking at the inputs" if DISPATCHER in running else "delivering the outputs" if running else None


def _graph_state(group: StepGroup) -> str | dict[str, str]:
    """Return what the graph shows of a step."""
    if not group.is_scattered:
        return group.state
    done = sum(count for state, count in group.counts if state in ("success", "skipped"))
    return {"state": group.state, "text": f"{done} of {len(group.members)}"}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _age(seconds: float) -> int:
    """Return a number that changes when a run got so much older that its bars are visibly longer."""
    return int(math.log(seconds / _YOUNG, _OLDER)) if seconds > _YOUNG else 0


def _elapsed(summary: RunSummary) -> float | None:
    if summary.started_at is None:
        return None
    end = datetime.fromisoformat(summary.ended_at) if summary.ended_at else datetime.now(timezone.utc)
    return max(0.0, (end - datetime.fromisoformat(summary.started_at)).total_seconds())
