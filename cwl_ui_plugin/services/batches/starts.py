"""From rows to runs, each once: that a row has started is written in the transaction that creates its run.

So a kill at any moment leaves both the run and the word that its row has started, or neither: then it is done later. A
stop takes rows that have not started out of the batch in a transaction of its own: either that comes first, and the run
is not created, or it finds the run and stops it.
"""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin.cwl.temporary_errors import may_pass
from cwl_ui_plugin.reports.batch_tables import BatchRecord, BatchRowRecord
from cwl_ui_plugin.services.batches.models import SheetProblem
from cwl_ui_plugin.services.batches.states import PENDING, REFUSED, STARTED
from cwl_ui_plugin.services.database import written
from cwl_ui_plugin.services.errors import NotFound, NotVerified, ServiceError, Unavailable
from cwl_ui_plugin.services.inputs.access import GrantedAccess
from cwl_ui_plugin.services.labelling import MAX_TAG, label_run
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.triggering.server_signing import signed_conf

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
MAX_STARTS = 25
"""Runs that are created for a batch in one go; others have their turn then."""
MAX_PROBLEMS = 20
UNFORESEEN = "The run could not be created, for a reason that is in the log of the API server. Start the row again."
_MAX_SLUG = 60
_RUN_ID = re.compile(r"batch-(?P<batch>[0-9a-f]{12})-[0-9]")


class NotPending(Exception):
    """The row was stopped, or started, since it was looked for: no run is created for it."""


@dataclass(frozen=True)
class WaitingRow:
    """A row whose run is to be created, with what it needs of its batch."""

    batch_id: str
    dag_id: str
    version: str
    batch_name: str
    user: str
    number: int
    name: str
    attempt: int
    job: str
    roots: str

    @property
    def run_id(self) -> str:
        """The name of the run: the same whenever it is made of the batch, the row and the attempt."""
        return run_id_of(self.batch_id, self.number, self.name, self.attempt)


def run_id_of(batch_id: str, number: int, name: str, attempt: int = 1) -> str:
    """Return the run_id of a row; of its name what can be in one."""
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:_MAX_SLUG].strip("-")
    parts = ["batch", batch_id, str(number), *([slug] if slug else []), *([f"try{attempt}"] if attempt > 1 else [])]
    return "-".join(parts)


def batch_id_of(run_id: str) -> str | None:
    """Return the id of the batch that a run is called after, of whichever attempt; None for another name."""
    match = _RUN_ID.match(run_id)
    return match["batch"] if match else None


def start_some(batch_id: str, most: int = MAX_STARTS) -> int:
    """Create runs for the next rows of a batch, as many as there may be at a time; return how many were created.

    What keeps all runs from starting is kept as the ``problem`` of the batch; it passes, or somebody does something.
    """
    created, problem = 0, None
    rows, known = _next_rows(batch_id, most)
    for row in rows:
        began = time.monotonic()
        try:
            created += start_row(row)
        except (Unavailable, NotFound, NotVerified) as error:
            problem = error.message
            break
        time.sleep(time.monotonic() - began)  # so that the threads of the API server that answer have their turn
    if problem != known:
        keep_problem(batch_id, problem)
    return created


def start_row(row: WaitingRow) -> bool:
    """Create the run of a row, or keep why it can't be; return whether it was created.

    Raises:
        ServiceError: what keeps all rows from starting.
        Exception: what nobody has foreseen, and may pass.

    """
    try:
        _start(row)
    except NotPending:
        return False
    except (Unavailable, NotFound, NotVerified):
        raise
    except ServiceError as error:
        log.warning("The row %d of the batch %s can't start: %s", row.number, row.batch_id, error.message)
        _refuse(row, [str(problem) for problem in error.problems[:MAX_PROBLEMS]] or [error.message])
        return False
    except Exception as error:
        if _may_pass(error):
            raise
        log.exception("The row %d of the batch %s can't start", row.number, row.batch_id)
        _refuse(row, [UNFORESEEN])
        return False
    return True


