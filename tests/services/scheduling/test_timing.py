"""When a schedule starts runs: the next times as Airflow's scheduler has them, also where clocks are changed."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.scheduling.kinds import checked_settings
from cwl_ui_plugin.services.scheduling.timing import check_dates, example_run, timing_of

pytestmark = pytest.mark.usefixtures("airflow_home")


def schedule_of(cron: str = "0 6 * * *", **values: Any) -> Schedule:
    known = {"kind": "cron", "settings": {"cron": cron}, "job": {}, "version": "v", "saved_by": "ada"}
    return Schedule(**{**known, "saved_at": "2026-01-31T12:00:00+00:00", **values})


def next_times(schedule: Schedule, now: str) -> list[str]:
    return [time[:16] + time[19:] for time in timing_of(schedule, datetime.fromisoformat(now)).next_times]


def test_in_spring_an_hour_is_left_out() -> None:
    """At 2:00 of March 29th, clocks in Berlin are set to 3:00: there is no 2:30."""
    times = next_times(schedule_of("30 2 * * *", timezone="Europe/Berlin"), "2026-03-27T12:00+00:00")
    assert times == ["2026-03-28T02:30+01:00", "2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"]


def test_in_autumn_an_hour_is_there_twice_but_a_day_has_one_run() -> None:
    """At 3:00 of October 25th, clocks in Berlin are set to 2:00: there are two of 2:30."""
    times = next_times(schedule_of("30 2 * * *", timezone="Europe/Berlin"), "2026-10-24T12:00+00:00")
    assert [time[:10] for time in times] == ["2026-10-25", "2026-10-26", "2026-10-27"]
    assert [time[11:16] for time in times] == ["02:30"] * 3


def test_every_hour_is_every_hour_whatever_clocks_do() -> None:
    times = timing_of(
        schedule_of("0 * * * *", timezone="Europe/Berlin"), datetime.fromisoformat("2026-10-25T00:30+00:00")
    ).next_times
    moments = [datetime.fromisoformat(time).astimezone(timezone.utc).hour for time in times]
    assert moments == [1, 2, 3]


def test_a_zone_without_daylight_saving() -> None:
    times = next_times(schedule_of(timezone="Asia/Kolkata"), "2026-03-27T12:00+00:00")
    assert times[0] == "2026-03-28T06:00+05:30"


def test_words() -> None:
    assert timing_of(schedule_of("0 6 * * 1-5", timezone="UTC")).text == "At 06:00, Monday through Friday (UTC)"
    preset = schedule_of(kind="preset", settings={"preset": "@monthly"}, timezone="UTC")
    assert timing_of(preset).text == "On the first day of each month at midnight (UTC)"
    assert timing_of(schedule_of(kind="preset", settings={"preset": "@once"})).next_times == ()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"timezone": "Factory"}, "timezone"),
        ({"timezone": "Pacific/Apia", "start_date": "0001-01-01"}, "start_date"),
        ({"timezone": "Pacific/Apia", "start_date": "9999-12-31"}, "start_date"),
        ({"start_date": "soon"}, "start_date"),
        ({"start_date": "2999-01-01"}, "start_date"),
        ({"catchup": True}, "start_date"),
        ({"catchup": True, "kind": "assets", "settings": {"assets": []}}, "catchup"),
        ({"max_active_runs": -1}, "max_active_runs"),
        ({"max_active_runs": True}, "max_active_runs"),
        ({"max_active_runs": "3"}, "max_active_runs"),
    ],
)
def test_what_can_t_be_is_refused_by_the_name_of_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as error:
        check_dates(schedule_of(**values))
    assert error.value.field == field


@pytest.mark.parametrize("cron", ["61 * * * *", "a b c d e", "0 0 30 2 *"])
def test_an_expression_that_names_no_times(cron: str) -> None:
    with pytest.raises(BadRequest, match="names no times") as error:
        timing_of(schedule_of(cron))
    assert error.value.field == "cron"


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("cron", {"cron": "* * * * * *"}),  # of seconds
        ("cron", {"cron": "@daily"}),
        ("cron", {"cron": "R R * * *"}),  # another time whenever it is read
        ("cron", {"cron": "0 r(2-4) * * *"}),
        ("cron", {"cron": 5}),
        ("cron", {"cron": "0 6 * * *", "more": 1}),
        ("cron", {}),
        ("cron", []),
        ("preset", {"preset": "@never"}),
        ("assets", {"assets": []}),
        ("assets", {"assets": ["no-such-asset"]}),
        ("assets", {"assets": [{"name": "no-such-asset"}], "all": "yes"}),
        ("moon", {}),
        (None, None),
        ([], {}),
    ],
)
def test_settings_that_are_none(kind: Any, settings: Any) -> None:
    with pytest.raises(BadRequest):
        checked_settings(kind, settings)


def test_names_of_months_and_days_are_none_of_these() -> None:
    assert checked_settings("cron", {"cron": "0 6 * mar thu-FRI"}) == {"cron": "0 6 * mar thu-FRI"}


def test_the_example_is_the_next_run() -> None:
    run = example_run("count", schedule_of(timezone="UTC"), datetime(2026, 3, 1, 12, tzinfo=timezone.utc))
    assert run.logical_date == datetime(2026, 3, 2, 6, tzinfo=timezone.utc)
    assets = example_run("count", schedule_of(kind="assets", settings={"assets": []}))
    assert assets.logical_date is None
