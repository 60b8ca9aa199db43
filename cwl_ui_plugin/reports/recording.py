"""From Airflow's database to recorded reports.

A report is recorded, with its sequence and its id, in the transaction that remembers what there are reports of. So what
a receiver gets again after a kill is the same report, whatever has happened since.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import and_, exists, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from cwl_ui_plugin.reports.due import RUN_ENDS, Known, Report, RunFacts, deletion, due_reports
from cwl_ui_plugin.reports.facts import LOOK_BACK, facts_of, run_row, runs_to_look_at
from cwl_ui_plugin.reports.tables import GONE, RecordedReport, ReportState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
_NAMESPACE = uuid.UUID("6f1a3c52-3f0e-4b57-9a50-5a1d5b7f6c11")


def record_due(*, late: bool = False) -> int:
    """Record the reports that are due of all runs; return how many. ``late``: see ``facts.runs_to_look_at``."""
    with create_session(scoped=False) as session:
        rows = runs_to_look_at(session, late=late)
        facts = list(facts_of(rows, session))
    return _record_deleted(late) + sum(_record_patiently(run) for run in facts)


def record_run(dag_id: str, run_id: str) -> None:
    """Record what is due of one run now: it is about to be removed."""
    with create_session(scoped=False) as session:
        row = run_row(session, dag_id, run_id)
        facts = list(facts_of([row], session)) if row is not None else []
    for run in facts:
        _record(run)


def settle_unheard() -> None:
    """Let runs that end while nobody is to be told be history: a receiver that comes later hears of later runs.

    A run that somebody was told of already is kept for a day: the Connection may be about to be made anew.
    """
    with create_session(scoped=False) as session:
        for row in runs_to_look_at(session):
            state = session.get(ReportState, (row.dag_id, row.run_id))
            is_new = state is None or state.sequence == 0 or state.updated_at < datetime.now(timezone.utc) - LOOK_BACK
            if row.state in RUN_ENDS and is_new:
                state = _state(session, row.dag_id, row.run_id, row.id)
                state.settled_end, state.settled_state = row.end_date, str(row.state)


def _record_patiently(run: RunFacts) -> int:
    """Record what is due of a run; where another process does the same, or SQLite is busy, the next look does it."""
    try:
        return _record(run)
    except (IntegrityError, OperationalError) as error:
        log.info("The reports of %s %s are recorded at the next look: %s", run.dag_id, run.run_id, error.orig)
        return 0


def _record(run: RunFacts) -> int:
    """Record what is due of a run; return how many reports."""
    with create_session(scoped=False) as session:
        known = _known(session, run)
        reports, after = due_reports(run, known)
        has_ended = run.state in RUN_ENDS
        if not reports and after == known and not has_ended:
            return 0
        state = _state(session, run.dag_id, run.run_id, run.run_key)
        if Known.from_json(state.recorded) != known:
            return 0  # another process was faster; its reports are the ones
        _add(session, state, reports)
        state.recorded = after.to_json()
        state.settled_end = run.ended if has_ended else None
        state.settled_state = run.state if has_ended else None
    return len(reports)


def _known(session: Session, run: RunFacts) -> Known:
    query = select(ReportState.recorded, ReportState.run_key).where(
        ReportState.dag_id == run.dag_id, ReportState.run_id == run.run_id
    )
    row = session.execute(query).one_or_none()
    return Known.from_json(row.recorded) if row is not None and row.run_key == run.run_key else Known()


def _state(session: Session, dag_id: str, run_id: str, run_key: int) -> ReportState:
    """Return the row of a run, locked; a run that was deleted and made anew begins anew, but goes on counting."""
    state = session.get(ReportState, (dag_id, run_id), with_for_update=True)
    if state is None:
        state = ReportState(
            dag_id=dag_id, run_id=run_id, run_key=run_key, recorded="{}", sequence=0, delivered=0, failures=0
        )
        session.add(state)
    elif state.run_key != run_key:
        state.run_key, state.recorded = run_key, "{}"
        state.settled_end = state.settled_state = None
    state.updated_at = datetime.now(timezone.utc)
    return state


def _add(session: Session, state: ReportState, reports: Iterable[Report]) -> None:
    now = datetime.now(timezone.utc)
    for report in reports:
        state.sequence += 1
        payload = {**report.payload, "report_id": _report_id(state), "sequence": state.sequence}
        session.add(
            RecordedReport(
                dag_id=state.dag_id,
                run_id=state.run_id,
                sequence=state.sequence,
                route=report.route,
                payload=json.dumps(payload),
                recorded_at=now,
                attempts=0,
            )
        )


def _report_id(state: ReportState) -> str:
    fact: list[Any] = [state.dag_id, state.run_id, state.run_key, state.sequence]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(fact)))


def _record_deleted(late: bool) -> int:
    """Record the end of runs that were deleted before it; a run of the same name may follow."""
    is_there = exists().where(
        DagRun.dag_id == ReportState.dag_id, DagRun.run_id == ReportState.run_id, DagRun.id == ReportState.run_key
    )
    query = select(ReportState).where(ReportState.run_key != GONE, ~is_there)
    if not late:
        query = query.where(ReportState.settled_end.is_(None))
    count = 0
    with create_session(scoped=False) as session:
        for state in session.scalars(query.with_for_update(of=ReportState)):
            known = Known.from_json(state.recorded)
            if state.settled_end is None and known.tries:
                _add(session, state, [deletion(state.dag_id, state.run_id, known, datetime.now(timezone.utc))])
                count += 1
            forget(session, state.dag_id, state.run_id)
    return count


def forget(session: Session, dag_id: str, run_id: str) -> None:
    """Forget what there are reports of; those that wait are sent all the same."""
    is_run = and_(ReportState.dag_id == dag_id, ReportState.run_id == run_id)
    gone = {"run_key": GONE, "recorded": "{}", "settled_end": datetime.now(timezone.utc), "settled_state": None}
    session.execute(update(ReportState).where(is_run).values(**gone))
