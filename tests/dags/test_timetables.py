"""Which times Airflow starts a run of, asked as its scheduler and Dag processor do; with other runs there already."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from cwl_ui_plugin.dags.scheduling import KINDS
from cwl_ui_plugin.library.schedules import Schedule

pytestmark = pytest.mark.usefixtures("airflow_home")
SAVED = "2026-03-10T12:00:00+00:00"
BACKFILL = "2026-01-03T06:00"
OTHER_CRON = "2026-03-10T05:00"


def read_dag(cron: str = "0 6 * * *", start_date: datetime | None = None, **values: Any) -> Any:
    """Return a Dag with a schedule that was saved at SAVED, as Airflow's processes read it from the database."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    known: dict[str, Any] = {"kind": "cron", "settings": {"cron": cron}, "job": {}, "version": "v", "timezone": "UTC"}
    made = Schedule(**{**known, "saved_by": "ada", "saved_at": SAVED, **values})
    dag = DAG("timed", schedule=KINDS[made.kind](made), catchup=made.catchup, start_date=start_date)
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def next_run(monkeypatch: pytest.MonkeyPatch, dag: Any, now: str, last: str | None = None) -> Any:
    """Return when Airflow starts the next run, and of which date, if it is ``now`` and ``last`` is the newest run."""
    from airflow.timetables import interval, trigger
    from airflow.timetables.base import DataInterval

    for module in (interval, trigger):
        monkeypatch.setattr(module, "utcnow", lambda: moment(now))
    newest = DataInterval.exact(moment(last)) if last else None
    info = dag.timetable.next_dagrun_info(last_automated_data_interval=newest, restriction=dag._time_restriction)
    return text(info.run_after), text(info.logical_date)


def moment(value: str) -> Any:
    import pendulum

    return pendulum.parse(value)


def text(value: Any) -> str:
    return str(value.strftime("%Y-%m-%dT%H:%M"))


@pytest.mark.parametrize("last", [None, BACKFILL, OTHER_CRON, "2026-03-10T06:00"])
def test_no_run_is_of_a_time_before_it_was_saved(monkeypatch: pytest.MonkeyPatch, last: str | None) -> None:
    """Whatever run there is already: of a backfill, of another cron, of this schedule before it was saved again."""
    dag = read_dag()
    assert next_run(monkeypatch, dag, "2026-03-10T12:05", last) == ("2026-03-11T06:00", "2026-03-11T06:00")
    assert next_run(monkeypatch, dag, "2026-03-11T05:59", last)[0] == "2026-03-11T06:00"


@pytest.mark.parametrize("last", [None, BACKFILL, OTHER_CRON])
def test_presets_are_bounded_too(monkeypatch: pytest.MonkeyPatch, last: str | None) -> None:
    dag = read_dag(kind="preset", settings={"preset": "@daily"})
    assert next_run(monkeypatch, dag, "2026-03-10T12:05", last)[0] == "2026-03-11T00:00"


