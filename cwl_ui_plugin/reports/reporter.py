"""The reporter: looks at runs, sends what is due, remembers what was acknowledged.

At least once, in order within a run: the next report of a run is sent when the one before is acknowledged and that is
stored. What was sent, but not stored, is sent again with the same ``report_id`` and ``sequence``.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.utils.session import create_session
from sqlalchemy import delete, func, select

from cwl_ui_plugin.reports.delivery import Sender
from cwl_ui_plugin.reports.due import RUN_ENDS, Acknowledged, Report, RunFacts, due_reports
from cwl_ui_plugin.reports.errors import ReportError
from cwl_ui_plugin.reports.facts import facts_of, runs_to_look_at
from cwl_ui_plugin.reports.tables import ReportState
from cwl_ui_plugin.reports.target import ReportTarget, read_target

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
LONGEST_PAUSE = 60.0
SETTLE_SECONDS = 10.0
"""How often ended runs are looked for while there is nobody to tell."""


@dataclass(frozen=True)
class DeliveryState:
    """How delivery goes: ``target`` is the receiver's URL or None, ``pause`` the seconds until the next try."""

    target: str | None
    is_signed: bool
    waiting: int
    oldest: datetime | None
    last_error: str | None
    pause: float


@dataclass(frozen=True)
class TestResult:
    """What came of a test report; ``seconds`` is the time that the receiver took."""

    __test__ = False  # no test class for pytest

    ok: bool
    status: int | None
    seconds: float
    message: str


class Reporter:
    """The rounds of the reporter, and what they remember between them: an open sender, and a pause after failures."""

    def __init__(self) -> None:
        self._sender: Sender | None = None
        self._failures = 0
        self._paused_until = 0.0
        self._settle_at = 0.0
        self.last_error: str | None = None

    def round(self) -> int:
        """Send what is due, until the first failure; return how many reports were acknowledged."""
        if time.monotonic() < self._paused_until:
            return 0
        try:
            target = read_target()
        except ReportError as error:
            self._failed(error)
            return 0
        if target is None:
            self.last_error = None
            self._settle_unheard()
            return 0
        return self._send_all(self._sender_for(target))

    def retry_now(self) -> None:
        """Forget the pause."""
        self._failures, self._paused_until = 0, 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next try."""
        return max(0.0, self._paused_until - time.monotonic())

    def _settle_unheard(self) -> None:
        if time.monotonic() >= self._settle_at:
            self._settle_at = time.monotonic() + SETTLE_SECONDS
            _settle_unheard()

    def _send_all(self, sender: Sender) -> int:
        with create_session() as session:
            runs = [(run.id, facts_of(run, session)) for run in runs_to_look_at(session)]
        sent = 0
        for _key, run in runs:
            try:
                sent += self._send_run(sender, run)
            except ReportError as error:
                self._failed(error, run)
                return sent
        if sent:
            self._failures, self.last_error = 0, None
        return sent

    def _send_run(self, sender: Sender, run: RunFacts) -> int:
        known, sequence = _state_of(run)
        reports = due_reports(run, known)
        for number, report in enumerate(reports, start=1):
            payload = {**report.payload, "sequence": sequence + number}
            sender.send(report.route, payload)
            _acknowledge(run, report, sequence + number, waiting=len(reports) - number)
        if not reports:
            _settle(run)
        return len(reports)

    def _sender_for(self, target: ReportTarget) -> Sender:
        if self._sender is None or self._sender.target != target:
            if self._sender is not None:
                self._sender.close()
                self.retry_now()
            self._sender = Sender(target)
        return self._sender

    def _failed(self, error: ReportError, run: RunFacts | None = None) -> None:
        if str(error) != self.last_error:
            log.warning("Reports wait: %s", error)
        self.last_error = str(error)
        self._failures += 1
        pause = min(LONGEST_PAUSE, 2.0 ** min(self._failures - 1, 10))
        self._paused_until = time.monotonic() + pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        if run is not None:
            _note_failure(run, str(error))


_reporter = Reporter()


def report_round() -> int:
    """One round of the API server's background loop."""
    return _reporter.round()


def retry_now() -> None:
    """Let the next round try again, whatever pause there is."""
    from cwl_ui_plugin.reports.loop import wake

    _reporter.retry_now()
    wake()


