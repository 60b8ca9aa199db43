"""The round of the API server that looks what has happened, and tells it to those who want to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import TYPE_CHECKING, cast

from cwl_ui_plugin.reports.tables import Notification
from cwl_ui_plugin.services.database import written
from cwl_ui_plugin.services.notifying import batch_ends, choices, happenings, messages, outbox
from cwl_ui_plugin.services.notifying.channels import usable_channels
from cwl_ui_plugin.services.notifying.choices import Choice
from cwl_ui_plugin.services.notifying.happenings import Happening

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.services.run_models import ShownState

SECONDS = 5.0
LOOK_BACK = timedelta(hours=24)
"""An end that nobody has seen for so long is not told any more."""
FULL_LOOK_SECONDS = 600.0
MAX_SINGLE = 5
"""So many ends of a workflow within one round are told one by one; more, as those of a batch, in one message."""
MayRead = Callable[[str, str], bool]
"""Whether a user, by name, may read a Dag."""


class NotifyRound:
    """Does one round each time. What it has looked at is known to it; after a restart it looks a day back."""

    def __init__(self, may_read: MayRead) -> None:
        self._may_read = may_read
        self._full_look_at = 0.0

    def __call__(self) -> None:
        """Write down what is to be told, and send what is due."""
        is_full = time.monotonic() >= self._full_look_at
        since = datetime.now(timezone.utc) - (LOOK_BACK if is_full else happenings.LATE)
        written(lambda session: self._record(session, since), "the notifications")
        if is_full:
            self._full_look_at = time.monotonic() + FULL_LOOK_SECONDS
            outbox.forget_some()
            choices.forget_gone()
        outbox.send_due(send, self._may_read)

    def _record(self, session: Session, since: datetime) -> None:
        channels = usable_channels()
        wanted = [choice for choice in choices.all_choices(session) if choice.channel in channels]
        if not wanted:
            return
        dag_ids = None if any(not choice.dag_id for choice in wanted) else {choice.dag_id for choice in wanted}
        found = batch_ends.without_batched(session, happenings.ends_since(session, since, dag_ids))
        found += batch_ends.ends_since(session, since, dag_ids)
        if any(choice.wants((choices.WAITS,)) for choice in wanted):
            found += happenings.waiting_now(session, dag_ids, since)
        for choice in wanted:
            outbox.record(session, list(self._rows(session, choice, found)))
            session.flush()  # two choices of a user may be about the same

    def _rows(self, session: Session, choice: Choice, found: Iterable[Happening]) -> Iterator[outbox.Row]:
        concerned = [one for one in found if one.concerns(choice) and _is_later(one, choice)]
        known = outbox.known_ids(session, [one.id_for(choice) for one in concerned])
        news = [one for one in concerned if one.id_for(choice) not in known]
        left = max(0, outbox.MAX_PER_HOUR - outbox.sent_within_hour(session, choice.user)) if news else 0
        for dag_id, group in groupby(sorted(news, key=lambda one: one.dag_id), key=lambda one: one.dag_id):
            if not self._may_read(choice.user, dag_id):
                continue
            for row in _told_together(choice, list(group)):
                is_told = row.get("state") != outbox.MERGED
                left -= is_told
                yield _too_many(row) if is_told and left < 0 else row


def _told_together(choice: Choice, some: list[Happening]) -> Iterator[outbox.Row]:
    """Yield a message for each of what happened to runs of one Dag, or one for all of them if they are many."""
    yield from (_row(choice, one) for one in some if one.summary)
    single = [one for one in some if not one.summary]
    rows = [_row(choice, one) for one in single]
    if len(single) > MAX_SINGLE:
        subject, text, worst = messages.of_many(single[0].dag_id, [one.state for one in single])
        yield {**rows[0], "run_id": "", "subject": subject, "text": text, "shown_state": worst}
        rows = [{**row, "state": outbox.MERGED} for row in rows[1:]]
    yield from rows


def send(row: Notification) -> None:
    """Send a message as it is to be told now, where the site still sends to; raise whatever its notifier raises."""
    state = cast("ShownState", row.shown_state)
    if row.mark == outbox.TEST:
        told = messages.of_test(row.user)
    elif row.run_id:
        told = messages.of_run(row.dag_id, row.run_id, state)
    else:
        told = messages.of_stored(row.dag_id, row.subject, row.text or "", state, batch_ends.batch_of(row.mark))
    channel = choices.found_channel(row.channel)
    channel.send(told.told_to(channel.check_address(row.address)))


def _is_later(one: Happening, choice: Choice) -> bool:
    return choice.created_at is None or one.at >= datetime.fromisoformat(choice.created_at)


def _row(choice: Choice, one: Happening) -> dict[str, object]:
    words = messages.STATE_TEXTS[one.state]
    subject, text = one.summary or (messages.one_line(f"{one.dag_id}: {one.run_id} {words}"), None)
    return {
        "id": one.id_for(choice),
        "user": choice.user,
        "channel": choice.channel,
        "address": choice.address,
        "dag_id": one.dag_id,
        "run_id": one.run_id,
        "mark": one.mark,
        "shown_state": one.state,
        "subject": subject,
        "text": text,
    }


def _too_many(row: outbox.Row) -> outbox.Row:
    words = f"Not sent: more than {outbox.MAX_PER_HOUR} messages within an hour."
    return {**row, "state": outbox.GIVEN_UP, "last_error": words}
