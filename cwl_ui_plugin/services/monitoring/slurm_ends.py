"""Why Slurm has ended tasks that could not say it themselves: what Airflow has noted of the SlurmExecutor's word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.dags import slurm_jobs

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOTED = "state mismatch"
"""Airflow's event for an executor that says of a task that it has ended, when the task did not."""
SAID_BY = "Slurm"
"""What each of these texts begins with."""
_BEFORE = "Extra info: "
Try = tuple[str, int, int]
"""Id of a task, map index, number of the try."""


def read(session: Session, dag_id: str, run_id: str) -> Mapping[Try, str]:
    """Return what was said of the tries of a run; nothing where Airflow has no SlurmExecutor."""
    from airflow.models.log import Log
    from sqlalchemy import select

    if slurm_jobs.EXECUTOR not in config.executors():
        return {}
    query = select(Log.task_id, Log.map_index, Log.try_number, Log.extra).where(
        Log.dag_id == dag_id, Log.run_id == run_id, Log.event == NOTED, Log.extra.contains(slurm_jobs.EXECUTOR)
    )
    return {
        (row.task_id, -1 if row.map_index is None else row.map_index, row.try_number or 0): _said(row.extra)
        for row in session.execute(query.order_by(Log.id))
    }


def _said(noted: str) -> str:
    text = noted.partition(_BEFORE)[2]
    return text if text.startswith(SAID_BY) else f"{SAID_BY}: {text}"
