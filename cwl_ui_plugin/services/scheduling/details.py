"""A schedule as pages and APIs show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cwl_ui_plugin.library.errors import UnknownSchedule
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import ServiceError
from cwl_ui_plugin.services.scheduling.given import misfits
from cwl_ui_plugin.services.scheduling.kinds import short_text
from cwl_ui_plugin.services.scheduling.timing import Timing, timing_of, zone_name

OTHER_VERSION = "It was saved for another version of the workflow. Save it again to have it start the current one."


@dataclass(frozen=True)
class ScheduleDetail:
    """A schedule, when it starts runs, and why it does not. ``job`` is without secrets."""

    kind: str
    settings: dict[str, object]
    description: str
    next_times: tuple[str, ...]
    timezone: str
    start_date: str | None
    catchup: bool
    is_paused: bool
    max_active_runs: int | None
    job: dict[str, object]
    problem: str | None
    is_dag_paused: bool
    saved_by: str
    saved_at: str
    version: str

    @property
    def starts(self) -> bool:
        """Whether it starts runs."""
        return not (self.is_paused or self.problem or self.is_dag_paused)

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return {**asdict(self), "starts": self.starts}


def detail_of(version: StoredVersion, schedule: Schedule) -> ScheduleDetail:
    """Return what is shown of the schedule of a workflow; ``version`` is its current one."""
    problem, timing = schedule.problem, Timing(schedule.kind, ())
    if schedule.version != version.digest:
        problem = problem or OTHER_VERSION
    problem = problem or "\n".join(map(str, misfits(schedule, version.plan)))
    try:
        timing = timing_of(schedule)
    except ServiceError as error:
        problem = problem or error.message
    secrets = {item.id for item in version.plan.inputs if item.is_secret}
    return ScheduleDetail(
        kind=schedule.kind,
        settings=dict(schedule.settings),
        description=timing.text,
        next_times=timing.next_times,
        timezone=zone_name(schedule),
        start_date=schedule.start_date,
        catchup=schedule.catchup,
        is_paused=schedule.is_paused,
        max_active_runs=schedule.max_active_runs,
        job={name: value for name, value in schedule.job.items() if name not in secrets},
        problem=problem or None,
        is_dag_paused=_is_dag_paused(version.dag_id),
        saved_by=schedule.saved_by,
        saved_at=schedule.saved_at,
        version=schedule.version,
    )


def schedule_in_words(store: WorkflowStore, dag_id: str, digest: str | None) -> str | None:
    """Return the schedule of a workflow for a list; None where it has none. ``digest``: of its current version."""
    try:
        schedule = store.schedules(dag_id).current()
    except UnknownSchedule:
        return "can't be read"
    if schedule is None:
        return None
    text = short_text(schedule.kind, schedule.settings)
    if digest and schedule.starts(digest):
        return text
    return f"{text} ({'paused' if schedule.is_paused else 'does not fit'})"


def _is_dag_paused(dag_id: str) -> bool:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        return bool(session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == dag_id)))
