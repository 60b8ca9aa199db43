"""What has happened to runs that somebody wants to be told of: their ends, and approvals that they wait for."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.stops import stops_of
from cwl_ui_plugin.services.monitoring import run_states
from cwl_ui_plugin.services.notifying.choices import ENDED, FAILED, WAITS, Choice
from cwl_ui_plugin.services.run_models import ShownState

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.orm import Session

AT_ONCE = 500
MAX_RUNS = 50_000
"""How many ends are looked at in one round, the oldest first."""


@dataclass(frozen=True)
class Happening:
    """Something that has happened to a run: it has come to this state. ``mark`` tells it from others of the run.

    ``summary`` is the subject and the text of what has happened to several runs, such as the end of a batch.
    """

    dag_id: str
    run_id: str
    run_key: int
    user: str | None
    state: ShownState
    at: datetime
    mark: str
    summary: tuple[str, str] | None = None

    @property
    def events(self) -> tuple[str, ...]:
        """What users call it."""
        if self.state == "waiting":
            return (WAITS,)
        return (FAILED, ENDED) if self.state == "failed" else (ENDED,)

    def concerns(self, choice: Choice) -> bool:
        """Whether a choice is about it. What happened before somebody chose is not told."""
        if choice.dag_id not in ("", self.dag_id) or not choice.wants(self.events):
            return False
        return not choice.only_mine or self.user == choice.user

    def id_for(self, choice: Choice) -> str:
        """Return the key of the message: the same for the same thing, told to the same user in the same way."""
        again = self.at.isoformat() if self.summary else ""  # a batch that was started again ends again
        parts = (choice.user, choice.channel, choice.address, self.dag_id, str(self.run_key), self.mark, again)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def ends_since(session: Session, since: datetime, dag_ids: Collection[str] | None) -> list[Happening]:
    """Return ends of runs of some Dags (None: all that have ours), oldest first."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import and_, or_

    found: list[Happening] = []
    is_later: ColumnElement[bool] = DagRun.end_date >= since
    while len(found) < MAX_RUNS:
        rows = _ends(session, is_later, dag_ids)
        stopped = stops_of(session, [(row.dag_id, row.run_id) for row in rows])
        found += [_end(row, is_stopped=(row.dag_id, row.run_id) in stopped) for row in rows]
        if len(rows) < AT_ONCE:
            break
        last = rows[-1]
        is_later = or_(DagRun.end_date > last.end_date, and_(DagRun.end_date == last.end_date, DagRun.id > last.id))
    return found


def _ends(session: Session, is_later: ColumnElement[bool], dag_ids: Collection[str] | None) -> Sequence[Row[object]]:
    from airflow.models.dag import DagTag
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    from cwl_ui_plugin.dags.names import TAG

    columns = (DagRun.dag_id, DagRun.run_id, DagRun.id, DagRun.state.label("state"), DagRun.end_date)
    query = select(*columns, DagRun.clear_number, DagRun.triggering_user_name)
    ours = select(DagTag.dag_id).where(DagTag.name == TAG) if dag_ids is None else list(dag_ids)
    query = query.where(DagRun.state.in_(["success", "failed"]), is_later, DagRun.dag_id.in_(ours))
    return session.execute(query.order_by(DagRun.end_date, DagRun.id).limit(AT_ONCE)).all()


def _end(row: Row[object], *, is_stopped: bool) -> Happening:
    return Happening(
        row.dag_id,
        row.run_id,
        row.id,
        row.triggering_user_name,
        run_states.shown_state(str(row.state), is_stopped=is_stopped),
        row.end_date,
        f"end {row.clear_number or 0} {row.state}",
    )


def waiting_now(session: Session, dag_ids: Collection[str] | None, lately: datetime) -> list[Happening]:
    """Return tasks that wait for somebody's word since ``lately``, of some Dags (None: of all)."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import and_, select

    task = TaskInstance
    query = (
        select(DagRun.dag_id, DagRun.run_id, DagRun.id.label("key"), DagRun.triggering_user_name, task.start_date)
        .add_columns(task.id)
        .join(task, and_(task.dag_id == DagRun.dag_id, task.run_id == DagRun.run_id))
        .where(DagRun.state == "running", run_states.asks(), task.start_date >= lately)
    )
    if dag_ids is not None:
        query = query.where(DagRun.dag_id.in_(list(dag_ids)))
    return [
        Happening(
            row.dag_id, row.run_id, row.key, row.triggering_user_name, "waiting", row.start_date, f"waits {row.id}"
        )
        for row in session.execute(query.order_by(task.start_date).limit(AT_ONCE))
    ]


LATE = timedelta(minutes=5)
"""How much later than its time stamp says an end may appear in the database."""
