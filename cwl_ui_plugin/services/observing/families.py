"""The metrics of the page for Prometheus, each computed when the page is asked for.

All are gauges of what the database and the folders say, so that every worker of every API server answers the same.
What only one process sees, such as the seconds of a command, is in Airflow's Stats (``observing.stats``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from cwl_ui_plugin.dags.names import TAG
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.observing import stats
from cwl_ui_plugin.reports import outbox, pulse
from cwl_ui_plugin.services import retention
from cwl_ui_plugin.services.observing import checks
from cwl_ui_plugin.services.observing.disks import FOLDERS, disk_of
from cwl_ui_plugin.version import __version__

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import ColumnElement

Families = Iterator[Metric]
LATELY = timedelta(hours=1)
NEWEST_RUNS = 5000
"""Among how many of the newest runs of this Airflow those are looked for that have ended lately."""
_UNFINISHED_RUNS = ("queued", "running")
_UNFINISHED_TASKS = (
    "scheduled",
    "queued",
    "running",
    "awaiting_input",
    "up_for_retry",
    "up_for_reschedule",
    "deferred",
    "restarting",
)
_ENDED_RUNS = ("success", "failed")
_STATUS = {checks.OK: 0, checks.WARN: 1, checks.FAIL: 2}


def build() -> Families:
    """Which versions these are."""
    labels = {"version": __version__, "airflow_version": version_of("apache-airflow-core")}
    labels["cwltool_version"] = version_of("cwltool")
    yield _gauge("cwl_build_info", "The versions of the plugin and of what it stands on; always 1.", [(labels, 1)])


def health() -> Families:
    """How the checks of the health answer turned out."""
    found = [({"check": check.name}, _STATUS[check.status]) for check in checks.checks()]
    yield _gauge("cwl_health_status", "What a check of the health answer says: 0 ok, 1 warn, 2 fail.", found)


def runs() -> Families:
    """Runs of CWL Dags, and their tasks."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance

    unfinished = _counted(DagRun.state, DagRun.state.in_(_UNFINISHED_RUNS), _is_cwl(DagRun))
    yield _by_state("cwl_runs", "Runs of CWL workflows that have not ended, by state.", unfinished, _UNFINISHED_RUNS)
    tasks = _counted(TaskInstance.state, TaskInstance.state.in_(_UNFINISHED_TASKS), _is_cwl(TaskInstance))
    yield _by_state("cwl_task_instances", "Tasks of CWL workflows under way, by state.", tasks, _UNFINISHED_TASKS)
    ended = _counted(DagRun.state, DagRun.end_date > datetime.now(timezone.utc) - LATELY, _is_new(), _is_cwl(DagRun))
    about = "Runs of CWL workflows that ended within the last hour, by state."
    yield _by_state("cwl_runs_ended_last_hour", about, ended, _ENDED_RUNS)


def stops() -> Families:
    """Runs that were stopped."""
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    from cwl_ui_plugin.reports.tables import Stop

    since = datetime.now(timezone.utc) - LATELY
    with create_session(scoped=False) as session:
        count = session.scalar(select(func.count()).select_from(Stop).where(Stop.stopped_at > since))
    yield _gauge("cwl_runs_stopped_last_hour", "Runs that users stopped within the last hour.", [({}, count or 0)])


def workflows() -> Families:
    """Workflows that were uploaded."""
    from cwl_ui_plugin.services.stored_workflows import open_store

    yield _gauge("cwl_workflows", "Uploaded workflows.", [({}, len(open_store().dag_ids()))])


def reports() -> Families:
    """What waits for the receiver of reports."""
    backlog = outbox.backlog()
    oldest = backlog.oldest.isoformat() if backlog.oldest else None
    yield _gauge("cwl_reports_waiting", "Reports that wait for the receiver.", [({}, backlog.reports)])
    yield _gauge("cwl_reports_waiting_runs", "Runs of which reports wait.", [({}, backlog.runs)])
    about = "Age of the report that waits the longest; 0 if none waits."
    yield _gauge("cwl_reports_oldest_waiting_seconds", about, [({}, checks.age_of(oldest))])


