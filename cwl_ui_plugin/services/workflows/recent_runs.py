"""The last runs of workflows, for a page of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from cwl_ui_plugin.reports.stops import stops_run
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.workflow_models import RecentRun, WorkflowSummary

SHOWN = 10
_AT_ONCE = 200
"""Dags in one query: SQLite takes no more than 500 parts."""
_Runs = dict[str, tuple[RecentRun, ...]]


def recent_runs(dag_ids: Sequence[str]) -> _Runs:
    """Return the newest runs of each Dag that has any, oldest first; with one query for a page of Dags.

    Each Dag's are found from the end of an index: how many runs there are makes no difference.
    """
    found: _Runs = {}
    for first in range(0, len(dag_ids), _AT_ONCE):
        found |= _recent_runs(dag_ids[first : first + _AT_ONCE])
    return found


def _recent_runs(dag_ids: Sequence[str]) -> _Runs:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import and_, exists, select, union_all

    newest = [
        select(DagRun.id.label("id")).where(DagRun.dag_id == dag_id).order_by(DagRun.id.desc()).limit(SHOWN).subquery()
        for dag_id in dag_ids
    ]
    ids = union_all(*(select(part.c.id) for part in newest)).subquery()
    is_stopped = and_(DagRun.state == "failed", exists().where(stops_run()))
    columns = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.queued_at, DagRun.start_date, DagRun.end_date)
    query = select(*columns, is_stopped).where(DagRun.id.in_(select(ids.c.id))).order_by(DagRun.id)
    found: dict[str, list[RecentRun]] = {}
    now = datetime.now(timezone.utc)
    with create_session(scoped=False) as session:
        for dag_id, run_id, state, queued, started, ended, stopped in session.execute(query):
            seconds = ((ended or now) - started).total_seconds() if started else None
            found.setdefault(dag_id, []).append(RecentRun(run_id, str(state), iso(queued), seconds, bool(stopped)))
    return {dag_id: tuple(runs) for dag_id, runs in found.items()}


def with_runs(summary: WorkflowSummary, runs: _Runs) -> WorkflowSummary:
    """Return a workflow with its last runs."""
    own = runs.get(summary.dag_id, ())
    last = own[-1] if own else None
    return replace(
        summary,
        last_run_id=last.run_id if last else None,
        last_run_state=last.state if last else None,
        recent_runs=own,
    )