def _start(row: WaitingRow) -> None:
    job = json.loads(row.job)
    try:
        conf = signed_conf(row.dag_id, row.run_id, {"job": job})
    except ServiceError as error:
        raise Unavailable(error.message) from error
    triggers.trigger(
        row.dag_id,
        conf=conf,
        run_id=row.run_id,
        user=row.user,
        via=triggers.REST,
        files=GrantedAccess(tuple(Path(root) for root in json.loads(row.roots))),
        version=row.version,
        record=partial(_record, row),
    )


def _may_pass(error: Exception) -> bool:
    """Whether what nobody has foreseen is of the machine or the database, and no fault of one row."""
    from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

    return isinstance(error, (InterfaceError, OperationalError, TimeoutError)) or may_pass(error)


def _record(row: WaitingRow, session: Session, run: DagRun) -> None:
    """Write down that a row has started, in the transaction that creates its run."""
    from sqlalchemy import update

    changed = session.execute(
        update(BatchRowRecord)
        .where(_as_found(row))
        .values(state=STARTED, run_id=run.run_id, run_key=run.id, problems=None)
    )
    if not getattr(changed, "rowcount", 0):
        raise NotPending
    label_run(session, run, title=row.name, tags=[row.batch_name.replace(",", " ")[:MAX_TAG]])
    session.flush()


def _refuse(row: WaitingRow, told: list[str]) -> None:
    from sqlalchemy import update

    problems = json.dumps([SheetProblem(row.number, None, message).as_json() for message in told])
    change = update(BatchRowRecord).where(_as_found(row)).values(state=REFUSED, problems=problems)
    written(lambda session: session.execute(change), f"the row {row.number} of the batch {row.batch_id}")


def _as_found(row: WaitingRow) -> ColumnElement[bool]:
    """Return the condition that a row still waits for its run."""
    from sqlalchemy import and_

    kept = BatchRowRecord
    is_row = and_(kept.batch_id == row.batch_id, kept.number == row.number)
    return and_(is_row, kept.state == PENDING, kept.attempt == row.attempt)


def _next_rows(batch_id: str, most: int) -> tuple[list[WaitingRow], str | None]:
    """Return the next rows that may start, as the batch's other runs leave room for them, and the batch's problem."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        batch = session.get(BatchRecord, batch_id)
        if batch is None or not batch.is_open or batch.stop_asked > batch.stop_done:
            return [], batch.problem if batch else None
        room = min(most, batch.max_active - active_count(session, batch))
        query = (
            select(BatchRowRecord)
            .where(BatchRowRecord.batch_id == batch_id, BatchRowRecord.state == PENDING)
            .order_by(BatchRowRecord.number)
            .limit(max(0, room))
        )
        rows = [
            WaitingRow(
                batch_id=batch_id,
                dag_id=batch.dag_id,
                version=batch.version,
                batch_name=batch.name,
                user=batch.user,
                number=row.number,
                name=row.name,
                attempt=row.attempt,
                job=row.job,
                roots=row.roots,
            )
            for row in (session.scalars(query) if room > 0 else ())
        ]
        return rows, batch.problem


def active_count(session: Session, batch: BatchRecord) -> int:
    """Return how many runs of a batch have not ended: found by the runs on their way, which are few."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import State
    from sqlalchemy import func, select

    query = (
        select(func.count())
        .select_from(DagRun)
        .join(BatchRowRecord, BatchRowRecord.run_key == DagRun.id)
        .where(
            BatchRowRecord.run_id == DagRun.run_id,
            DagRun.dag_id == batch.dag_id,
            DagRun.state.in_(State.unfinished_dr_states),
            BatchRowRecord.batch_id == batch.batch_id,
        )
    )
    return session.scalar(query) or 0


def keep_problem(batch_id: str, problem: str | None) -> None:
    """Keep what keeps the runs of a batch that goes on from starting; None: nothing."""
    from sqlalchemy import update

    is_open = (BatchRecord.batch_id == batch_id, BatchRecord.is_open)
    change = update(BatchRecord).where(*is_open).values(problem=problem)
    written(lambda session: session.execute(change), f"the batch {batch_id}")