def loops() -> Families:
    """How the background loops go."""
    held = checks.leases()
    states = [({"loop": name}, pulse.read_state(name)) for name in stats.LOOPS]
    known = [(labels, *found) for labels, found in states if found is not None]
    now = datetime.now(timezone.utc)
    is_held = [({"loop": name}, int(name in held and held[name] > now)) for name in stats.LOOPS]
    yield _gauge("cwl_loop_held", "Whether an API server does the rounds of a loop.", is_held)
    about = "How long ago the last round of a loop ended, as far as it was noted (every 5 seconds)."
    yield _gauge("cwl_loop_round_age_seconds", about, [(labels, age) for labels, _state, age in known])
    about = "How much later than its interval the last round of a loop began."
    yield _gauge("cwl_loop_lag_seconds", about, [(labels, state.lag) for labels, state, _age in known])
    about = "How long the last round of a loop took."
    yield _gauge("cwl_loop_round_seconds", about, [(labels, state.round_seconds) for labels, state, _age in known])


def disks() -> Families:
    """The room on the disks."""
    found = [({"folder": folder}, disk_of(folder)) for folder in FOLDERS]
    usable = [(labels, disk) for labels, disk in found if not disk.problem]
    yield _gauge("cwl_disk_free_bytes", "Free on the disk of a folder.", [(at, disk.free) for at, disk in usable])
    yield _gauge("cwl_disk_size_bytes", "Size of the disk of a folder.", [(at, disk.total) for at, disk in usable])


def kept() -> Families:
    """What is kept, as it was measured last."""
    found = retention.retention()
    measured = [({"kind": state.kind}, state.measured) for state in found.kinds if state.measured is not None]
    about = "What a kind of files or rows takes, as it was measured last."
    yield _gauge("cwl_kept_bytes", about, [(labels, kind.bytes) for labels, kind in measured])
    when = datetime.fromisoformat(found.measured_at).timestamp() if found.measured_at else 0.0
    yield _gauge("cwl_kept_measured_timestamp_seconds", "When that was measured; 0 for never.", [({}, when)])


def janitors() -> Families:
    """The machines of workers."""
    count = sum(one.is_there for one in stop_orders.janitors())
    yield _gauge("cwl_janitors", "Machines whose janitor was heard of within the last 20 seconds.", [({}, count)])


GROUPS: dict[str, Callable[[], Families]] = {
    made.__name__: made for made in (build, health, runs, stops, workflows, reports, loops, disks, kept, janitors)
}


def _gauge(name: str, about: str, values: Iterable[tuple[dict[str, str], float]]) -> Metric:
    values = list(values)
    names = list(values[0][0]) if values else []
    family = GaugeMetricFamily(name, about, labels=names)
    for labels, value in values:
        family.add_metric([labels[label] for label in names], value)
    return family


def _by_state(name: str, about: str, found: dict[str, int], states: tuple[str, ...]) -> Metric:
    """Return a gauge with a value for each state, also where there is none in it."""
    return _gauge(name, about, [({"state": state}, found.get(state, 0)) for state in states])


def _counted(state: Any, *conditions: ColumnElement[bool]) -> dict[str, int]:
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session(scoped=False) as session:
        rows = session.execute(select(state, func.count()).where(*conditions).group_by(state))
        return {str(getattr(found, "value", found)): count for found, count in rows}


def _is_cwl(model: type[DagRun | TaskInstance]) -> ColumnElement[bool]:
    from airflow.models.dag import DagTag
    from sqlalchemy import exists

    return exists().where(DagTag.dag_id == model.dag_id, DagTag.name == TAG)


def _is_new() -> ColumnElement[bool]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import func, select

    newest = select(func.max(DagRun.id)).scalar_subquery()
    found: ColumnElement[bool] = DagRun.id > newest - NEWEST_RUNS
    return found
