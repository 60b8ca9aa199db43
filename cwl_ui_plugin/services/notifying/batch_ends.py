"""Batches: the end of a batch is told in one message, and the ends of its runs are not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from cwl_ui_plugin.reports.batch_tables import BatchRecord
from cwl_ui_plugin.services.batches import batches
from cwl_ui_plugin.services.batches.starts import batch_id_of
from cwl_ui_plugin.services.errors import ServiceError
from cwl_ui_plugin.services.notifying import messages
from cwl_ui_plugin.services.notifying.happenings import Happening

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.services.batches.models import Batch
    from cwl_ui_plugin.services.run_models import ShownState

MAX_BATCHES = 100
MARK = "batch "
"""Begins what a message about a batch is marked with; the id follows."""
_AT_ONCE = 500


def without_batched(session: Session, found: Sequence[Happening]) -> list[Happening]:
    """Return those that are not of a run of a batch; a row that was started again does not know its former runs."""
    from sqlalchemy import select

    named = sorted({batch_id for one in found if (batch_id := batch_id_of(one.run_id))})
    known: set[tuple[str, str]] = set()
    for start in range(0, len(named), _AT_ONCE):
        some = named[start : start + _AT_ONCE]
        query = select(BatchRecord.dag_id, BatchRecord.batch_id).where(BatchRecord.batch_id.in_(some))
        known |= {(row.dag_id, row.batch_id) for row in session.execute(query)}
    return [one for one in found if (one.dag_id, batch_id_of(one.run_id)) not in known]


def ends_since(session: Session, since: datetime, dag_ids: Collection[str] | None) -> list[Happening]:
    """Return ends of batches of some Dags (None: of all), oldest first."""
    from sqlalchemy import select

    rows = BatchRecord
    query = select(rows).where(~rows.is_open, rows.ended_at >= since)
    if dag_ids is not None:
        query = query.where(rows.dag_id.in_(list(dag_ids)))
    return [_happening(record) for record in session.scalars(query.order_by(rows.ended_at).limit(MAX_BATCHES))]


def batch_of(mark: str) -> str | None:
    """Return the id of the batch that a message is about; None for another."""
    return mark.removeprefix(MARK) if mark.startswith(MARK) else None


def _happening(record: BatchRecord) -> Happening:
    ended = cast("datetime", record.ended_at)
    try:
        batch: Batch | None = batches.get(record.dag_id, record.batch_id)
    except ServiceError:
        batch = None  # gone meanwhile
    state = cast("ShownState", batch.state if batch and batch.state in messages.STATE_TEXTS else "success")
    mark = f"{MARK}{record.batch_id}"
    return Happening(record.dag_id, "", 0, record.user, state, ended, mark, _summary(record, batch, state))


def _summary(record: BatchRecord, batch: Batch | None, state: ShownState) -> tuple[str, str]:
    name, workflow = messages.one_line(record.name), messages.one_line(record.dag_id)
    words = "has failed samples" if state == "failed" else messages.STATE_TEXTS[state]
    counts = ", ".join(f"{count} {kind}" for kind, count in (batch.counts if batch else {}).items() if count)
    text = f"The batch {name} of {workflow} has ended: {counts or f'{record.total} samples'}."
    return f"{workflow}: batch {name} {words}", text
