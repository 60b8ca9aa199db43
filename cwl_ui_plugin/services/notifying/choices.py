"""What users want to be told: of which workflow's runs, of which events, by which channel."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.tables import NotificationChoice
from cwl_ui_plugin.services.database import written
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.notifying.channels import Channel, usable_channels

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

FAILED, ENDED, WAITS = "failed", "ended", "waits"
EVENTS = (FAILED, ENDED, WAITS)
EVENT_TEXTS = {FAILED: "has failed", ENDED: "has ended, well or not", WAITS: "waits for an approval"}
MAX_CHOICES = 200
"""Of one user."""


@dataclass(frozen=True)
class Choice:
    """What one user wants to be told. ``dag_id`` is empty for all runs that the user starts, of whatever workflow.

    ``only_mine``: of a workflow's runs those that the user has started.
    """

    id: str
    user: str
    dag_id: str
    channel: str
    address: str
    events: tuple[str, ...]
    only_mine: bool
    created_at: str | None

    def wants(self, events: Iterable[str]) -> bool:
        """Whether one of these is to be told."""
        return any(event in self.events for event in events)


def choices_of(user: str) -> list[Choice]:
    """Return what a user wants to be told, those for all workflows first."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(NotificationChoice).where(NotificationChoice.user == user)
    with create_session(scoped=False) as session:
        rows = session.scalars(query.order_by(NotificationChoice.dag_id, NotificationChoice.created_at))
        return [_choice(row) for row in rows]


def all_choices(session: Session) -> list[Choice]:
    """Return what anybody wants to be told."""
    from sqlalchemy import select

    return [_choice(row) for row in session.scalars(select(NotificationChoice))]


def choose(
    user: str,
    dag_id: str,
    channel: str,
    events: Iterable[str],
    *,
    address: str = "",
    only_mine: bool = False,
    may_read: Callable[[str], bool],
) -> Choice:
    """Keep what a user wants to be told from now on; what is there for the same channel and address is replaced.

    Raises:
        BadRequest: there is no such channel or event, the address is none, or there are too many.
        NotFound: there is no such Dag, or the user may not see it.

    """
    wanted = checked_events(events)
    checked = found_channel(channel).check_address(address)
    if dag_id and not may_read(dag_id):
        raise _no_workflow(dag_id)

    def write(session: Session) -> Choice:
        if dag_id and not _is_known(session, dag_id):
            raise _no_workflow(dag_id)
        row = _row_for(session, user, dag_id, channel, checked)
        row.events, row.only_mine = ",".join(wanted), only_mine or not dag_id
        return _choice(row)

    return written(write, "the notification")


def _row_for(session: Session, user: str, dag_id: str, channel: str, address: str) -> NotificationChoice:
    """Return the row of a choice, a new one where there is none; raise :class:`Conflict` for too many."""
    from sqlalchemy import func, select

    rows = NotificationChoice
    same = (rows.user == user, rows.dag_id == dag_id, rows.channel == channel, rows.address == address)
    row = session.scalar(select(rows).where(*same))
    if row is not None:
        return row
    if (session.scalar(select(func.count()).where(rows.user == user)) or 0) >= MAX_CHOICES:
        raise Conflict(f"Nobody is told more than {MAX_CHOICES} things. Remove one first.")
    now = datetime.now(timezone.utc)
    row = rows(id=uuid.uuid4().hex, user=user, dag_id=dag_id, channel=channel, address=address, created_at=now)
    session.add(row)
    return row


def _is_known(session: Session, dag_id: str) -> bool:
    """Whether Airflow knows a Dag: an administrator may see any name."""
    from airflow.models.dag import DagModel
    from sqlalchemy import select

    return session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id)) is not None


def _no_workflow(dag_id: str) -> NotFound:
    return NotFound(f"There is no workflow {dag_id!r}.")


def choice_of(user: str, choice_id: str) -> Choice:
    """Return one of a user's choices; raise :class:`NotFound` if it is not there, or somebody else's."""
    for choice in choices_of(user):
        if choice.id == choice_id:
            return choice
    raise NotFound(f"There is no notification {choice_id!r}.")


def remove(user: str, choice_id: str) -> None:
    """Forget what a user wanted to be told; raise :class:`NotFound` if it is not there, or somebody else's."""

    def write(session: Session) -> None:
        row = session.get(NotificationChoice, choice_id)
        if row is None or row.user != user:
            raise NotFound(f"There is no notification {choice_id!r}.")
        session.delete(row)

    written(write, "the notification")


def forget_gone() -> None:
    """Forget what anybody wanted to be told of Dags that Airflow does not know any more, deleted ones included."""
    from airflow.models.dag import DagModel
    from sqlalchemy import delete, exists

    rows = NotificationChoice
    is_known = exists().where(DagModel.dag_id == rows.dag_id)
    gone = delete(rows).where(rows.dag_id != "", ~is_known).execution_options(synchronize_session=False)
    written(lambda session: session.execute(gone), "forgetting notifications")


def found_channel(name: str) -> Channel:
    """Return a channel; raise :class:`BadRequest` if the site has none of this name."""
    found = usable_channels()
    if name not in found:
        known = ", ".join(found) or "none: an administrator sets [cwl] notifiers"
        raise BadRequest(f"There is no channel {name!r}. There are: {known}.", field="channel")
    return found[name]


def checked_events(events: Iterable[str]) -> tuple[str, ...]:
    """Return events in our order; raise :class:`BadRequest` if there is none, or another."""
    wanted = set(events)
    if not wanted or wanted - set(EVENTS):
        raise BadRequest(f"Choose one or more of {', '.join(EVENTS)}.", field="events")
    return tuple(event for event in EVENTS if event in wanted)


def _choice(row: NotificationChoice) -> Choice:
    return Choice(
        id=row.id,
        user=row.user,
        dag_id=row.dag_id,
        channel=row.channel,
        address=row.address,
        events=tuple(row.events.split(",")),
        only_mine=row.only_mine,
        created_at=iso(row.created_at),
    )
