"""From Airflow's database to recorded reports.

A report is recorded, with its sequence and its id, in the transaction that remembers what there are reports of. So what
a receiver gets again after a kill is the same report, whatever has happened since.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow.utils.session import create_session
from sqlalchemy import select, tuple_
from sqlalchemy.exc import IntegrityError, OperationalError

from cwl_ui_plugin.reports import formats
from cwl_ui_plugin.reports.due import RUN_ENDS, Known, Report, RunFacts, deletion, due_reports, tells_of_an_end
from cwl_ui_plugin.reports.facts import (
    JUST_ENDED,
    LATELY_ENDED,
    LOOK_BACK,
    RunRow,
    ended_runs,
    facts_of,
    in_parts,
    run_row,
    runs_just_ended,
    runs_to_look_at,
    with_outcome,
)
from cwl_ui_plugin.reports.final_report import moment_text
from cwl_ui_plugin.reports.formats import OURS
from cwl_ui_plugin.reports.put_aside import PutAside
from cwl_ui_plugin.reports.tables import GONE, RecordedReport, ReportState, RunKey

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
_NAMESPACE = uuid.UUID("6f1a3c52-3f0e-4b57-9a50-5a1d5b7f6c11")


@dataclass(frozen=True)
class RunState:
    """What the table has of a run: what was told, and which end was recorded; None and None while it goes on."""

    known: Known
    settled: tuple[datetime | None, str | None]


class Recorder:
    """Records what is due. Runs that have ended are compared again: see :meth:`_rows`.

    A run whose reports can't be made, in a way nobody foresaw, keeps no other from its reports; it is tried again, and
    again, as what is due of it stays due.
    """

    def __init__(self) -> None:
        self.put_aside = PutAside(seconds=60)
        self._compared = 0

    def record_due(self, *, late: bool = False, form: str | None = OURS) -> int:
        """Record the reports that are due of all runs; return how many. ``late``: see ``facts.runs_to_look_at``.

        ``form`` is their format, see ``formats.build``.
        """
        with create_session(scoped=False) as session:
            rows = self._rows(session, late)
        aside = self.put_aside.keys()
        parts = in_parts([row for row in rows if row.id not in aside])
        return sum(self._record(run, form) for part in parts for run in self._news(part))

    def _news(self, rows: Sequence[RunRow]) -> list[RunFacts]:
        try:
            return _with_news(rows)
        except OperationalError:
            raise  # of the database, not of a run
        except Exception:
            if len(rows) > 1:
                return [run for row in rows for run in self._news([row])]
            self._leave(rows[0].id, rows[0].dag_id, rows[0].run_id)
            return []

    def _record(self, run: RunFacts, form: str | None) -> int:
        """Record what is due of a run; if another process does the same, or SQLite is busy, the next look does it."""
        try:
            return _record(run, form)
        except (IntegrityError, OperationalError) as error:
            log.info("The reports of %s %s are recorded at the next look: %s", run.dag_id, run.run_id, error.orig)
        except Exception:
            self._leave(run.run_key, run.dag_id, run.run_id)
        return 0

    def _leave(self, key: int, dag_id: str, run_id: str) -> None:
        log.exception("The reports of %s %s can't be made; they are tried again later", dag_id, run_id)
        self.put_aside.put(key)

    def _rows(self, session: Session, late: bool) -> list[RunRow]:
        """Return the runs to look at.

        Those that ended lately are among them, whatever their time stamps say: a write that began before the end was
        recorded may arrive after it, with an older one. ``late`` adds some of all that ended within a day, in turn.
        """
        rows = runs_to_look_at(session, late=late)
        rows += runs_just_ended(session, LATELY_ENDED if late else JUST_ENDED)
        if late:
            ended = ended_runs(session, self._compared)
            self._compared = ended[-1].id if ended else 0
            rows += ended
        return list({row.id: row for row in rows}.values())


def record_run(dag_id: str, run_id: str, form: str | None = OURS) -> None:
    """Record what is due of one run now: it is about to be removed."""
    with create_session(scoped=False) as session:
        row = run_row(session, dag_id, run_id)
        facts = facts_of([row], session) if row is not None else []
    for run in facts:
        _record(run, form)


def _with_news(rows: Sequence[RunRow]) -> list[RunFacts]:
    """Return what the database says about those runs of some that there is something to record of."""
    with create_session(scoped=False) as session:
        facts = facts_of(rows, session)
        states = _states(facts, session)
        return [run for run in facts if _is_news(run, states.get((run.dag_id, run.run_id)))]


def _is_news(run: RunFacts, state: RunState | None) -> bool:
    if state is None:
        return bool(due_reports(run, Known())[0]) or run.state in RUN_ENDS
    is_settled = run.state in RUN_ENDS and state.settled[1] == run.state and state.settled[0] is not None
    if is_settled and not state.known.end:
        return False  # it ended while nobody was to be told
    reports, after = due_reports(run, state.known)
    return bool(reports) or after != state.known or not _is_settled_as(run, state.settled)


def _is_settled_as(run: RunFacts, settled: tuple[datetime | None, str | None]) -> bool:
    if run.state not in RUN_ENDS:
        return settled == (None, None)
    return settled[1] == run.state and settled[0] is not None and settled[0] == (run.ended or settled[0])


def discard_runs_without_receiver() -> None:
    """Let runs that end while nobody is to be told be history: a receiver that comes later hears of later runs.

    A run that somebody was told of already is kept for a day: the Connection may be about to be made anew.
    """
    with create_session(scoped=False) as session:
        for row in runs_to_look_at(session):
            state = session.get(ReportState, (row.dag_id, row.run_id))
            is_new = state is None or state.sequence == 0 or state.updated_at < datetime.now(timezone.utc) - LOOK_BACK
            if row.state in RUN_ENDS and is_new:
                state = _state(session, (row.dag_id, row.run_id), row.id, moment_text(row.created_at))
                state.settled_end, state.settled_state = row.end_date, str(row.state)


def _record(run: RunFacts, form: str | None) -> int:
    """Record what is due of a run; return how many reports."""
    with create_session(scoped=False) as session:
        row = _states([run], session).get((run.dag_id, run.run_id))
        known = row.known if row else Known()
        reports, after = due_reports(run, known)
        if tells_of_an_end(reports):
            whole = with_outcome(run, session, with_files=form != OURS)
            if whole is None:
                return 0  # it goes on, or is gone: the next look tells
            reports, after = due_reports(whole, known)
        has_ended = run.state in RUN_ENDS
        state = _state(session, (run.dag_id, run.run_id), run.run_key, run.created, form)
        if Known.from_json(state.recorded) != known:
            return 0  # another process was faster; its reports are the ones
        added = _add(session, state, reports, form)
        state.recorded = after.to_json()
        state.settled_end = (run.ended or datetime.now(timezone.utc)) if has_ended else None
        state.settled_state = run.state if has_ended else None
    return added


def _states(runs: Sequence[RunFacts], session: Session) -> dict[RunKey, RunState]:
    """Return what the table has of some runs, but for runs before them with the same names."""
    wanted = {(run.dag_id, run.run_id): run for run in runs}
    table = ReportState
    columns = (table.dag_id, table.run_id, table.run_key, table.recorded, table.settled_end, table.settled_state)
    query = select(*columns).where(tuple_(table.dag_id, table.run_id).in_(list(wanted)))
    found: dict[RunKey, RunState] = {}
    for row in session.execute(query):
        known, run = Known.from_json(row.recorded), wanted[row.dag_id, row.run_id]
        if row.run_key == run.run_key and known.is_of(run.created):
            found[run.dag_id, run.run_id] = RunState(known, (row.settled_end, row.settled_state))
    return found


def _state(session: Session, key: RunKey, run_key: int, created: str, form: str | None = OURS) -> ReportState:
    """Return the row of a run, locked; a run that was deleted and made anew begins anew, but goes on counting."""
    state = session.get(ReportState, key, with_for_update=True)
    if state is None:
        state = ReportState(dag_id=key[0], run_id=key[1], run_key=run_key, recorded="{}")
        state.sequence = state.delivered = state.failures = 0
        session.add(state)
    elif state.run_key != run_key or not Known.from_json(state.recorded).is_of(created):
        forget(session, state, form)
        state.run_key, state.settled_end = run_key, None
    state.updated_at = datetime.now(timezone.utc)
    return state


def forget(session: Session, state: ReportState, form: str | None = OURS) -> int:
    """Forget a run that is gone; return 1 if that is to be told. What waits of it is sent all the same."""
    known, now = Known.from_json(state.recorded), datetime.now(timezone.utc)
    is_news = state.run_key != GONE and state.settled_end is None and bool(known.tries)
    if is_news:
        _add(session, state, [deletion(state.dag_id, state.run_id, known, now)], form)
    state.run_key, state.recorded, state.settled_end, state.settled_state = GONE, "{}", now, None
    state.updated_at = now
    return int(is_news)


def _add(session: Session, state: ReportState, reports: Iterable[Report], form: str | None) -> int:
    """Give reports their numbers, their ids and their format, which may have nothing to tell; return how many."""
    now, before = datetime.now(timezone.utc), state.sequence
    for report in reports:
        built = formats.build(report, form, report_id=_report_id(state), sequence=state.sequence + 1)
        if built is None:
            continue
        state.sequence += 1
        session.add(
            RecordedReport(
                dag_id=state.dag_id,
                run_id=state.run_id,
                sequence=state.sequence,
                route=built[0],
                payload=json.dumps(built[1]),
                recorded_at=now,
                attempts=0,
            )
        )
    return state.sequence - before


def _report_id(state: ReportState) -> str:
    """Return the id of the next report of a run."""
    fact: list[object] = [state.dag_id, state.run_id, state.run_key, state.sequence + 1]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(fact)))
