"""What tests of reports share: the Connection, a reporter, runs that have ended."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

TASKS = ("CWLJobDispatcher", "sort", "count", "CWLJobGatherer")
VARIABLES = ("process_report_private_key", "process_report_crypt_algorithm")


@pytest.fixture
def connection(airflow_home: Any) -> Iterator[Any]:
    """Set the Connection and the Variables of reports: ``connection(port, private_key)``."""
    from airflow.models import Connection, Variable
    from airflow.utils.session import create_session

    def put(port: int, private_key: str | None = None, extra: dict[str, Any] | None = None, **fields: Any) -> None:
        remove()
        text = json.dumps({"endpoint": "satellite/v1/", "timeout": 30, **(extra or {})})
        values = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http", "extra": text}
        with create_session() as session:
            session.add(Connection(conn_id="process_report", **{**values, **fields}))
        if private_key:
            Variable.set("process_report_private_key", private_key)

    def remove() -> None:
        with create_session() as session:
            session.query(Connection).filter_by(conn_id="process_report").delete()

    put.remove = remove  # type: ignore[attr-defined]
    yield put
    remove()
    for name in VARIABLES:
        Variable.delete(name)


@pytest.fixture(autouse=True)
def clean_tables(airflow_home: Any) -> Iterator[None]:
    """Let no run of another test be told of."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import RecordedReport, ReportState, Stop

    with create_session() as session:
        for table in (DagRun, RecordedReport, ReportState, Stop):
            session.query(table).delete()
    yield


class Round:
    """A reporter whose rounds are whole: they end when nothing more can be sent."""

    def __init__(self) -> None:
        from cwl_ui_plugin.reports.reporter import Reporter

        self.reporter = Reporter(done=lambda: None)

    def __call__(self) -> None:
        self.reporter._late_at = 0.0
        self.reporter.round()
        assert self.reporter.wait(30)

    def again(self) -> None:
        """Do a round without any pause that there is."""
        from cwl_ui_plugin.reports import reporter

        reporter.retry_now()
        self()


@pytest.fixture
def do_round() -> Iterator[Round]:
    made = Round()
    yield made
    made.reporter.stop()


@pytest.fixture
def end(airflow: Any) -> Callable[[str, str], None]:
    """Let a run succeed: ``end(dag_id, run_id)``."""

    def let_succeed(dag_id: str, run_id: str) -> None:
        now = datetime.now(timezone.utc)
        times = {"start_date": now - timedelta(seconds=1), "end_date": now}
        for task_id in TASKS:
            airflow.set_task(dag_id, run_id, task_id, state="success", try_number=1, **times)
        airflow.push(dag_id, run_id, "CWLJobGatherer", "return_value", {"lines": 4})
        airflow.set_run(dag_id, run_id, "success")

    return let_succeed


@pytest.fixture
def stopping_run(store: Any) -> str:
    """A run of the Dag that stops others."""
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.services.triggering import triggers

    register("clean_dag_run")
    run_id = f"clean-{uuid.uuid4()}"
    conf = {"remove_dag_id": "gone", "remove_run_id": "gone"}
    triggers.trigger("clean_dag_run", conf=conf, run_id=run_id, user="portal", via=triggers.REST)
    return run_id


@pytest.fixture
def ended_run(workflow: str, run_id: str, end: Callable[[str, str], None]) -> str:
    """A run that has succeeded."""
    end(workflow, run_id)
    return run_id


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is slower than the first pause is long."""
    from cwl_ui_plugin.reports import dispatch

    monkeypatch.setattr(dispatch, "pause_after", lambda *_arguments: 600.0)
