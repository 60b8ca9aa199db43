"""Stopping a batch: rows that have not begun never begin, and each of its runs is stopped and proven to be.

First the stop is kept, with the rows taken out, in one transaction. What follows can be broken off at any point: the
background loop goes on with stops that are asked for and not done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone

from cwl_ui_plugin.reports.batch_tables import BatchRecord, BatchRowRecord
from cwl_ui_plugin.reports.one_writer import keep_out_writers
from cwl_ui_plugin.services.batches import states
from cwl_ui_plugin.services.batches.records import audit, find
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import ServiceError, StopIncomplete
from cwl_ui_plugin.services.stopping import stops

log = logging.getLogger(__name__)
AT_ONCE = 8
"""Runs that are stopped side by side."""
_going_on: set[str] = set()
_lock = threading.Lock()


def stop(dag_id: str, batch_id: str, *, user: str, wait: bool = True) -> int:
    """Stop a batch; return how many runs and rows were on their way. One that has ended is no error.

    Without ``wait`` only what keeps further runs from starting is done at once; the background loop does the rest.

    Raises:
        NotFound: no such batch.
        StopIncomplete: some processes of some runs are left; the loop tries on.

    """
    found = retry_on_database_lock(lambda: _ask(dag_id, batch_id, user), f"the stop of the batch {batch_id}")
    if wait and found:
        with _alone(batch_id):
            carry_out(dag_id, batch_id, user)
    return found


def _ask(dag_id: str, batch_id: str, user: str) -> int:
    """Keep that a batch is to be stopped, and take the rows out that have not begun; return how many are on the way."""
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session(scoped=False) as session:
        keep_out_writers(session)
        record = find(session, dag_id, batch_id, lock=True)
        counts = states.counts_of(session, [batch_id])[batch_id]
        left = sum(counts.get(state, 0) for state in (states.PENDING, *states.ACTIVE))
        if record.stop_asked > record.stop_done or not left:
            return left
        session.execute(
            update(BatchRowRecord)
            .where(BatchRowRecord.batch_id == batch_id, BatchRowRecord.state == states.PENDING)
            .values(state=states.STOPPED)
        )
        record.stop_asked += 1
        record.is_open, record.problem = True, None
        record.stopped_by, record.stopped_at = user, datetime.now(timezone.utc)
        audit(session, record, "cwl_batch_stopped", user, {"rows": left})
        return left


def carry_out(dag_id: str, batch_id: str, user: str) -> None:
    """Stop the runs of a batch whose stop was asked for, and keep that it is done; raise :class:`StopIncomplete`."""
    asked = _asked(dag_id, batch_id)
    while run_ids := _active_runs(dag_id, batch_id):
        with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="cwl-batch-stop") as pool:
            found = list(pool.map(lambda run_id: _stop_run(dag_id, run_id, user), run_ids))
        left = tuple(line for lines in found for line in lines)
        if left:
            raise StopIncomplete(f"Not all runs of the batch are stopped: {'; '.join(left)}.", left)
    retry_on_database_lock(lambda: _done(dag_id, batch_id, asked), f"the stop of the batch {batch_id}")


def _stop_run(dag_id: str, run_id: str, user: str) -> tuple[str, ...]:
    """Stop a run; return what is left of it."""
    try:
        stops.stop_run(dag_id, run_id, user=user)
    except StopIncomplete as error:
        return error.left
    except ServiceError as error:
        return (f"{run_id}: {error.message}",)
    return ()


def _asked(dag_id: str, batch_id: str) -> int:
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        return find(session, dag_id, batch_id).stop_asked


def _active_runs(dag_id: str, batch_id: str) -> list[str]:
    from airflow.utils.session import create_session

    query = states.rows_query(batch_id).where(states.shown_state().in_(states.ACTIVE))
    with create_session(scoped=False) as session:
        return [row.run_id for row in session.execute(query)]


def _done(dag_id: str, batch_id: str, asked: int) -> None:
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        keep_out_writers(session)
        record = find(session, dag_id, batch_id, lock=True)
        record.stop_done = max(record.stop_done, asked)


def go_on() -> None:
    """Carry out, each in a thread, the stops that were asked for and that nobody in this process carries out."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(BatchRecord.dag_id, BatchRecord.batch_id, BatchRecord.stopped_by).where(
        BatchRecord.is_open, BatchRecord.stop_asked > BatchRecord.stop_done
    )
    with create_session(scoped=False) as session:
        asked = [(row.dag_id, row.batch_id, row.stopped_by or "") for row in session.execute(query)]
    for dag_id, batch_id, user in asked:
        if batch_id not in _going_on:
            threading.Thread(
                target=_go_on_with, args=(dag_id, batch_id, user), name=f"cwl-batch-stop-{batch_id}", daemon=True
            ).start()


def _go_on_with(dag_id: str, batch_id: str, user: str) -> None:
    try:
        with _alone(batch_id) as is_alone:
            if is_alone:
                carry_out(dag_id, batch_id, user)
    except ServiceError as error:
        log.warning("The stop of the batch %s of %s is not complete, it is tried again: %s", batch_id, dag_id, error)
    except Exception:
        log.exception("The stop of the batch %s of %s has failed, it is tried again", batch_id, dag_id)


@contextmanager
def _alone(batch_id: str) -> Iterator[bool]:
    """Yield whether nobody else in this process carries out the stop of a batch."""
    with _lock:
        is_alone = batch_id not in _going_on
        _going_on.add(batch_id)
    try:
        yield is_alone
    finally:
        if is_alone:
            with _lock:
                _going_on.discard(batch_id)
