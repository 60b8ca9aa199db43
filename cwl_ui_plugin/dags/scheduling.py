"""From a workflow's schedule to the arguments of its Dag, and which runs are the schedule's.

Airflow's timetables take longer to import than all else of a Dag: they are, for workflows with a schedule only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.conf import GRANT, SIGNATURE
from cwl_ui_plugin.library.schedules import Schedule

if TYPE_CHECKING:
    from pendulum.tz.timezone import FixedTimezone, Timezone

    from cwl_ui_plugin.dags.timetables import CronDataIntervalSince, CronTriggerSince
    from cwl_ui_plugin.library.versions import StoredVersion

STARTED_BY_AIRFLOW = frozenset({"scheduled", "backfill", "asset_triggered"})
"""Types of runs that Airflow creates from a Dag's schedule."""
ONCE = "@once"
_JUST_PAST = timedelta(minutes=2)
"""A run is not left out because the schedule is saved just as it is due."""


class Run(Protocol):
    """What of a run is asked for here: Airflow's, as tasks and as the database have it."""

    dag_id: str
    run_id: str

    @property
    def run_type(self) -> object:
        """Its kind, one of Airflow's."""

    @property
    def conf(self) -> object:
        """What it was given, if it is a mapping."""


def _cron(schedule: Schedule) -> object:
    """Start as ``{"cron": "0 6 * * *"}`` says, in the schedule's time zone."""
    return _cron_timetable(schedule.settings["cron"], schedule)


def _preset(schedule: Schedule) -> object:
    """Start as ``{"preset": "@daily"}`` says."""
    preset = schedule.settings["preset"]
    return preset if preset == ONCE else _cron_timetable(preset, schedule)


def _cron_timetable(expression: str, schedule: Schedule) -> object:
    """Return the timetable that Airflow makes of an expression, with a time zone that is not a start date's."""
    from airflow.sdk import CronDataIntervalTimetable, CronTriggerTimetable

    if not schedule.catchup:
        return bounded_timetable(expression, schedule)
    zone = zone_of(schedule)
    return CronDataIntervalTimetable(expression, zone) if _has_intervals() else CronTriggerTimetable(expression, zone)


def bounded_timetable(expression: str, schedule: Schedule) -> CronTriggerSince | CronDataIntervalSince:
    """Return the timetable of an expression, without catch-up: no run is of a time before the schedule was saved."""
    from cwl_ui_plugin.dags.timetables import CronDataIntervalSince, CronTriggerSince

    since = datetime.fromisoformat(schedule.saved_at) - _JUST_PAST
    return (CronDataIntervalSince if _has_intervals() else CronTriggerSince)(expression, zone_of(schedule), since)


def _has_intervals() -> bool:
    from airflow.sdk.configuration import conf

    return bool(conf.getboolean("scheduler", "create_cron_data_intervals"))


def _assets(schedule: Schedule) -> object:
    """Start at events of ``assets``, of all of them or any: ``{"assets": [{"name", "uri"}], "all": bool}``."""
    from airflow.sdk import Asset, AssetAll, AssetAny

    assets = [Asset(name=item["name"], uri=item["uri"]) for item in schedule.settings["assets"]]
    return AssetAll(*assets) if schedule.settings.get("all") else AssetAny(*assets)


ASSETS, FOLDER = "assets", "folder"
"""FOLDER is the kind whose runs Airflow does not create: ``services.watching`` does."""
KINDS: dict[str, Callable[[Schedule], object]] = {"cron": _cron, "preset": _preset, ASSETS: _assets}
"""What a Dag takes as its ``schedule``, by the kind of a workflow's schedule."""
WITHOUT_DATES = frozenset({ASSETS, FOLDER})
"""Kinds whose runs are not of a date: there is no ``logical_date`` in their templates, and nothing to catch up on."""


def dag_arguments(version: StoredVersion) -> dict[str, object]:
    """Return the arguments for the Dag of a version of a workflow that its schedule makes; none where it has none."""
    schedule = version.schedule
    if schedule is None or not schedule.starts(version.digest):
        return {}
    arguments: dict[str, object] = {}
    if schedule.kind != FOLDER:
        arguments = {"schedule": KINDS[schedule.kind](schedule), "catchup": schedule.catchup}
    if begin := start_of(schedule):
        arguments["start_date"] = begin
    if schedule.max_active_runs:
        arguments["max_active_runs"] = schedule.max_active_runs
    return arguments


def start_of(schedule: Schedule) -> datetime | None:
    """Return the start date of the Dag, in the schedule's time zone; None for none.

    Airflow leaves out the tasks of a run whose logical date is before it.
    """
    if schedule.start_date is None:
        return None
    time, zone = datetime.fromisoformat(schedule.start_date), zone_of(schedule)
    return time.replace(tzinfo=zone) if time.tzinfo is None else time.astimezone(zone)


def zone_of(schedule: Schedule) -> Timezone | FixedTimezone:
    """Return the time zone of a schedule, as Airflow has them."""
    import pendulum

    return pendulum.timezone(schedule.timezone or default_timezone())


def default_timezone() -> str:
    """Return Airflow's time zone."""
    from airflow.sdk.configuration import conf

    return str(conf.get("core", "default_timezone", fallback="utc"))


def schedule_of(run: Run, schedule: Schedule | None) -> Schedule | None:
    """Return the schedule of a workflow if a run is its: of one that was granted or signed otherwise it is not.

    Airflow makes a run of its schedule of any run that a backfill does again.
    """
    conf = run.conf if isinstance(run.conf, Mapping) else {}
    run_type = getattr(run.run_type, "value", run.run_type)  # to tasks, str() of it is something else
    if schedule is None or run_type not in STARTED_BY_AIRFLOW or GRANT in conf or SIGNATURE in conf:
        return None
    return schedule


def scheduled_job(run: Run, schedule: Schedule | None) -> dict[str, object]:
    """Return the job that a run has from the schedule of its workflow: its template, filled in; else nothing.

    Raises:
        JobError: a template can't be filled in for this run.

    """
    from cwl_ui_plugin.dags.chaining import event_values
    from cwl_ui_plugin.dags.job_templates import TemplateError, rendered, values_of

    found = schedule_of(run, schedule)
    if found is None:
        return {}
    try:
        return rendered(found.job, {**values_of(run), **event_values(run)})
    except TemplateError as error:
        raise JobError("The job of this workflow's schedule does not fit this run.", error.problems) from error
