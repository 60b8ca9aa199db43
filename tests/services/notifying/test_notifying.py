"""Users are told by mail that their runs have ended: by a real mail server, once, and what they may know."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from typing import Any

import pytest
from support.batches import end_row, go_on, made_batch
from support.smtp_server import MailServer, mail_server
from support.stored import start_run

from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.services import database
from cwl_ui_plugin.services.batches import batches
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound, ServiceError
from cwl_ui_plugin.services.inputs.access import shared_only
from cwl_ui_plugin.services.notifying import channels, choices, happenings, messages, outbox, rounds
from cwl_ui_plugin.services.triggering import triggers

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
ARGS = {
    "from_email": "airflow@example.org",
    "to": "{{ cwl.address }}",
    "subject": "{{ cwl.subject }}",
    "html_content": "{{ cwl.html }}",
    "smtp_conn_id": "cwl_test_mail",
}
MAIL = {"class": SMTP, "args": ARGS, "domains": ["example.org"]}
ADDRESS = "ada@example.org"


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server, and a channel "mail" that sends to it."""
    with mail_server() as server:
        extra = json.dumps({"disable_ssl": True, "disable_tls": True, "retry_limit": 0, "timeout": 10})
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_CWL_TEST_MAIL", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__CWL__NOTIFIERS", json.dumps({"mail": MAIL}))
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://flow.example.org/x")
        yield server


@pytest.fixture
def user() -> Iterator[str]:
    """The name of somebody who forgets all at the end."""
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from cwl_ui_plugin.reports.tables import Notification

    name = f"user-{uuid.uuid4().hex[:8]}"
    yield name
    for choice in choices.choices_of(name):
        choices.remove(name, choice.id)
    with create_session(scoped=False) as session:
        session.execute(delete(Notification).where(Notification.user == name))


@pytest.fixture
def told(mails: MailServer, user: str, workflow: str) -> choices.Choice:
    return choose(user, workflow)


def choose(user: str, dag_id: str, *events: str, **more: Any) -> choices.Choice:
    settings = {"address": ADDRESS, "may_read": lambda _dag: True, **more}
    return choices.choose(user, dag_id, settings.pop("channel", "mail"), events or ("ended", "waits"), **settings)


def a_round(may_read: Callable[[str, str], bool] = lambda _user, _dag: True) -> None:
    rounds.NotifyRound(may_read)()


def fail(airflow: Any, dag_id: str, run_id: str, message: str) -> None:
    ended = datetime.now(timezone.utc)
    start_run(dag_id, run_id)
    airflow.set_task(dag_id, run_id, "sort", state="failed", start_date=ended, end_date=ended, duration=0)
    airflow.push(dag_id, run_id, "sort", "cwl_error", {"message": message, "kind": "permanentFail", "stderr": ""})
    airflow.set_run(dag_id, run_id, "failed")


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def test_the_end_of_a_run_is_told_once(told: choices.Choice, mails: MailServer, run_id: str, airflow: Any) -> None:
    fail(airflow, told.dag_id, run_id, "Step sort: it ended with exit code 7.")
    a_round()
    a_round()  # as another server, which knows only what is in the database
    (mail,) = mails.mails
    assert (mail["to"], mail["from"]) == (ADDRESS, "airflow@example.org")
    assert mail["subject"] == f"{told.dag_id}: {run_id} failed"
    assert "exit code 7" in html_of(mail)
    assert f"https://flow.example.org/x/dags/{told.dag_id}/runs/{run_id}/plugin/cwl_run" in html_of(mail)
    (sent,) = outbox.messages_of(told.user)
    assert (sent.state, sent.run_id, sent.error) == ("sent", run_id, None)


def test_nothing_that_a_tool_or_a_user_wrote_is_a_template_or_markup(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any
) -> None:
    hostile = "{{ 7 * 191 }} <script>alert(1)</script> \x1b[31m {% include '/etc/passwd' %} \u202e"
    fail(airflow, told.dag_id, run_id, hostile)
    a_round()
    text = html_of(mails.mails[0])
    assert "{{ 7 * 191 }}" in text
    assert "1337" not in text
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert messages.one_line("a\r\nBcc: eve@example.org") == "a Bcc: eve@example.org"