def test_a_time_that_was_missed_since_is_started_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow does it without catch-up: the newest of those for which no scheduler was there."""
    dag = read_dag()
    assert next_run(monkeypatch, dag, "2026-03-14T08:00", BACKFILL)[0] == "2026-03-14T06:00"
    assert next_run(monkeypatch, dag, "2026-03-14T08:00", "2026-03-14T06:00")[0] == "2026-03-15T06:00"


@pytest.mark.parametrize("last", [None, "2026-03-09T11:59"])
def test_a_run_that_is_due_as_it_is_saved_is_not_left_out(monkeypatch: pytest.MonkeyPatch, last: str | None) -> None:
    dag = read_dag("59 11 * * *")
    assert next_run(monkeypatch, dag, "2026-03-10T12:00:10", last)[0] == "2026-03-10T11:59"
    assert next_run(monkeypatch, dag, "2026-03-10T12:00:10", "2026-03-10T11:59")[0] == "2026-03-11T11:59"
    assert next_run(monkeypatch, read_dag("57 11 * * *"), "2026-03-10T12:00:10", last)[0] == "2026-03-11T11:57"


def test_a_start_date_that_is_earlier_or_later(monkeypatch: pytest.MonkeyPatch) -> None:
    for begin, expected in [("2026-01-01", "2026-03-11T06:00"), ("2026-03-20", "2026-03-20T06:00")]:
        dag = read_dag(start_date=moment(begin))
        assert next_run(monkeypatch, dag, "2026-03-10T12:05", BACKFILL)[0] == expected


def test_backfills_are_not_bounded() -> None:
    found = read_dag().iter_dagrun_infos_between(moment("2026-01-01"), moment("2026-01-03T23:59"))
    assert [text(info.logical_date) for info in found] == [f"2026-01-0{day}T06:00" for day in (1, 2, 3)]


def test_catching_up_is_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    dag = read_dag(catchup=True, start_date=moment("2026-02-01"))
    assert type(dag.timetable).__module__ == "airflow.timetables.trigger"
    assert next_run(monkeypatch, dag, "2026-03-10T12:05")[0] == "2026-02-01T06:00"
    assert next_run(monkeypatch, dag, "2026-03-10T12:05", "2026-02-01T06:00")[0] == "2026-02-02T06:00"


@pytest.mark.parametrize("last", [None, BACKFILL])
def test_where_runs_are_of_intervals_the_first_one_ends_at_the_next_time(
    monkeypatch: pytest.MonkeyPatch, last: str | None
) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", "True")
    dag = read_dag()
    assert next_run(monkeypatch, dag, "2026-03-10T12:05", last) == ("2026-03-11T06:00", "2026-03-10T06:00")
    found = dag.iter_dagrun_infos_between(moment("2026-01-01"), moment("2026-01-02T23:59"))
    assert [text(info.logical_date) for info in found] == ["2026-01-01T06:00", "2026-01-02T06:00"]


@pytest.mark.parametrize("intervals", ["True", "False"])
def test_airflow_keeps_all_of_it(monkeypatch: pytest.MonkeyPatch, intervals: str) -> None:
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable

    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", intervals)
    timetable = read_dag(timezone="Europe/Berlin").timetable
    kept = encode_timetable(timetable)
    again = decode_timetable(kept)
    assert encode_timetable(again) == kept
    assert (type(again), again.summary) == (type(timetable), "0 6 * * *")
    assert "Europe/Berlin" in str(kept)
    assert "2026-03-10T11:58:00+00:00" in str(kept)


@pytest.mark.parametrize("intervals", ["True", "False"])
@pytest.mark.parametrize("now", ["2026-03-27T12:00", "2026-03-28T12:00"])
def test_a_first_run_is_not_left_out_where_clocks_are_set_forward(
    monkeypatch: pytest.MonkeyPatch, intervals: str, now: str
) -> None:
    """At 2:00 of March 29th, clocks in Berlin are set to 3:00: there is no 2:30."""
    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", intervals)
    dag = read_dag("30 2 * * *", timezone="Europe/Berlin", saved_at=f"{now}:00+00:00")
    expected = {"27": "2026-03-28T01:30", "28": "2026-03-29T01:30"}
    assert next_run(monkeypatch, dag, now, BACKFILL)[0] == expected[now[8:10]]


@pytest.mark.parametrize("intervals", ["True", "False"])
@pytest.mark.parametrize("last", [None, BACKFILL])
def test_the_next_time_that_is_shown_is_the_one_that_airflow_has(
    monkeypatch: pytest.MonkeyPatch, intervals: str, last: str | None
) -> None:
    from cwl_ui_plugin.services.scheduling.timing import timing_of

    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", intervals)
    known: dict[str, Any] = {"kind": "cron", "settings": {"cron": "0 6 * * *"}, "job": {}, "version": "v"}
    made = Schedule(**known, saved_by="ada", saved_at=SAVED, timezone="UTC")
    shown = timing_of(made, datetime.fromisoformat("2026-03-10T12:05:00+00:00")).next_times
    assert [time[:16] for time in shown] == ["2026-03-11T06:00", "2026-03-12T06:00", "2026-03-13T06:00"]
    assert shown[0][:16] == next_run(monkeypatch, read_dag(), "2026-03-10T12:05", last)[0]
