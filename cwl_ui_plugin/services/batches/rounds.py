"""The round of the API server that lets batches go on: runs are created, stops carried out, ends noted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.batch_tables import BatchRecord, BatchRowRecord
from cwl_ui_plugin.services.batches import starts, states, stops
from cwl_ui_plugin.services.database import in_session, retry_on_database_lock, written

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
SECONDS = 2.0
UNFORESEEN = "It can't go on, for a reason that is in the log of the API server. It is tried again every minute."
RETRY_SECONDS = 60.0
"""After which a batch is looked at again whose rows could not be started for a reason that nobody has foreseen."""
KEPT_DAYS = 7
RARE_SECONDS = 3600.0
_AT_ONCE = 50


class BatchRound:
    """Gives each batch that is not done its turn; one with an error holds up no other."""

    def __init__(self) -> None:
        self._not_before: dict[str, float] = {}
        self._forget_at = 0.0

    def __call__(self) -> None:
        """Do one round."""
        reopen_some()
        stops.go_on()
        now = time.monotonic()
        for batch_id in open_batches():
            if self._not_before.get(batch_id, 0.0) <= now:
                self._let_go_on(batch_id)
        self._not_before = {batch_id: until for batch_id, until in self._not_before.items() if until > now}
        if now >= self._forget_at:
            forget_gone()
            self._forget_at = now + RARE_SECONDS

    def _let_go_on(self, batch_id: str) -> None:
        try:
            starts.start_some(batch_id)
            retry_on_database_lock(lambda: note_end(batch_id), f"the batch {batch_id}")
        except Exception:
            log.exception("The batch %s can't go on; it is tried again", batch_id)
            self._not_before[batch_id] = time.monotonic() + RETRY_SECONDS
            with suppress(Exception):  # what keeps the batch from going on may keep this from being written, too
                starts.keep_problem(batch_id, UNFORESEEN)


def open_batches() -> list[str]:
    """Return the batches that are not done, oldest first."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(BatchRecord.batch_id).where(BatchRecord.is_open).order_by(BatchRecord.created_at)
    with create_session(scoped=False) as session:
        return list(session.scalars(query))


def reopen_some() -> int:
    """Take up batches that had ended and of which a run goes on, which was continued or cleared; return how many."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import State
    from sqlalchemy import and_, select, update

    row = BatchRowRecord
    is_run = and_(DagRun.id == row.run_key, DagRun.run_id == row.run_id, DagRun.dag_id == BatchRecord.dag_id)
    query = (
        select(BatchRecord.batch_id)
        .join(row, row.batch_id == BatchRecord.batch_id)
        .join(DagRun, is_run)
        .where(~BatchRecord.is_open, DagRun.state.in_(State.unfinished_dr_states))
        .distinct()
    )
    found = in_session(lambda session: list(session.scalars(query)))
    if found:
        again = update(BatchRecord).where(BatchRecord.batch_id.in_(found), ~BatchRecord.is_open)
        again = again.values(is_open=True, ended_at=None)
        written(lambda session: session.execute(again), "the batches")
    return len(found)


def note_end(batch_id: str) -> None:
    """Take note if no row of a batch is left to begin or on its way, and no stop is to be carried out."""
    from airflow.utils.session import create_session
    from sqlalchemy import exists, select

    is_left = exists().where(BatchRowRecord.batch_id == batch_id, BatchRowRecord.state == states.PENDING)
    with create_session(scoped=False) as session:
        batch = session.get(BatchRecord, batch_id, with_for_update=True)
        if batch is None or batch.stop_asked > batch.stop_done or session.scalar(select(is_left)):
            return
        if not starts.active_count(session, batch):
            batch.is_open, batch.ended_at, batch.problem = False, datetime.now(timezone.utc), None


def forget_gone() -> int:
    """Forget batches that ended some days ago and none of whose runs Airflow has any more; return how many."""
    from sqlalchemy import select

    limit = datetime.now(timezone.utc) - timedelta(days=KEPT_DAYS)
    query = select(BatchRecord.batch_id).where(~BatchRecord.is_open, BatchRecord.ended_at < limit, ~_has_runs())
    forgotten = 0
    while True:
        count = written(lambda session: _forget(session, session.scalars(query.limit(_AT_ONCE)).all()), "old batches")
        forgotten += count
        if count < _AT_ONCE:
            return forgotten


def _forget(session: Session, some: Sequence[str]) -> int:
    from sqlalchemy import delete

    session.execute(delete(BatchRowRecord).where(BatchRowRecord.batch_id.in_(some)))
    session.execute(delete(BatchRecord).where(BatchRecord.batch_id.in_(some)))
    return len(some)


def _has_runs() -> ColumnElement[bool]:
    """Return the condition that Airflow has a run of a batch."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import exists

    row = BatchRowRecord
    return (
        exists()
        .where(row.batch_id == BatchRecord.batch_id, row.run_key == DagRun.id, row.run_id == DagRun.run_id)
        .correlate(BatchRecord)
    )
