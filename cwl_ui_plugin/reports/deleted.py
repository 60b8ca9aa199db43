"""Runs that were deleted: told, if they had not ended, and forgotten; some hundreds in a transaction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import exists, select, tuple_

from cwl_ui_plugin.reports.formats import OURS
from cwl_ui_plugin.reports.one_writer import keep_out_writers
from cwl_ui_plugin.reports.records import forget
from cwl_ui_plugin.reports.tables import GONE, ReportState, RunKey

if TYPE_CHECKING:
    from sqlalchemy import Select

AT_ONCE = 500
ROUND_SECONDS = 1.0
"""What is left then waits for the next round: other runs have news meanwhile."""


class Deletions:
    """Looks for runs that are gone: those that had not ended each time, all others in turn."""

    def __init__(self) -> None:
        self._after: RunKey | None = None
        """The run that the look at all has come to; None between two of them."""

    def round(self, *, late: bool, form: str | None = OURS) -> int:
        """Tell of runs that are gone, and forget them; return how many reports there are. ``late`` begins with all.

        ``form`` is the format of the reports.
        """
        until = time.monotonic() + ROUND_SECONDS
        count, forgotten = 0, AT_ONCE
        while forgotten == AT_ONCE and time.monotonic() < until:
            forgotten, told = self._forget_open(form)
            count += told
        if late and self._after is None:
            self._after = ("", "")
        while self._after is not None and time.monotonic() < until:
            self._after = self._forget_ended(self._after)
        return count

    def _forget_open(self, form: str | None) -> tuple[int, int]:
        """Forget some runs that had not ended; return how many, and how many of them were told of."""
        with create_session(scoped=False) as session:
            keep_out_writers(session)
            states = list(session.scalars(_gone().where(ReportState.settled_end.is_(None)).limit(AT_ONCE)))
            return len(states), sum(forget(session, state, form) for state in states)

    def _forget_ended(self, after: RunKey) -> RunKey | None:
        """Forget the next runs that had ended; return the last of them, or None at the end of all."""
        key = tuple_(ReportState.dag_id, ReportState.run_id)
        query = _gone().where(ReportState.settled_end.is_not(None), key > after)
        with create_session(scoped=False) as session:
            keep_out_writers(session)
            states = list(session.scalars(query.order_by(ReportState.dag_id, ReportState.run_id).limit(AT_ONCE)))
            for state in states:
                forget(session, state)
            return (states[-1].dag_id, states[-1].run_id) if len(states) == AT_ONCE else None


def forget_run(dag_id: str, run_id: str, form: str | None = OURS) -> None:
    """Forget a run that was removed, but for its reports that wait."""
    with create_session(scoped=False) as session:
        state = session.get(ReportState, (dag_id, run_id), with_for_update=True)
        if state is not None:
            forget(session, state, form)


def _gone() -> Select[ReportState]:
    """Return the rows of runs that are no more, locked; a run of the same name may have followed."""
    is_there = exists().where(
        DagRun.dag_id == ReportState.dag_id, DagRun.run_id == ReportState.run_id, DagRun.id == ReportState.run_key
    )
    return select(ReportState).where(ReportState.run_key != GONE, ~is_there).with_for_update(of=ReportState)
