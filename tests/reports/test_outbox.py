"""What waits for the receiver: in which order, which of it may be tried, and what is known of what went wrong."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.reports import outbox
from cwl_ui_plugin.reports.outbox import Backlog, RunDelivery

NOW = datetime.now(timezone.utc).replace(microsecond=0)


def put(run_id: str, count: int = 1, *, delivered: int = 0, age: float = 0.0, dag_id: str = "d", **more: Any) -> None:
    """Let so many reports of a run be recorded, each a second after the other, the first so many seconds ago."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import RecordedReport, ReportState

    values = {"dag_id": dag_id, "run_id": run_id}
    first = NOW - timedelta(seconds=age)
    with create_session() as session:
        state = {"run_key": 1, "recorded": "{}", "updated_at": first, "failures": 0, **more}
        session.add(ReportState(**values, **state, sequence=count, delivered=delivered))
        for number in range(1, count + 1):
            row = {"sequence": number, "route": "status", "payload": f"{run_id} {number}", "attempts": 0}
            session.add(RecordedReport(**values, **row, recorded_at=first + timedelta(seconds=number - 1)))


def names(**options: Any) -> list[str]:
    return [run.run_id for run in outbox.waiting_runs(10, **options)]


def sequences(run_id: str, limit: int = 10) -> list[int]:
    return [report.sequence for report in outbox.next_reports(("d", run_id), limit)]


def test_runs_wait_in_the_order_of_their_oldest_report_and_only_with_some() -> None:
    put("young")
    put("old", age=50)
    put("over", 2, delivered=2, age=90)
    put("half", 3, delivered=2, age=80)
    assert names() == ["half", "old", "young"]
    (half,) = outbox.waiting_runs(1)
    assert (half.waiting, half.oldest, half.key) == (1, NOW - timedelta(seconds=78), ("d", "half"))
    assert [run.run_id for run in outbox.waiting_runs(1, 2)] == ["young"]


def test_runs_of_one_moment_are_in_the_order_of_their_names() -> None:
    put("b")
    put("a")
    put("z", dag_id="c")
    assert names() == ["z", "a", "b"]


def test_a_run_is_due_when_its_pause_is_over_or_it_has_none() -> None:
    put("now", next_try_at=NOW)
    put("later", next_try_at=NOW + timedelta(seconds=1))
    put("new")
    assert sorted(names(due_at=NOW)) == ["new", "now"]
    assert len(names()) == 3


def test_the_next_reports_are_those_that_are_not_delivered_in_order() -> None:
    put("r", 5, delivered=2)
    put("other", 3)
    assert sequences("r") == [3, 4, 5]
    assert sequences("r", 2) == [3, 4]
    assert sequences("none") == []


def test_what_has_arrived_is_over_and_forgets_what_went_wrong() -> None:
    put("r", 4, failures=3, next_try_at=NOW, last_error="no")
    put("other", 4, failures=3, next_try_at=NOW, last_error="no")
    outbox.acknowledge(("d", "r"), {1: 200, 2: 201, 3: None})
    assert sequences("r") == [4]
    assert sequences("other") == [1, 2, 3, 4]
    run, other = sorted(outbox.waiting_runs(10), key=lambda run: run.waiting)
    assert (run.failures, run.next_try_at, run.last_error) == (0, None, None)
    assert (other.failures, other.last_error) == (3, "no")
    found, total = outbox.reports_of("d", "r", 10)
    assert total == 4
    assert [(report.sequence, report.answer, report.attempts) for report in found] == [
        (4, None, 0),
        (3, None, 1),
        (2, 201, 1),
        (1, 200, 1),
    ]
    assert [report.ended_at is not None for report in found] == [False, True, True, True]


def test_what_arrives_late_takes_nothing_back() -> None:
    put("r", 3)
    outbox.acknowledge(("d", "r"), {1: 200, 2: 200})
    outbox.acknowledge(("d", "r"), {1: 500})
    outbox.acknowledge(("d", "r"), {})
    assert sequences("r") == [3]
    found, _total = outbox.reports_of("d", "r", 10)
    assert [(report.answer, report.attempts) for report in found] == [(None, 0), (200, 1), (200, 1)]


def test_a_failure_is_noted_with_its_report_and_the_pause_of_its_run() -> None:
    put("r", 2, failures=1)
    put("other", 2)
    before = datetime.now(timezone.utc)
    outbox.note_failure(("d", "r"), 1, "x" * 2000, 503, 60)
    run = next(run for run in outbox.waiting_runs(10) if run.run_id == "r")
    assert (run.failures, run.last_error) == (2, "x" * outbox.SHOWN_ERROR)
    assert run.next_try_at is not None
    assert before + timedelta(seconds=60) <= run.next_try_at <= datetime.now(timezone.utc) + timedelta(seconds=60)
    outbox.note_failure(("d", "r"), None, "given up", None, 60)
    found, _total = outbox.reports_of("d", "r", 10)
    assert [(report.sequence, report.attempts, report.answer) for report in found] == [(2, 0, None), (1, 1, 503)]
    assert names(due_at=datetime.now(timezone.utc)) == ["other"]


