"""The reports that wait for the receiver: which run is next, what was acknowledged, what failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow.utils.session import create_session
from sqlalchemy import and_, delete, exists, func, or_, select, tuple_, update

from cwl_ui_plugin.reports.errors import ReportError
from cwl_ui_plugin.reports.lookups import find_connection
from cwl_ui_plugin.reports.tables import GONE, RecordedReport, ReportState, RunKey, Stop
from cwl_ui_plugin.variables import REPORT_CONNECTION

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from cwl_ui_plugin.reports.table_base import Base

SHOWN_ERROR = 1000
REMOVED_AT_ONCE = 1000
_WAITS = ReportState.sequence > ReportState.delivered
_RUN = and_(RecordedReport.dag_id == ReportState.dag_id, RecordedReport.run_id == ReportState.run_id)
_NEXT = and_(_RUN, RecordedReport.sequence == ReportState.delivered + 1)
_NUMBER = ReportState.sequence - ReportState.delivered


@dataclass(frozen=True)
class Waiting:
    """The reports of one run that wait: ``oldest`` is when the first of them was recorded."""

    dag_id: str
    run_id: str
    waiting: int
    oldest: datetime
    failures: int
    next_try_at: datetime | None
    last_error: str | None

    @property
    def key(self) -> RunKey:
        """The run."""
        return self.dag_id, self.run_id


@dataclass(frozen=True)
class Backlog:
    """All that waits."""

    reports: int
    runs: int
    oldest: datetime | None
    last_error: str | None
    next_try_at: datetime | None


@dataclass(frozen=True)
class RunDelivery:
    """How far the reports of one run are.

    ``is_wanted``: there is a Connection to send them to. ``is_settled``: the end of the run is among what was recorded.
    """

    is_wanted: bool
    recorded: int
    over: int
    given_up: int
    is_settled: bool

    @property
    def delivered(self) -> int:
        """How many the receiver has."""
        return self.over - self.given_up

    @property
    def waiting(self) -> int:
        """How many it does not have yet."""
        return self.recorded - self.over


def waiting_runs(limit: int, offset: int = 0, *, due_at: datetime | None = None) -> list[Waiting]:
    """Return runs with reports that wait, the longest waiting first; with ``due_at``, those to be tried by then."""
    query = (
        select(
            ReportState.dag_id,
            ReportState.run_id,
            _NUMBER.label("waiting"),
            RecordedReport.recorded_at.label("oldest"),
            ReportState.failures,
            ReportState.next_try_at,
            ReportState.last_error,
        )
        .join(RecordedReport, _NEXT)
        .where(_WAITS)
        .order_by(RecordedReport.recorded_at, ReportState.dag_id, ReportState.run_id)
        .limit(limit)
        .offset(offset)
    )
    if due_at is not None:
        query = query.where(or_(ReportState.next_try_at.is_(None), ReportState.next_try_at <= due_at))
    with create_session(scoped=False) as session:
        return [Waiting(**row._mapping) for row in session.execute(query)]


def is_retry_asked_for() -> bool:
    """Whether somebody wants reports that failed to be tried again now."""
    asked = and_(_WAITS, ReportState.last_error.is_not(None), ReportState.next_try_at.is_(None))
    with create_session(scoped=False) as session:
        return session.scalar(select(ReportState.run_id).where(asked).limit(1)) is not None


def retry_now(key: RunKey | None = None) -> None:
    """Forget the pauses of a run, or of all."""
    of_run = _is(key) if key else _WAITS
    with create_session(scoped=False) as session:
        session.execute(update(ReportState).where(of_run).values(next_try_at=None, failures=0))


def next_reports(key: RunKey, limit: int) -> list[RecordedReport]:
    """Return the next reports of a run, in order."""
    query = (
        select(RecordedReport)
        .join(
            ReportState, and_(ReportState.dag_id == RecordedReport.dag_id, ReportState.run_id == RecordedReport.run_id)
        )
        .where(_is(key), RecordedReport.sequence > ReportState.delivered)
        .order_by(RecordedReport.sequence)
        .limit(limit)
    )
    with create_session(scoped=False) as session:
        found = list(session.scalars(query))
        session.expunge_all()
    return found


def acknowledge(key: RunKey, answers: dict[int, int | None]) -> None:
    """Note that reports arrived: their sequences with the receiver's answers; None is for those that are given up."""
    if not answers:
        return
    now, last = datetime.now(timezone.utc), max(answers)
    progress: dict[str, object] = {"delivered": last, "failures": 0, "next_try_at": None, "last_error": None}
    with create_session(scoped=False) as session:
        for status in set(answers.values()):
            sequences = [number for number, answer in answers.items() if answer == status]
            ended = {"ended_at": now, "answer": status, "attempts": RecordedReport.attempts + 1}
            session.execute(
                update(RecordedReport)
                .where(_of(key), RecordedReport.sequence.in_(sequences), RecordedReport.ended_at.is_(None))
                .values(**ended)
            )
        session.execute(update(ReportState).where(_is(key), ReportState.delivered < last).values(**progress))


