"""What the background loop tells Airflow's Stats and OpenTelemetry, where these are switched on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.observing import spans, stats
from cwl_ui_plugin.services.observing import telling


@pytest.fixture
def emitted(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    found: dict[str, float] = {}
    monkeypatch.setattr(stats, "emit", lambda name, value=1: found.update({name: value}))
    return found


def test_gauges_are_emitted_where_airflow_sends_metrics(
    emitted: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    telling.GaugeRound()()
    assert emitted == {}
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    one_round = telling.GaugeRound()
    one_round()
    assert emitted["cwl.reports.backlog"] == 0
    assert emitted["cwl.disk.total.reuse"] > 0
    emitted.clear()
    one_round()  # not yet again
    assert emitted == {}


def started(name: str, moment: datetime) -> Any:
    return SimpleNamespace(
        id=name,
        dag_id="dag",
        run_id="run",
        task_id=name,
        map_index=-1,
        try_number=1,
        queued_dttm=moment - timedelta(seconds=2),
        start_date=moment,
        context_carrier={"traceparent": name},
    )


def test_each_start_of_a_task_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(timezone.utc)
    tasks, told = [started("first", now)], []
    monkeypatch.setattr(telling, "_started", lambda _since: list(tasks))
    monkeypatch.setattr(telling, "SPAN_SECONDS", 0)
    monkeypatch.setattr(
        spans, "of_queue", lambda carrier, _attributes, queued, began: told.append((carrier, began - queued))
    )
    one_round = telling.QueueSpanRound()
    one_round()
    assert told == []
    monkeypatch.setenv("AIRFLOW__TRACES__OTEL_ON", "True")
    one_round()
    tasks.append(started("second", now + timedelta(seconds=1)))
    one_round()
    one_round()
    assert told == [({"traceparent": "first"}, 2.0), ({"traceparent": "second"}, 2.0)]


def test_the_tasks_of_the_database_are_looked_at(airflow_home: Any) -> None:
    assert telling._started(datetime.now(timezone.utc)) == []
