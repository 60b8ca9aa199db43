"""Rounds of the background loop that tell Airflow's Stats and OpenTelemetry what only the database knows."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.observing import spans, stats
from cwl_ui_plugin.reports import outbox
from cwl_ui_plugin.services.observing import checks
from cwl_ui_plugin.services.observing.bounded import TimedOut, within
from cwl_ui_plugin.services.observing.disks import FOLDERS, Disk, disk_of

if TYPE_CHECKING:
    from sqlalchemy import Row

GAUGE_SECONDS = 15.0
SPAN_SECONDS = 5.0
ANSWER_SECONDS = 5.0
OVERLAP = timedelta(minutes=2)
"""How far a look goes back beyond the last one: a task's start is stored a little later than its time says."""


class GaugeRound:
    """Emits the gauges of :data:`stats.METRICS`, where Airflow has somebody to send metrics to."""

    def __init__(self) -> None:
        self._due = 0.0

    def __call__(self) -> None:
        """Emit them, if it is time."""
        if time.monotonic() < self._due or not stats.are_wanted():
            return
        self._due = time.monotonic() + GAUGE_SECONDS
        backlog = outbox.backlog()
        stats.emit("cwl.reports.backlog", backlog.reports)
        oldest = backlog.oldest.isoformat() if backlog.oldest else None
        stats.emit("cwl.reports.oldest_age", checks.age_of(oldest))
        for disk in _disks():
            stats.emit(f"cwl.disk.free.{disk.folder}", disk.free)
            stats.emit(f"cwl.disk.total.{disk.folder}", disk.total)


def _disks() -> list[Disk]:
    try:
        found = within(ANSWER_SECONDS, "gauges of disks", lambda: [disk_of(folder) for folder in FOLDERS])
    except TimedOut:
        return []
    return [disk for disk in found if not disk.problem]


class QueueSpanRound:
    """Makes a span for the time that each task of a CWL Dag waited in a queue: the task itself does not know of it.

    Where API servers change over, a span of those minutes may be missing, or be there twice.
    """

    def __init__(self) -> None:
        self._due = 0.0
        self._looked_at = datetime.now(timezone.utc)
        self._told: dict[tuple[str, int], datetime] = {}

    def __call__(self) -> None:
        """Make the spans of tasks that have started since the last look, if it is time."""
        if time.monotonic() < self._due or not spans.are_wanted():
            return
        self._due = time.monotonic() + SPAN_SECONDS
        since = self._looked_at - OVERLAP
        self._looked_at = datetime.now(timezone.utc)
        for row in _started(since):
            key = (str(row.id), row.try_number)
            if key not in self._told:
                self._told[key] = row.start_date
                _tell(row)
        self._told = {key: started for key, started in self._told.items() if started > since}


def _tell(row: Row[object]) -> None:
    attributes = {
        "airflow.dag_id": row.dag_id,
        "airflow.task_id": row.task_id,
        "airflow.dag_run.run_id": row.run_id,
        "airflow.task_instance.map_index": row.map_index,
        "airflow.task_instance.try_number": row.try_number,
    }
    spans.of_queue(row.context_carrier, attributes, row.queued_dttm.timestamp(), row.start_date.timestamp())


def _started(since: datetime) -> list[Row[object]]:
    """Return the tasks of CWL Dags that have started since a moment, of runs that go on or have just ended."""
    from airflow.models.dag import DagTag
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, exists, or_, select

    from cwl_ui_plugin.dags.names import TAG

    columns = [getattr(TaskInstance, name) for name in _COLUMNS]
    of_run = and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
    query = (
        select(*columns)
        .join(DagRun, of_run)
        .where(
            or_(DagRun.state == "running", DagRun.end_date > since),
            exists().where(DagTag.dag_id == TaskInstance.dag_id, DagTag.name == TAG),
            TaskInstance.start_date > since,
            TaskInstance.queued_dttm.is_not(None),
        )
    )
    with create_session(scoped=False) as session:
        return [row for row in session.execute(query) if row.context_carrier]


_COLUMNS = (
    "id",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "try_number",
    "queued_dttm",
    "start_date",
    "context_carrier",
)