def note_failure(key: RunKey, sequence: int | None, error: str, status: int | None, pause: float) -> None:
    """Note that a report was not taken, and when the run is tried again; None is for one that was given up."""
    values: dict[str, object] = {
        "failures": ReportState.failures + 1,
        "next_try_at": datetime.now(timezone.utc) + timedelta(seconds=pause),
        "last_error": error[:SHOWN_ERROR],
    }
    tried = {"attempts": RecordedReport.attempts + 1, "answer": status}
    with create_session(scoped=False) as session:
        session.execute(update(ReportState).where(_is(key)).values(**values))
        if sequence is not None:
            session.execute(update(RecordedReport).where(_of(key), RecordedReport.sequence == sequence).values(**tried))


def backlog() -> Backlog:
    """Return all that waits, in one view."""
    totals = select(func.count(), func.coalesce(func.sum(_NUMBER), 0)).where(_WAITS)
    failed = and_(_WAITS, ReportState.last_error.is_not(None))
    error = select(ReportState.last_error).where(failed).order_by(ReportState.next_try_at.desc()).limit(1)
    with create_session(scoped=False) as session:
        runs, reports = session.execute(totals).one()
        oldest = session.scalar(select(func.min(RecordedReport.recorded_at)).join(ReportState, _NEXT).where(_WAITS))
        last_error = session.scalar(error)
        next_try = session.scalar(select(func.min(ReportState.next_try_at)).where(failed))
    return Backlog(int(reports), int(runs), oldest, last_error, next_try)


def reports_of(dag_id: str, run_id: str, limit: int, offset: int = 0) -> tuple[list[RecordedReport], int]:
    """Return the reports of a run, the last first, and how many there are."""
    of_run = _of((dag_id, run_id))
    query = select(RecordedReport).where(of_run).order_by(RecordedReport.sequence.desc()).limit(limit).offset(offset)
    with create_session(scoped=False) as session:
        total = session.scalar(select(func.count()).select_from(RecordedReport).where(of_run))
        found = list(session.scalars(query))
        session.expunge_all()
    return found, int(total or 0)


def delivery_of(key: RunKey) -> RunDelivery:
    """Return how far the reports of a run are, with one query."""
    from airflow.models.connection import Connection

    given_up = and_(_of(key), RecordedReport.ended_at.is_not(None), RecordedReport.answer.is_(None))
    query = select(
        exists().where(Connection.conn_id == REPORT_CONNECTION),
        select(ReportState.sequence).where(_is(key)).scalar_subquery(),
        select(ReportState.delivered).where(_is(key)).scalar_subquery(),
        select(func.count()).select_from(RecordedReport).where(given_up).scalar_subquery(),
        exists().where(_is(key), ReportState.settled_end.is_not(None)),
    )
    with create_session(scoped=False) as session:
        is_wanted, recorded, over, lost, is_settled = session.execute(query).one()
    return RunDelivery(bool(is_wanted) or _is_wanted_elsewhere(), recorded or 0, over or 0, lost or 0, bool(is_settled))


def _is_wanted_elsewhere() -> bool:
    """Whether the Connection comes from the environment or a secrets backend, or may do so."""
    try:
        return find_connection(REPORT_CONNECTION, beside_database=True)[0] is not None
    except ReportError:
        return True


def remove_old(days: float) -> int:
    """Remove some of the reports that were delivered so long ago, and of what is kept of runs that are gone.

    Returns how many rows, 0 when there are no more: one transaction never takes long.
    """
    from airflow.models.dagrun import DagRun

    before = datetime.now(timezone.utc) - timedelta(days=days)
    is_over = and_(ReportState.run_key == GONE, ReportState.sequence == ReportState.delivered)
    is_there = exists().where(DagRun.id == Stop.run_key, DagRun.dag_id == Stop.dag_id, DagRun.run_id == Stop.run_id)
    report = (RecordedReport.dag_id, RecordedReport.run_id, RecordedReport.sequence)
    run = (ReportState.dag_id, ReportState.run_id)
    with create_session(scoped=False) as session:
        return sum(
            _delete_some(session, table, key, condition)
            for table, key, condition in (
                (RecordedReport, report, RecordedReport.ended_at < before),
                (ReportState, run, and_(is_over, ReportState.updated_at < before)),
                (Stop, (Stop.dag_id, Stop.run_id), and_(Stop.stopped_at < before, ~is_there)),
            )
        )


def _delete_some(
    session: Session, table: type[Base], key: tuple[InstrumentedAttribute[object], ...], condition: ColumnElement[bool]
) -> int:
    some = select(*key).where(condition).limit(REMOVED_AT_ONCE)
    found = [tuple(row) for row in session.execute(some)]
    if found:
        session.execute(delete(table).where(tuple_(*key).in_(found)).execution_options(synchronize_session=False))
    return len(found)


def _is(key: RunKey) -> ColumnElement[bool]:
    return and_(ReportState.dag_id == key[0], ReportState.run_id == key[1])


def _of(key: RunKey) -> ColumnElement[bool]:
    return and_(RecordedReport.dag_id == key[0], RecordedReport.run_id == key[1])
