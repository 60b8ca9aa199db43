"""How long reports pause after failures, and which runs are tried meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.reports import dispatch, outbox
from cwl_ui_plugin.reports.dispatch import Dispatcher, pause_after
from cwl_ui_plugin.reports.errors import NotDelivered, NotSigned, Unreachable
from cwl_ui_plugin.reports.target import ReportTarget

TARGET = ReportTarget("http://portal.example.org")


@dataclass
class Portal:
    """What is sent, instead of a sender: ``(route, payload)``; ``refuses`` returns the error of a report."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    refuses: Callable[[str], Exception | None] = lambda _payload: None

    def __call__(self, target: ReportTarget) -> Any:
        portal = self

        class Sender:
            def __init__(self) -> None:
                self.target = target

            def send_text(self, route: str, payload: str) -> int:
                portal.sent.append((route, payload))
                if error := portal.refuses(payload):
                    raise error
                return 200

        return Sender()


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Portal:
    made = Portal()
    monkeypatch.setattr(dispatch, "Sender", made)
    return made


@pytest.fixture
def dispatcher(airflow_home: object) -> Iterator[Dispatcher]:
    made = Dispatcher(may_send=lambda: True, done=lambda: None)
    yield made
    made.stop()


def put(run_id: str, count: int = 1, *, age: float = 0.0) -> None:
    """Let reports of a run wait, recorded so many seconds ago."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import RecordedReport, ReportState

    now = datetime.now(timezone.utc) - timedelta(seconds=age)
    with create_session() as session:
        state = ReportState(dag_id="d", run_id=run_id, run_key=1, recorded="{}", updated_at=now)
        state.sequence, state.delivered, state.failures = count, 0, 0
        session.add(state)
        for number in range(1, count + 1):
            row = RecordedReport(
                dag_id="d", run_id=run_id, sequence=number, route="status", payload=f"{run_id} {number}"
            )
            row.recorded_at, row.attempts = now, 0
            session.add(row)


def do(dispatcher: Dispatcher, target: ReportTarget = TARGET) -> None:
    dispatcher.dispatch(target)
    assert dispatcher.wait(30)


def waiting() -> dict[str, tuple[int, int]]:
    """Return how many reports of each run wait, and how often they have failed."""
    return {run.run_id: (run.waiting, run.failures) for run in outbox.waiting_runs(100)}


def given_up(run_id: str) -> list[int]:
    """Return the sequences of the reports of a run that no receiver has, and none will get."""
    reports, _total = outbox.reports_of("d", run_id, 100)
    return sorted(report.sequence for report in reports if report.ended_at and report.answer is None)


def recorded_now(run_id: str, sequence: int) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from cwl_ui_plugin.reports.tables import RecordedReport

    of_report = (RecordedReport.run_id == run_id, RecordedReport.sequence == sequence)
    with create_session() as session:
        session.execute(update(RecordedReport).where(*of_report).values(recorded_at=datetime.now(timezone.utc)))


def test_a_pause_is_twice_as_long_each_time_and_never_longer_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    for share in (0.5, 1.0):
        monkeypatch.setattr(dispatch.random, "uniform", lambda low, high, share=share: share if low < high else 0)
        pauses = [pause_after(number) for number in (0, 1, 2, 5, 6, 9999)]
        assert pauses == [share * seconds for seconds in (1, 2, 4, 32, 60, 60)]


def test_a_receiver_may_ask_for_a_longer_pause_of_an_hour_at_most() -> None:
    assert pause_after(0, 90) == 90
    assert pause_after(0, 1e9) == 3600
    assert pause_after(9, 0.5) >= 30


def test_reports_of_a_run_arrive_in_order_and_once(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a", dispatch.AT_ONCE * 2 + 1)
    do(dispatcher)
    assert [text for _, text in portal.sent] == [f"a {number}" for number in range(1, dispatch.AT_ONCE * 2 + 2)]
    assert waiting() == {}
    do(dispatcher)
    assert len(portal.sent) == dispatch.AT_ONCE * 2 + 1


def test_after_nobody_answered_one_run_is_tried_until_somebody_does(portal: Portal, dispatcher: Dispatcher) -> None:
    for name in ("a", "b", "c"):
        put(name)
    portal.refuses = lambda _payload: Unreachable("nobody there")
    do(dispatcher)
    before = len(portal.sent)
    assert before
    do(dispatcher)
    assert len(portal.sent) == before, "nobody is asked during the pause"
    outbox.retry_now()
    dispatcher._silent_until = 0.0
    do(dispatcher)
    assert len(portal.sent) == before + 1
    portal.refuses = lambda _payload: None
    outbox.retry_now()
    dispatcher._silent_until = 0.0
    do(dispatcher)
    assert len(waiting()) == 2
    do(dispatcher)
    assert waiting() == {}


def test_what_is_refused_is_tried_again_after_a_pause_and_keeps_no_other_waiting(
    portal: Portal, dispatcher: Dispatcher
) -> None:
    put("a", 3)
    put("b", 2)
    portal.refuses = lambda payload: NotDelivered("no", 400, retry_after=90) if payload == "a 2" else None
    do(dispatcher)
    assert waiting() == {"a": (2, 1)}
    (run,) = outbox.waiting_runs(1)
    assert run.last_error == "no"
    assert run.next_try_at is not None
    assert run.next_try_at > datetime.now(timezone.utc) + timedelta(seconds=60)
    outbox.retry_now(("d", "a"))
    portal.sent.clear()
    do(dispatcher)
    assert portal.sent == [("status", "a 2")]
    assert waiting() == {"a": (2, 1)}


def test_only_what_was_offered_and_refused_is_given_up(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a", 5, age=60)
    portal.refuses = lambda payload: NotDelivered("no", 422) if payload in ("a 1", "a 3") else None
    do(dispatcher, ReportTarget("http://h", retry_for=30))
    assert [text for _, text in portal.sent] == [f"a {number}" for number in range(1, 6)]
    assert waiting() == {}
    assert given_up("a") == [1, 3]


def test_a_report_in_between_that_is_younger_is_not_skipped(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a", 3, age=60)
    recorded_now("a", 2)
    portal.refuses = lambda _payload: NotDelivered("no", 422)
    do(dispatcher, ReportTarget("http://h", retry_for=30))
    assert [text for _, text in portal.sent] == ["a 1", "a 2"]
    assert waiting() == {"a": (2, 1)}


@pytest.mark.parametrize("status", [None, 429, 503])
def test_a_receiver_that_is_away_loses_only_what_it_has_kept_back_before(
    portal: Portal, dispatcher: Dispatcher, status: int | None
) -> None:
    put("a", 5, age=60)
    target = ReportTarget("http://h", retry_for=30)
    portal.refuses = lambda _payload: Unreachable("not now", status)
    for _try in range(2):
        do(dispatcher, target)
        dispatcher._silent_until = 0.0
        (run,) = outbox.waiting_runs(1)
        assert run.last_error == "not now"
        assert run.next_try_at is not None
        assert run.failures
        outbox.retry_now()
    assert given_up("a") == [1]
    portal.refuses = lambda _payload: None
    portal.sent.clear()
    do(dispatcher, target)
    assert [text for _, text in portal.sent] == ["a 2", "a 3", "a 4", "a 5"]
    assert waiting() == {}


def test_what_can_not_be_signed_is_not_given_up(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a", 2, age=60)
    portal.refuses = lambda _payload: NotSigned("no key")
    for _try in range(2):
        do(dispatcher, ReportTarget("http://h", retry_for=30))
        dispatcher._silent_until = 0.0
        outbox.retry_now()
    assert waiting()["a"][0] == 2


def test_what_is_younger_than_the_receiver_wants_is_not_given_up(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a", 2, age=60)
    portal.refuses = lambda _payload: NotDelivered("no", 400)
    do(dispatcher, ReportTarget("http://h", retry_for=6000))
    do(dispatcher, ReportTarget("http://h"))
    assert waiting()["a"][0] == 2


def test_a_process_that_has_lost_its_lease_sends_nothing_more(portal: Portal, airflow_home: object) -> None:
    put("a", 5)
    allowed = iter([True, True])
    sending = Dispatcher(may_send=lambda: next(allowed, False), done=lambda: None)
    do(sending)
    assert len(portal.sent) == 2
    assert waiting() == {"a": (3, 0)}
    sending.stop()


def test_another_receiver_is_tried_at_once(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a")
    portal.refuses = lambda _payload: Unreachable("nobody there")
    do(dispatcher)
    portal.refuses = lambda _payload: None
    do(dispatcher)
    assert waiting() == {"a": (1, 1)}
    do(dispatcher, ReportTarget("http://other.example.org"))
    assert waiting() == {}


def test_a_run_is_sent_by_one_worker_at_a_time(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a", 2)
    may_answer = threading.Event()
    portal.refuses = lambda _payload: None if may_answer.wait(30) else AssertionError("never answered")
    dispatcher.dispatch(TARGET)
    dispatcher.dispatch(TARGET)
    assert not dispatcher.wait(0)
    may_answer.set()
    assert dispatcher.wait(30)
    assert [text for _, text in portal.sent] == ["a 1", "a 2"]


def test_an_error_that_nobody_foresaw_leaves_the_reports_waiting(portal: Portal, dispatcher: Dispatcher) -> None:
    put("a", 2)
    portal.refuses = lambda payload: RuntimeError("unforeseen") if payload == "a 2" else None
    do(dispatcher)
    assert waiting() == {"a": (1, 0)}
    portal.refuses = lambda _payload: None
    do(dispatcher)
    assert waiting() == {}


def test_the_same_reason_is_complained_of_once(
    portal: Portal, dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    def complaints() -> int:
        return caplog.text.count("Reports wait: ")

    put("a")
    put("b")
    portal.refuses = lambda _payload: NotDelivered("no")
    do(dispatcher)
    assert complaints() == 1
    portal.refuses = lambda _payload: NotDelivered("another reason")
    outbox.retry_now()
    do(dispatcher)
    assert complaints() == 2


def test_a_run_has_a_turn_and_what_arrived_in_it_is_stored(
    portal: Portal, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a", 5)
    monkeypatch.setattr(dispatch, "STORE_SECONDS", -1)
    monkeypatch.setattr(dispatch, "TURN_SECONDS", 0)
    do(dispatcher)
    assert portal.sent == []
    monkeypatch.setattr(dispatch, "TURN_SECONDS", 600)
    portal.refuses = lambda _payload: (
        None if waiting()["a"] == (6 - len(portal.sent), 0) else RuntimeError("not stored")
    )
    do(dispatcher)
    assert waiting() == {}
    assert len(portal.sent) == 5


def test_what_one_run_is_refused_counts_from_what_had_arrived(
    portal: Portal, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, float | None]] = []

    def pause(failures: int, retry_after: float | None = None) -> float:
        asked.append((failures, retry_after))
        return 0.0

    monkeypatch.setattr(dispatch, "pause_after", pause)
    put("a", 3)
    portal.refuses = lambda payload: NotDelivered("no", 400, retry_after=7) if payload == "a 2" else None
    for _try in range(3):
        do(dispatcher)
    assert asked == [(0, 7), (1, 7), (2, 7)]
