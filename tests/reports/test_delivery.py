"""Reports reach a real receiver: signed, once it is up, in order, none lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from receiver import Receiver, receiver

from cwl_ui_plugin.signing.keys import KeyPair, generate_key_pair


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return generate_key_pair("RS256")


@pytest.fixture
def connection(airflow_home: Any) -> Iterator[Any]:
    """Set the Connection and the Variables of reports: ``connection(port, private_key)``."""
    from airflow.models import Connection, Variable
    from airflow.utils.session import create_session

    def put(port: int, private_key: str | None = None, **fields: Any) -> None:
        with create_session() as session:
            session.query(Connection).filter_by(conn_id="process_report").delete()
            extra = json.dumps({"endpoint": "satellite/v1/", "timeout": 2})
            values = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http", "extra": extra}
            session.add(Connection(conn_id="process_report", **{**values, **fields}))
        if private_key:
            Variable.set("process_report_private_key", private_key)

    yield put
    with create_session() as session:
        session.query(Connection).filter_by(conn_id="process_report").delete()
    Variable.delete("process_report_private_key")


@pytest.fixture
def reporter(airflow_home: Any) -> Any:
    from cwl_ui_plugin.reports.reporter import Reporter

    return Reporter()


@pytest.fixture
def ended_run(workflow: str, run_id: str, airflow: Any) -> str:
    """A run that has succeeded."""
    from datetime import datetime, timezone

    now = datetime.now(timezone.utc)
    for task_id in ("CWLJobDispatcher", "sort", "count", "CWLJobGatherer"):
        airflow.set_task(workflow, run_id, task_id, state="success", start_date=now, end_date=now, try_number=1)
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"lines": 4})
    airflow.set_run(workflow, run_id, "success")
    return run_id


def test_a_run_is_reported_signed_and_only_once(connection: Any, reporter: Any, ended_run: str, pair: KeyPair) -> None:
    with receiver() as portal:
        portal.public_key = pair.public
        connection(portal.port, pair.private)
        reporter.round()
        assert portal.refused == []
        assert [p["progress"] for p in portal.of_run(ended_run, "progress")] == [25, 50, 75, 99, 100]
        assert portal.of_run(ended_run, "results")[0]["results"] == {"lines": 4}
        assert [p["sequence"] for p in portal.of_run(ended_run)] == list(range(1, len(portal.of_run(ended_run)) + 1))

        portal.reports.clear()
        reporter.round()
        assert portal.of_run(ended_run) == []


def test_without_a_key_reports_are_plain(connection: Any, reporter: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port)
        reporter.round()
        assert portal.of_run(ended_run, "results")


def test_a_receiver_that_is_down_loses_nothing(connection: Any, reporter: Any, ended_run: str) -> None:
    with receiver() as gone:
        port = gone.port
    connection(port)
    assert reporter.round() == 0
    assert str(port) in reporter.last_error
    assert reporter.pause > 0
    with receiver() as portal:
        connection(portal.port)
        reporter.retry_now()
        reporter.round()
        assert portal.of_run(ended_run, "progress")[-1]["progress"] == 100
        assert portal.of_run(ended_run, "results")


class FailingAfter:
    """A receiver that takes some reports and then fails."""

    def __init__(self, portal: Receiver, takes: int) -> None:
        self._take, self.left = portal.take, takes
        portal.take = self.take  # type: ignore[method-assign]

    def take(self, path: str, body: dict[str, Any]) -> None:
        if self.left == 0:
            raise RuntimeError("full")
        self.left -= 1
        self._take(path, body)


def test_delivery_goes_on_where_it_stopped(connection: Any, reporter: Any, ended_run: str) -> None:
    from cwl_ui_plugin.reports.reporter import Reporter

    with receiver() as portal:
        connection(portal.port)
        failing = FailingAfter(portal, takes=3)
        reporter.round()
        before = portal.of_run(ended_run)
        assert len(before) <= 3

        failing.left = -1
        Reporter().round()
        reports = portal.of_run(ended_run)
        numbered = {report["sequence"]: report["report_id"] for report in reports}
        assert sorted(numbered) == list(range(1, len(numbered) + 1))
        assert all(numbered[report["sequence"]] == report["report_id"] for report in reports)
        assert reports[-1]["results"] == {"lines": 4}


def test_a_key_that_can_not_sign_sends_nothing(connection: Any, reporter: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port, "-----BEGIN PRIVATE KEY-----\nbroken\n-----END PRIVATE KEY-----")
        reporter.round()
        assert portal.reports == []
        assert "signed" in reporter.last_error
        assert "broken" not in reporter.last_error


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"schema": "ftp"}, "ftp"),
        ({"host": ""}, "host"),
        ({"host": "a/b"}, "host"),
        ({"extra": '{"verify": 3}'}, "verify"),
    ],
)
def test_a_connection_that_can_not_be_used_says_which_field(
    connection: Any, reporter: Any, ended_run: str, fields: dict[str, str], word: str
) -> None:
    connection(1, **fields)
    assert reporter.round() == 0
    assert word in reporter.last_error


def test_no_connection_means_no_reports(reporter: Any, ended_run: str) -> None:
    assert reporter.round() == 0
    assert reporter.last_error is None


def test_a_receiver_that_comes_later_hears_of_later_runs_only(connection: Any, reporter: Any, ended_run: str) -> None:
    reporter.round()
    with receiver() as portal:
        connection(portal.port)
        reporter.round()
        assert portal.of_run(ended_run) == []
