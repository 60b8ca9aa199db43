"""When a schedule starts runs: in words, and the next times, as Airflow itself computes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from cwl_ui_plugin.dags.scheduling import ONCE, WITHOUT_DATES, bounded_timetable, start_of, zone_of
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.scheduling.kinds import PRESETS, short_text

if TYPE_CHECKING:
    from airflow.timetables.base import DagRunInfo

SHOWN_TIMES = 3
MAX_PARALLEL = 1000
FIRST_YEAR = 1970
"""Before it, what a time zone is is a guess, and no run has been."""


@dataclass(frozen=True)
class Timing:
    """When a schedule starts runs: ``text`` in words, ``next_times`` in its time zone (ISO 8601)."""

    text: str
    next_times: tuple[str, ...]


@dataclass(frozen=True)
class RunTimes:
    """A run that a schedule would start, as far as templates ask."""

    dag_id: str
    run_id: str
    run_after: datetime
    logical_date: datetime | None = None
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None


def timezones() -> list[str]:
    """Return the names of time zones, sorted."""
    return sorted(_zones())


def check_dates(schedule: Schedule, now: datetime | None = None) -> None:
    """Raise :class:`BadRequest` for a time zone, a start date or a number of runs that can't be."""
    if schedule.timezone is not None and schedule.timezone not in _zones():
        raise BadRequest(f"{schedule.timezone!r} is no time zone; use a name such as Europe/Berlin.", field="timezone")
    try:
        begin = start_of(schedule)
    except (ValueError, TypeError, OverflowError):
        text = f"{schedule.start_date!r} is no date; write it as 2026-01-31 or 2026-01-31T06:00."
        raise BadRequest(text, field="start_date") from None
    if begin is not None and begin.year < FIRST_YEAR:
        raise BadRequest(f"The start date may not be before {FIRST_YEAR}.", field="start_date")
    if begin is not None and begin > (now or datetime.now(timezone.utc)):
        text = "The start date may not be in the future. Save the schedule paused, and start it then."
        raise BadRequest(text, field="start_date")
    if schedule.catchup and schedule.kind in WITHOUT_DATES:
        raise BadRequest("There is nothing to catch up on: these runs are of no date.", field="catchup")
    if schedule.catchup and begin is None:
        raise BadRequest("Give a start date: from when on to catch up.", field="start_date")
    parallel = schedule.max_active_runs
    if parallel is not None and (type(parallel) is not int or not 0 < parallel <= MAX_PARALLEL):
        raise BadRequest(f"Runs at a time are a number from 1 to {MAX_PARALLEL}.", field="max_active_runs")


def timing_of(schedule: Schedule, now: datetime | None = None) -> Timing:
    """Return when a schedule starts runs from now on; raise :class:`BadRequest` for a cron expression that is none."""
    if (expression := expression_of(schedule)) is None:
        preset = schedule.settings.get("preset")
        text = PRESETS[preset] if preset else short_text(schedule.kind, schedule.settings)
        return Timing(_sentence(text), ())
    zone = zone_of(schedule)
    times = [info.run_after.astimezone(zone) for info in _next_runs(expression, schedule, now)]
    described = (
        _sentence(PRESETS.get(expression, "")) or bounded_timetable(expression, schedule).description or expression
    )
    return Timing(f"{described} ({zone_name(schedule)})", tuple(moment.isoformat() for moment in times))


def example_run(dag_id: str, schedule: Schedule, now: datetime | None = None) -> RunTimes:
    """Return a run that a schedule would start: its next one."""
    moment = now or datetime.now(timezone.utc)
    if schedule.kind in WITHOUT_DATES:
        return RunTimes(dag_id, f"asset_triggered__{moment.isoformat()}", moment)
    at, begin, end = moment, moment, moment
    if expression := expression_of(schedule):
        info = next(_next_runs(expression, schedule, now))
        interval = info.data_interval
        at = info.run_after
        begin, end = (interval.start, interval.end) if interval else (at, at)
    return RunTimes(dag_id, f"scheduled__{begin.isoformat()}", at, begin, begin, end)


def expression_of(schedule: Schedule) -> str | None:
    """Return the cron expression or preset that a schedule repeats by; None if it does not repeat by the clock."""
    expression = schedule.settings.get("cron") or schedule.settings.get("preset")
    return None if expression in (None, ONCE) else str(expression)


def zone_name(schedule: Schedule) -> str:
    """Return the name of the time zone of a schedule."""
    return str(zone_of(schedule).name)


def _zones() -> set[str]:
    """Return the names that mean the same on every machine."""
    return available_timezones() - {"localtime", "Factory"}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _next_runs(expression: str, schedule: Schedule, now: datetime | None) -> Iterator[DagRunInfo]:
    """Yield the next runs that a schedule starts."""
    from airflow.exceptions import AirflowTimetableInvalid
    from airflow.sdk.timezone import coerce_datetime
    from airflow.timetables.base import TimeRestriction

    moment = coerce_datetime(now or datetime.now(timezone.utc)) + timedelta(microseconds=1)
    try:
        timetable = bounded_timetable(expression, schedule)
        timetable.validate()
        earliest = timetable.bound(moment)
        if begin := coerce_datetime(start_of(schedule)):
            earliest = max(earliest, begin)
        interval = None
        for _ in range(SHOWN_TIMES):
            info = timetable.next_dagrun_info(
                last_automated_data_interval=interval, restriction=TimeRestriction(earliest, None, catchup=True)
            )
            if info is None:  # never, without an end
                return
            yield info
            interval = info.data_interval
    except (AirflowTimetableInvalid, ValueError, KeyError) as error:
        raise BadRequest(f"The cron expression {expression!r} names no times: {error}", field="cron") from error