def delivery_state() -> DeliveryState:
    """Return how delivery goes, over all runs."""
    target, problem = None, None
    try:
        target = read_target()
    except ReportError as error:
        problem = str(error)
    with create_session() as session:
        waiting, oldest = session.execute(
            select(func.coalesce(func.sum(ReportState.waiting), 0), func.min(ReportState.updated_at)).where(
                ReportState.waiting > 0
            )
        ).one()
        kept = session.scalar(
            select(ReportState.last_error)
            .where(ReportState.last_error.is_not(None))
            .order_by(ReportState.updated_at.desc())
            .limit(1)
        )
    return DeliveryState(
        target=target.base_url if target else None,
        is_signed=bool(target and target.private_key),
        waiting=int(waiting),
        oldest=oldest,
        last_error=problem or kept or _reporter.last_error,
        pause=_reporter.pause,
    )


def send_test_report() -> TestResult:
    """Send a report that is about no run, at once; return what the receiver answered."""
    began = time.monotonic()
    try:
        target = read_target()
        if target is None:
            return TestResult(False, None, 0.0, "There is no Connection process_report: save one first.")
        sender = Sender(target)
        try:
            status = sender.send("status", _test_payload())
        finally:
            sender.close()
    except ReportError as error:
        return TestResult(False, None, round(time.monotonic() - began, 3), str(error))
    return TestResult(True, status, round(time.monotonic() - began, 3), f"The receiver answered {status}.")


def deliver_run(dag_id: str, run_id: str) -> bool:
    """Send what is due of one run now, for a run that is about to be removed; return whether all has arrived."""
    from airflow.models.dagrun import DagRun

    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        facts = facts_of(run, session) if run else None
    try:
        target = read_target()
        if target is None or facts is None:
            return True
        sender = Sender(target)
        try:
            _reporter._send_run(sender, facts)
        finally:
            sender.close()
    except ReportError as error:
        log.warning("The last reports of %s %s were not delivered: %s", dag_id, run_id, error)
        return False
    return True


def forget_run(dag_id: str, run_id: str) -> None:
    """Drop what is kept about a run that was removed."""
    with create_session() as session:
        session.execute(delete(ReportState).where(ReportState.dag_id == dag_id, ReportState.run_id == run_id))


def _test_payload() -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat()
    names = {"dag_id": "cwl_ui_plugin", "run_id": "test", "task_id": "test"}
    return {"state": "test", **names, "report_id": f"test-{now}", "sequence": 0, "timestamp": now}


def _row_of(run: RunFacts, session: Session) -> ReportState:
    return _row(run.dag_id, run.run_id, run.run_key, session)


def _row(dag_id: str, run_id: str, run_key: int, session: Session) -> ReportState:
    row = session.get(ReportState, (dag_id, run_id))
    if row is not None and row.run_key != run_key:
        session.delete(row)
        session.flush()
        row = None
    if row is None:
        row = ReportState(dag_id=dag_id, run_id=run_id, run_key=run_key, acknowledged="{}", sequence=0, waiting=0)
        session.add(row)
    row.updated_at = datetime.now(timezone.utc)
    return row


def _state_of(run: RunFacts) -> tuple[Acknowledged, int]:
    with create_session() as session:
        row = session.get(ReportState, (run.dag_id, run.run_id))
        if row is None or row.run_key != run.run_key:
            return Acknowledged(clear_number=run.clear_number), 0
        return Acknowledged.from_json(row.acknowledged), row.sequence


def _acknowledge(run: RunFacts, report: Report, sequence: int, waiting: int) -> None:
    with create_session() as session:
        row = _row_of(run, session)
        row.acknowledged = report.after.to_json()
        row.sequence = sequence
        row.waiting = waiting
        row.last_error = None
        if waiting == 0 and run.state in RUN_ENDS:
            row.settled_end = run.ended


def _settle(run: RunFacts) -> None:
    """Remember that nothing more is due of a run that has ended, so that it is not looked at again."""
    if run.state in RUN_ENDS:
        with create_session() as session:
            _row_of(run, session).settled_end = run.ended


def _settle_unheard() -> None:
    """Let runs that end while nobody is to be told be history: a receiver that comes later hears of later runs."""
    with create_session() as session:
        for run in runs_to_look_at(session):
            if run.state in RUN_ENDS:
                _row(run.dag_id, run.run_id, run.id, session).settled_end = run.end_date


def _note_failure(run: RunFacts, error: str) -> None:
    known, _sequence = _state_of(run)
    with create_session() as session:
        row = _row_of(run, session)
        row.waiting = len(due_reports(run, known))
        row.last_error = error