@pytest.mark.parametrize(("key", "due"), [(("d", "a"), ["a"]), (None, ["a", "b"])])
def test_a_pause_is_ended_of_one_run_or_of_all(key: Any, due: list[str]) -> None:
    for name in ("a", "b"):
        put(name, failures=2, next_try_at=NOW + timedelta(hours=1), last_error="no")
    assert not outbox.is_retry_asked_for()
    outbox.retry_now(key)
    assert outbox.is_retry_asked_for()
    assert names(due_at=NOW) == due
    assert {run.failures for run in outbox.waiting_runs(10) if run.run_id in due} == {0}


def test_nobody_asks_for_what_has_never_failed_or_is_over() -> None:
    put("new")
    put("over", delivered=1, last_error="no")
    assert not outbox.is_retry_asked_for()


def test_the_backlog_of_nothing() -> None:
    put("over", 2, delivered=2, last_error="no", next_try_at=NOW)
    assert outbox.backlog() == Backlog(0, 0, None, None, None)


def test_the_backlog_has_the_oldest_report_the_next_try_and_the_error_of_the_last() -> None:
    put("a", 3, delivered=1, age=100, last_error="first", next_try_at=NOW)
    put("b", 4, age=50, last_error="last", next_try_at=NOW + timedelta(seconds=5))
    put("c", age=10, next_try_at=NOW - timedelta(seconds=5))
    assert outbox.backlog() == Backlog(7, 3, NOW - timedelta(seconds=99), "last", NOW)


def test_the_reports_of_a_run_are_shown_in_parts_the_last_first() -> None:
    put("r", 5)
    put("other", 2)
    found, total = outbox.reports_of("d", "r", 2, 1)
    assert ([report.sequence for report in found], total) == ([4, 3], 5)
    assert outbox.reports_of("d", "none", 2) == ([], 0)


def test_how_far_the_reports_of_a_run_are(connection: Any) -> None:
    put("r", 5)
    assert outbox.delivery_of(("d", "r")) == RunDelivery(False, 5, 0, 0, False)
    connection(1)
    outbox.acknowledge(("d", "r"), {1: 200, 2: None, 3: None})
    found = outbox.delivery_of(("d", "r"))
    assert found == RunDelivery(True, 5, 3, 2, False)
    assert (found.delivered, found.waiting) == (1, 2)
    put("settled", settled_end=NOW)
    assert outbox.delivery_of(("d", "settled")) == RunDelivery(True, 1, 0, 0, True)
    assert outbox.delivery_of(("d", "none")) == RunDelivery(True, 0, 0, 0, False)


def test_only_what_is_old_enough_and_over_is_removed() -> None:
    from cwl_ui_plugin.reports.tables import GONE

    day = 86_400.0
    put("r", 3, age=3 * day)
    outbox.acknowledge(("d", "r"), {1: 200})
    put("gone", delivered=1, age=3 * day, run_key=GONE)
    put("gone-young", delivered=1, age=day, run_key=GONE)
    put("gone-waits", age=3 * day, run_key=GONE)
    put("there", delivered=1, age=3 * day)
    assert outbox.remove_old(2) == 1
    assert outbox.reports_of("d", "r", 10)[1] == 3, "it was delivered just now"
    assert outbox.delivery_of(("d", "gone")).recorded == 0
    assert [outbox.delivery_of(("d", name)).recorded for name in ("gone-young", "gone-waits", "there")] == [1, 1, 1]
    assert outbox.remove_old(0) == 2
    assert sequences("r") == [2, 3]
    assert outbox.delivery_of(("d", "gone-young")).recorded == 0


def test_the_stop_of_a_run_is_forgotten_with_the_run() -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import Stop

    with create_session() as session:
        run = DagRun(dag_id="d", run_id="there", run_type=DagRunType.MANUAL, state="failed")  # type: ignore[arg-type]
        session.add(run)
        session.flush()
        key = run.id
        for run_id, age in (("there", 9), ("gone", 9), ("gone-young", 0)):
            moment = NOW - timedelta(days=age)
            session.add(Stop(dag_id="d", run_id=run_id, run_key=key, clear_number=0, user="ada", stopped_at=moment))
    assert outbox.remove_old(2) == 1
    with create_session() as session:
        assert sorted(session.scalars(select(Stop.run_id))) == ["gone-young", "there"]
