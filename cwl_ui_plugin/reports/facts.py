"""What Airflow's database says about runs that may need reports. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from sqlalchemy import and_, or_, select

from cwl_ui_plugin.dags.names import DISPATCHER, ERROR_KEY, STATISTICS_KEY
from cwl_ui_plugin.dags.xcoms import Xcoms, output_object, read_xcoms
from cwl_ui_plugin.reports.due import RUN_ENDS, TASK_ENDS, RunFacts, TaskFact
from cwl_ui_plugin.reports.tables import ReportState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# A run that ended longer ago, before anybody listened, is history.
LOOK_BACK = timedelta(hours=24)
MOST_RUNS = 200


def runs_to_look_at(session: Session) -> list[DagRun]:
    """Return the runs of CWL Dags of which the receiver may not know everything, oldest first."""
    state = and_(ReportState.dag_id == DagRun.dag_id, ReportState.run_id == DagRun.run_id)
    recently = datetime.now(timezone.utc) - LOOK_BACK
    is_settled = and_(
        ReportState.run_key == DagRun.id,
        ReportState.settled_end.is_not(None),
        ReportState.settled_end == DagRun.end_date,
    )
    query = (
        select(DagRun)
        .join(
            TaskInstance,
            and_(
                TaskInstance.dag_id == DagRun.dag_id,
                TaskInstance.run_id == DagRun.run_id,
                TaskInstance.task_id == DISPATCHER,
            ),
        )
        .outerjoin(ReportState, state)
        .where(
            or_(
                DagRun.state.in_(["running", "queued"]),
                and_(ReportState.run_id.is_(None), DagRun.end_date > recently),
                and_(ReportState.run_id.is_not(None), ~is_settled),
                and_(ReportState.run_id.is_not(None), ReportState.settled_end.is_(None)),
            )
        )
        .order_by(DagRun.id)
        .limit(MOST_RUNS)
    )
    return list(session.scalars(query))


def facts_of(run: DagRun, session: Session) -> RunFacts:
    """Return everything about one run that reports are made of."""
    of_run = (TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    instances = list(session.scalars(select(TaskInstance).where(*of_run)))
    earlier = list(
        session.scalars(
            select(TaskInstanceHistory).where(
                TaskInstanceHistory.dag_id == run.dag_id, TaskInstanceHistory.run_id == run.run_id
            )
        )
    )
    has_ended = run.state in RUN_ENDS
    xcoms = read_xcoms(session, run.dag_id, run.run_id) if has_ended else {}
    return RunFacts(
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_key=run.id,
        state=str(run.state),
        started=run.start_date,
        ended=run.end_date,
        clear_number=run.clear_number or 0,
        total=len(instances),
        tasks=(*_earlier_tries(earlier, instances), *(_task(item, xcoms) for item in instances)),
        results=output_object(xcoms) if run.state == "success" else None,
    )


def _task(instance: Any, xcoms: Xcoms) -> TaskFact:
    where = (instance.task_id, instance.map_index)
    failed = instance.state == "failed"
    return TaskFact(
        task_id=instance.task_id,
        map_index=instance.map_index,
        try_number=instance.try_number,
        state=str(instance.state) if instance.state else None,
        started=instance.start_date if instance.state in (*TASK_ENDS, "running") else None,
        ended=instance.end_date,
        error=xcoms.get((*where, ERROR_KEY)) if failed else None,
        statistics=xcoms.get((*where, STATISTICS_KEY)),
    )


def _earlier_tries(earlier: Iterable[Any], instances: Iterable[Any]) -> list[TaskFact]:
    """Return the tries before the last. One that did not end well, and was followed by another, was to be retried."""
    current = {(item.task_id, item.map_index): item.try_number for item in instances}
    return [
        TaskFact(
            task_id=item.task_id,
            map_index=item.map_index,
            try_number=item.try_number,
            state=str(item.state) if item.state in ("success", "skipped") else "up_for_retry",
            started=item.start_date,
            ended=item.end_date,
        )
        for item in earlier
        if item.try_number < current.get((item.task_id, item.map_index), 0)
    ]
