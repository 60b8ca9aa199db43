"""What was removed of runs that are in Airflow's list, so that their pages say so: the table ``cwl_removal``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.tables import Removal, RunKey

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

OUTPUTS, LOGS, INTERMEDIATE = "outputs", "logs", "intermediate"
_AT_ONCE = 200


@dataclass(frozen=True)
class Removed:
    """Something of a run that is gone: ``outputs``, ``logs`` or ``intermediate`` files. ``at`` is ISO 8601 in UTC."""

    what: str
    option: str
    at: str


def note(runs: Iterable[RunKey], what: str, option: str) -> None:
    """Note that something of these runs is removed; of those that Airflow does not know nothing need be noted."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select, tuple_

    wanted, now = list(runs), datetime.now(timezone.utc)
    for start in range(0, len(wanted), _AT_ONCE):
        asked = tuple_(DagRun.dag_id, DagRun.run_id).in_(wanted[start : start + _AT_ONCE])
        with create_session(scoped=False) as session:
            for dag_id, run_id, key in session.execute(select(DagRun.dag_id, DagRun.run_id, DagRun.id).where(asked)):
                row = Removal(dag_id=dag_id, run_id=run_id, kind=what, run_key=key, option=option, removed_at=now)
                session.merge(row)


def removals_of(session: Session, run: DagRun) -> tuple[Removed, ...]:
    """Return what is gone of a run; what it made after that is not."""
    from sqlalchemy import select

    if run.end_date is None:
        return ()
    query = select(Removal).where(Removal.dag_id == run.dag_id, Removal.run_id == run.run_id, Removal.run_key == run.id)
    rows = session.scalars(query.order_by(Removal.removed_at, Removal.kind))
    return tuple(
        Removed(row.kind, row.option, row.removed_at.isoformat()) for row in rows if row.removed_at >= run.end_date
    )


def forget_gone() -> int:
    """Forget what was removed of runs that are gone themselves; return how many rows."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, exists, select, tuple_

    is_there = exists().where(DagRun.id == Removal.run_key, DagRun.run_id == Removal.run_id)
    key = (Removal.dag_id, Removal.run_id, Removal.kind)
    forgotten = 0
    while True:
        with create_session(scoped=False) as session:
            some = [tuple(row) for row in session.execute(select(*key).where(~is_there).limit(_AT_ONCE))]
            if some:
                session.execute(delete(Removal).where(tuple_(*key).in_(some)))
        forgotten += len(some)
        if len(some) < _AT_ONCE:
            return forgotten
