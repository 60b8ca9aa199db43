"""Airflow's cron timetables, for schedules that don't catch up: these start no run of a time before they were saved.

Of runs that there are already, Airflow takes a backfill, or a run of a former schedule, for the last one of this
schedule; without catch-up, the newest time that is past is then due. A start date would keep it from that, but it also
leaves out the tasks of backfills. So the bound is here, and holds where Airflow asks for runs without catch-up only:
for backfills it asks with it.

Registered in the plugin: Airflow's processes read the Dags from the database with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk.timezone import coerce_datetime
from airflow.timetables._cron import CronMixin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

if TYPE_CHECKING:
    from pendulum import DateTime
    from pendulum.tz.timezone import FixedTimezone, Timezone


class _Since(CronMixin, Timetable):
    """Bounds the runs of the timetable that comes after it in a class; not those of backfills."""

    def __init__(self, cron: str, timezone: Timezone | FixedTimezone, since: datetime) -> None:
        super().__init__(cron, timezone=timezone)
        self.since = coerce_datetime(since)

    def bound(self, moment: DateTime) -> DateTime:
        """Return what no logical date is before, of runs that start at a moment or later."""
        raise NotImplementedError

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run, as Airflow's timetable does; without catch-up, none from before ``since``."""
        if not restriction.catchup:
            bound = self.bound(self.since)
            restriction = restriction._replace(earliest=max(restriction.earliest or bound, bound))
        return super().next_dagrun_info(  # type: ignore[safe-super]  # of the timetable that comes after this one
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )

    def serialize(self) -> dict[str, object]:
        """Return what Airflow keeps of it in its database."""
        return {**super().serialize(), "since": self.since.isoformat()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        """Return what was kept."""
        return cls(data["expression"], pendulum.timezone(data["timezone"]), datetime.fromisoformat(data["since"]))


class CronTriggerSince(_Since, CronTriggerTimetable):
    """Runs at the times of a cron expression, from a moment on."""

    def bound(self, moment: DateTime) -> DateTime:
        """Return the moment: a run starts at its logical date."""
        return moment


class CronDataIntervalSince(_Since, CronDataIntervalTimetable):
    """Runs of the intervals between the times of a cron expression, from the one on in which a moment is."""

    def bound(self, moment: DateTime) -> DateTime:
        """Return when that interval begins: its run starts when it is over.

        A little before that: Airflow goes to the next time from here, and on the day before clocks are set forward it
        does not know a time of the expression for one.
        """
        return self._get_prev(moment) - timedelta(seconds=1)
