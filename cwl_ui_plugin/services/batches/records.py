"""Finding and locking what the database keeps of a batch; what is done with it goes into Airflow's audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.batch_tables import BatchRecord
from cwl_ui_plugin.services.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def find(session: Session, dag_id: str, batch_id: str, *, lock: bool = False) -> BatchRecord:
    """Return the record of a batch of a workflow, locked if asked for; raise :class:`NotFound`."""
    record = session.get(BatchRecord, batch_id, with_for_update=True if lock else None)
    if record is None or record.dag_id != dag_id:
        raise NotFound(f"The workflow {dag_id!r} has no batch {batch_id[:80]!r}.")
    return record


def audit(session: Session, record: BatchRecord, event: str, user: str, extra: Mapping[str, object]) -> None:
    """Write what was done with a batch into Airflow's audit log."""
    from airflow.models.log import Log

    told = json.dumps({"batch": record.batch_id, "name": record.name, **extra})
    session.add(Log(event=event, dag_id=record.dag_id, owner=user, extra=told))