def test_a_server_that_is_away_is_tried_again_and_nothing_is_lost(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails.refuses = "451 not now"
    airflow.set_run(told.dag_id, run_id, "success")
    a_round()
    (waits,) = outbox.messages_of(told.user)
    assert (waits.state, mails.mails) == ("waits", [])
    assert "not now" in str(waits.error)
    mails.refuses = None
    a_round()
    assert mails.mails == []  # it has to wait: twice as long each time
    assert [outbox.pause_after(number).total_seconds() for number in (1, 2, 3, 99)] == [30, 60, 120, 3600]
    make_due(told.user)
    a_round()
    assert [mail["subject"] for mail in mails.mails] == [f"{told.dag_id}: {run_id} succeeded"]
    assert outbox.messages_of(told.user)[0].error is None


def test_a_server_that_dies_while_it_sends_leaves_the_message_for_the_next(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.set_run(told.dag_id, run_id, "success")

    def die(_row: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(rounds, "send", die)
        a_round()
    a_round()
    assert mails.mails == []  # not before the pause that was noted when it began
    make_due(told.user)
    a_round()
    assert len(mails.mails) == 1


def make_due(user: str) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from cwl_ui_plugin.reports.tables import Notification

    with create_session(scoped=False) as session:
        session.execute(update(Notification).where(Notification.user == user).values(next_try_at=None))


def test_only_what_was_chosen_is_told(mails: MailServer, user: str, workflow: str, run_id: str, airflow: Any) -> None:
    choose(user, workflow, "failed")
    choose(user, "", "ended", address="other@example.org")  # all runs that this user starts: this is another's
    airflow.set_run(workflow, run_id, "success")
    a_round()
    assert mails.mails == []


def test_runs_that_a_user_starts_are_told_of_all_workflows(
    mails: MailServer, user: str, workflow: str, airflow: Any
) -> None:
    choose(user, "", "ended")
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id="mine", user=user, via=triggers.REST)
    airflow.set_run(workflow, "mine", "success")
    a_round()
    assert [mail["subject"] for mail in mails.mails] == [f"{workflow}: mine succeeded"]


def test_nothing_is_told_of_a_workflow_that_the_user_may_not_see_any_more(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any
) -> None:
    airflow.set_run(told.dag_id, run_id, "success")
    a_round(lambda user, _dag: user != told.user)
    assert (mails.mails, outbox.messages_of(told.user)) == ([], [])


def test_nothing_that_waits_is_sent_to_who_may_not_see_the_workflow_any_more(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any
) -> None:
    mails.refuses = "451 not now"
    airflow.set_run(told.dag_id, run_id, "success")
    a_round()
    assert [message.state for message in outbox.messages_of(told.user)] == ["waits"]
    mails.refuses = None
    make_due(told.user)
    a_round(lambda user, _dag: user != told.user)
    assert (mails.mails, outbox.messages_of(told.user)) == ([], [])


def test_nothing_that_waits_is_sent_to_where_the_site_does_not_send_any_more(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.set_run(told.dag_id, run_id, "success")
    monkeypatch.setenv("AIRFLOW__CWL__NOTIFIERS", json.dumps({"mail": {**MAIL, "domains": ["example.com"]}}))
    a_round()
    (waits,) = outbox.messages_of(told.user)
    assert (waits.state, mails.mails) == ("waits", [])
    assert "sends mail to addresses of example.com only" in str(waits.error)


def test_a_channel_that_fails_uses_up_no_tries_and_holds_up_no_other(
    told: choices.Choice, mails: MailServer, user: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {**MAIL, "args": {**ARGS, "smtp_conn_id": "cwl_no_such_mail"}}
    monkeypatch.setenv("AIRFLOW__CWL__NOTIFIERS", json.dumps({"mail": MAIL, "away": other}))
    monkeypatch.setattr(outbox, "SENT_AT_ONCE", 3)
    for address in ("a@example.org", "b@example.org", "c@example.org", "d@example.org"):
        choose(user, told.dag_id, channel="away", address=address)
    name = "one"
    triggers.trigger(told.dag_id, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
    airflow.set_run(told.dag_id, name, "success")
    a_round()
    assert [mail["to"] for mail in mails.mails] == [ADDRESS]
    assert sorted(attempts_of(user).values()) == [0, 0, 0, 1, 1]


def attempts_of(user: str) -> dict[str, int]:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import Notification

    with create_session(scoped=False) as session:
        rows = session.scalars(select(Notification).where(Notification.user == user))
        return {row.address: row.attempts for row in rows}


@pytest.mark.parametrize("point", ["_claimed", "_settle", "_failed"])
def test_a_database_that_is_busy_for_a_moment_loses_nothing_and_sends_nothing_twice(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    from sqlalchemy.exc import OperationalError

    monkeypatch.setattr(database, "_PAUSE_SECONDS", 0.0)
    in_session, busy = database.in_session, []

    def seldom(write: Any) -> Any:
        if point in write.__qualname__ + str(write.__code__.co_names) and not busy:
            busy.append(point)
            raise OperationalError("UPDATE", None, Exception("database is locked"))
        return in_session(write)

    monkeypatch.setattr(database, "in_session", seldom)
    mails.refuses = "451 not now" if point == "_failed" else None
    airflow.set_run(told.dag_id, run_id, "success")
    a_round()
    assert busy == [point]
    (message,) = outbox.messages_of(told.user)
    assert (message.state, len(mails.mails)) == (("waits", 0) if point == "_failed" else ("sent", 1))


def test_what_a_user_chooses_is_written_once_the_database_is_not_busy(
    mails: MailServer, user: str, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    monkeypatch.setattr(database, "_PAUSE_SECONDS", 0.0)
    in_session, tries = database.in_session, []

    def every_second(write: Any) -> Any:
        tries.append(write)
        if len(tries) % 2:
            raise OperationalError("INSERT", None, Exception("database is locked"))
        return in_session(write)

    monkeypatch.setattr(database, "in_session", every_second)
    choice = choose(user, workflow)
    outbox.request_test(user, choice.channel, choice.address)
    choices.remove(user, choice.id)
    choices.forget_gone()
    outbox.forget_some()
    assert (len(tries), choices.choices_of(user)) == (10, [])


def test_what_happened_before_somebody_chose_is_not_told(
    mails: MailServer, user: str, workflow: str, run_id: str, airflow: Any
) -> None:
    airflow.set_run(workflow, run_id, "success")
    choose(user, workflow)
    a_round()
    assert mails.mails == []


def test_an_approval_that_is_waited_for_is_told_once(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any
) -> None:
    start_run(told.dag_id, run_id)
    asked = datetime.now(timezone.utc) + timedelta(seconds=1)
    airflow.set_task(told.dag_id, run_id, "sort", state="awaiting_input", start_date=asked)
    a_round()
    a_round()
    assert [mail["subject"] for mail in mails.mails] == [f"{told.dag_id}: {run_id} waits for approval"]


def test_many_ends_at_once_are_one_message(
    told: choices.Choice, mails: MailServer, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_PER_HOUR", 1)
    for number in range(rounds.MAX_SINGLE + 2):
        name = f"sample{number}"
        triggers.trigger(told.dag_id, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
        airflow.set_run(told.dag_id, name, "failed" if number < 2 else "success")
    a_round()
    a_round()
    assert [mail["subject"] for mail in mails.mails] == [f"{told.dag_id}: 5 succeeded, 2 failed"]
    assert [message.state for message in outbox.messages_of(told.user)] == ["sent"]


def test_ends_that_are_told_together_are_no_messages_that_were_given_up(
    told: choices.Choice, mails: MailServer, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_PER_HOUR", 0)
    for number in range(rounds.MAX_SINGLE + 1):
        name = f"sample{number}"
        triggers.trigger(told.dag_id, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
        airflow.set_run(told.dag_id, name, "success")
    a_round()
    assert [message.state for message in outbox.messages_of(told.user)] == ["given up"]


def test_no_end_is_left_out_of_a_long_look_back(
    told: choices.Choice, mails: MailServer, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(happenings, "AT_ONCE", 2)
    names = [f"run{number}" for number in range(5)]
    for name in names:
        triggers.trigger(told.dag_id, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
        airflow.set_run(told.dag_id, name, "success")
    a_round()
    assert sorted(mail["subject"] for mail in mails.mails) == [f"{told.dag_id}: {name} succeeded" for name in names]


def test_nobody_gets_more_messages_than_a_person_reads(
    told: choices.Choice, mails: MailServer, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_PER_HOUR", 0)
    airflow.set_run(told.dag_id, run_id, "success")
    a_round()
    (refused,) = outbox.messages_of(told.user)
    assert (refused.state, mails.mails) == ("given up", [])
    assert "within an hour" in str(refused.error)


def test_a_test_message_arrives_and_there_are_not_many(told: choices.Choice, mails: MailServer) -> None:
    for _ in range(outbox.MAX_TESTS_PER_HOUR):
        outbox.request_test(told.user, told.channel, told.address)
    with pytest.raises(Conflict):
        outbox.request_test(told.user, told.channel, told.address)
    a_round()
    assert len(mails.mails) == outbox.MAX_TESTS_PER_HOUR


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"address": "ada@elsewhere.org"}, BadRequest),
        ({"address": "ada@example.org, eve@example.org"}, BadRequest),
        ({"address": "ada@example.org\r\nBcc: eve@example.org"}, BadRequest),
        ({"address": "mailto://x@example.org?x"}, BadRequest),
        ({"address": ""}, BadRequest),
        ({"channel": "chat"}, BadRequest),
        ({"may_read": lambda _dag: False}, NotFound),
    ],
)
def test_a_user_chooses_among_what_the_site_offers(
    mails: MailServer, user: str, workflow: str, changes: dict[str, Any], error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        choose(user, workflow, **changes)
    with pytest.raises(BadRequest):
        choose(user, workflow, "no-event")
    with pytest.raises(NotFound):
        choose(user, "no-such-workflow")  # whose name an administrator may see
    assert choices.choices_of(user) == []


def test_nobody_removes_what_another_has_chosen(told: choices.Choice) -> None:
    with pytest.raises(NotFound):
        choices.remove("eve", told.id)
    assert choices.choices_of(told.user) == [told]


@pytest.mark.parametrize(
    "option",
    ["{", "[]", '{"A b": {"class": "x.Y"}}', '{"a": {}}', '{"a": {"class": "x.Y", "host": "evil"}}'],
)
def test_an_option_of_no_use_says_so(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__NOTIFIERS", option)
    with pytest.raises(ConfigError, match="notifiers"):
        channels.channels()
    assert channels.usable_channels() == {}
    assert channels.problems()


@pytest.mark.parametrize("notifier", ["no.such.Notifier", "os.system", "json.JSONDecoder"])
def test_a_class_that_is_no_notifier_is_not_called(monkeypatch: pytest.MonkeyPatch, notifier: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__NOTIFIERS", json.dumps({"a": {"class": notifier}}))
    (problem,) = channels.problems()
    assert notifier in problem


def test_a_batch_is_one_message_and_so_is_what_is_started_again(
    told: choices.Choice, mails: MailServer, workflow: str
) -> None:
    batch = go_on(made_batch(workflow, ["s1", "s2"], name="Samples of May"))
    end_row(batch, "s1", "failed")
    a_round()
    assert mails.mails == []  # it goes on
    batches.retry(workflow, batch.id, user="ada", files=shared_only())
    a_round()
    assert mails.mails == []  # the row is of another run by now
    end_row(go_on(batch), "s1", "failed")
    end_row(batch, "s2")
    go_on(batch)
    a_round()
    a_round()
    (mail,) = mails.mails
    assert mail["subject"] == f"{told.dag_id}: batch Samples of May has failed samples"
    assert "has ended: 1 failed, 1 success." in html_of(mail) or "has ended: 1 success, 1 failed." in html_of(mail)
    assert f"/pluginsv2/cwl/workflows/{told.dag_id}/batches/{batch.id}" in html_of(mail)


def test_a_run_that_is_only_called_as_one_of_a_batch_is_told(
    told: choices.Choice, mails: MailServer, airflow: Any
) -> None:
    name = "batch-0123456789ab-2-S1"
    triggers.trigger(told.dag_id, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
    airflow.set_run(told.dag_id, name, "success")
    a_round()
    assert [mail["subject"] for mail in mails.mails] == [f"{told.dag_id}: {name} succeeded"]


def test_what_is_gone_is_forgotten(told: choices.Choice, mails: MailServer, run_id: str, airflow: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, update

    from cwl_ui_plugin.reports.tables import NotificationChoice

    airflow.set_run(told.dag_id, run_id, "success")
    a_round()
    assert len(outbox.messages_of(told.user)) == 1
    with create_session(scoped=False) as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == told.dag_id))
        session.execute(update(NotificationChoice).where(NotificationChoice.id == told.id).values(dag_id="no-such-dag"))
    a_round()
    assert (outbox.messages_of(told.user), choices.choices_of(told.user)) == ([], [])
