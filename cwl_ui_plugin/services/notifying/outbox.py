"""Messages that wait, and those that were sent: a row for each thing that a user is told in one way.

A row is written before anything is sent, and its key is what happened: so nothing is told twice, unless a server dies
after the message has left and before that is written. It is then sent again: at least once, and once as a rule.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.tables import Notification
from cwl_ui_plugin.services.database import written
from cwl_ui_plugin.services.errors import Conflict
from cwl_ui_plugin.services.models import iso

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
MAX_PER_HOUR = 60
"""Messages to one user; more are not sent, and the page says so."""
MAX_TESTS_PER_HOUR = 5
FIRST_PAUSE, MAX_PAUSE = 30.0, 3600.0
GIVE_UP_AFTER = timedelta(hours=24)
KEEP = timedelta(days=30)
SENT_AT_ONCE = 20
SHOWN = 20
SHOWN_ERROR = 500
WAITS, SENT, GIVEN_UP, MERGED = "waits", "sent", "given up", "merged"
TEST = "test"
Row = Mapping[str, object]


@dataclass(frozen=True)
class Sent:
    """A message to a user: ``state`` is waits, sent or given up."""

    dag_id: str
    run_id: str
    channel: str
    subject: str
    state: str
    recorded_at: str | None
    sent_at: str | None
    error: str | None


def known_ids(session: Session, ids: Sequence[str]) -> set[str]:
    """Return which of these are there."""
    from sqlalchemy import select

    found: set[str] = set()
    for start in range(0, len(ids), 500):
        found |= set(session.scalars(select(Notification.id).where(Notification.id.in_(ids[start : start + 500]))))
    return found


def record(session: Session, rows: Sequence[Row]) -> None:
    """Write messages that are to be sent; one that is there already stays as it is."""
    known = known_ids(session, [str(row["id"]) for row in rows])
    now = datetime.now(timezone.utc)
    for row in rows:
        if row["id"] not in known:
            session.add(Notification(**{"recorded_at": now, "state": WAITS, "attempts": 0, **row}))


def sent_within_hour(session: Session, user: str, *, tests: bool = False) -> int:
    """Return how many messages a user got, or is to get, within the last hour; or how many tests of them."""
    from sqlalchemy import func, select

    rows = Notification
    query = select(func.count()).where(
        rows.user == user,
        rows.state.in_([WAITS, SENT]),
        rows.recorded_at > datetime.now(timezone.utc) - timedelta(hours=1),
        rows.mark == TEST if tests else rows.mark != TEST,
    )
    return session.scalar(query) or 0


def request_test(user: str, channel: str, address: str) -> None:
    """Have a test message sent soon; raise :class:`Conflict` for too many of them."""

    def write(session: Session) -> None:
        if sent_within_hour(session, user, tests=True) >= MAX_TESTS_PER_HOUR:
            raise Conflict(f"There were {MAX_TESTS_PER_HOUR} test messages within an hour. Wait before the next one.")
        row = {"id": uuid.uuid4().hex, "user": user, "channel": channel, "address": address, "mark": TEST}
        record(session, [{**row, "dag_id": "", "run_id": "", "shown_state": "success", "subject": "A test message"}])

    written(write, "the test message")


def send_due(send: Callable[[Notification], None], may_read: Callable[[str, str], bool]) -> int:
    """Send what is due, by a channel that fails no more in this round; return how many were sent.

    What is told of a workflow that its user may not see any more is forgotten.
    """
    failed: set[str] = set()
    sent = 0
    for _ in range(SENT_AT_ONCE):
        message = written(lambda session: _claimed(session, failed), "the notifications")
        if message is None:
            break
        try:
            if message.dag_id and not may_read(message.user, message.dag_id):
                _forget(message.id)
                continue
            send(message)
        except Exception as error:  # whatever a notifier raises: it is none of ours
            log.warning("A notification by %s was not sent: %s", message.channel, error)
            failed.add(message.channel)
            _failed(message.id, str(error) or type(error).__name__)
        else:
            _settle(message.id)
            sent += 1
    return sent


def messages_of(user: str) -> list[Sent]:
    """Return the last messages to a user, newest first."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    rows = Notification
    query = select(rows).where(rows.user == user, rows.state != MERGED).order_by(rows.recorded_at.desc()).limit(SHOWN)
    with create_session(scoped=False) as session:
        return [
            Sent(
                row.dag_id,
                row.run_id,
                row.channel,
                row.subject,
                row.state,
                iso(row.recorded_at),
                iso(row.sent_at),
                row.last_error,
            )
            for row in session.scalars(query)
        ]


def forget_some() -> None:
    """Forget messages of long ago, and those of runs that are gone: what happened then is not looked for any more."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import and_, delete, exists, or_

    rows = Notification
    is_old = rows.recorded_at < datetime.now(timezone.utc) - KEEP
    is_there = exists().where(DagRun.dag_id == rows.dag_id, DagRun.run_id == rows.run_id)
    is_gone = and_(rows.state != WAITS, rows.run_id != "", ~is_there)
    gone = delete(rows).where(or_(is_old, is_gone)).execution_options(synchronize_session=False)
    written(lambda session: session.execute(gone), "forgetting notifications")


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time."""
    return timedelta(seconds=min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 10)))


def _claimed(session: Session, but: Collection[str]) -> Notification | None:
    """Return the next message that is due, but for some channels, with the next try noted.

    A server that dies leaves it for then. Messages of a channel that fails keep their tries for when it does not.
    """
    from sqlalchemy import or_, select

    rows, now = Notification, datetime.now(timezone.utc)
    query = select(rows).where(rows.state == WAITS, or_(rows.next_try_at.is_(None), rows.next_try_at <= now))
    query = query.where(rows.channel.not_in(list(but))).order_by(rows.recorded_at, rows.id).limit(1)
    row = session.scalar(query.with_for_update(skip_locked=True))
    if row is None:
        return None
    row.attempts += 1
    row.next_try_at = now + pause_after(row.attempts)
    session.flush()
    session.expunge(row)
    return row


def _failed(message_id: str, error: str) -> None:
    def write(session: Session) -> None:
        row = session.get(Notification, message_id)
        if row is not None:
            row.last_error = error[:SHOWN_ERROR]
            if row.recorded_at + GIVE_UP_AFTER < datetime.now(timezone.utc):
                row.state = GIVEN_UP

    written(write, "the notifications")


def _settle(message_id: str) -> None:
    """Keep that a message was sent. What keeps that from being written is waited for: else it would be sent again."""
    from sqlalchemy import update

    values = {"state": SENT, "sent_at": datetime.now(timezone.utc), "last_error": None}
    change = update(Notification).where(Notification.id == message_id).values(**values)
    written(lambda session: session.execute(change), "the notifications")


def _forget(message_id: str) -> None:
    from sqlalchemy import delete

    gone = delete(Notification).where(Notification.id == message_id)
    written(lambda session: session.execute(gone), "the notifications")
