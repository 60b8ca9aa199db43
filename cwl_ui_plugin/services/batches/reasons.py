"""Why rows of a batch failed: what the first step that failed in the run of each has said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cwl_ui_plugin.dags.names import ERROR_KEY


@dataclass(frozen=True)
class Reason:
    """What a step said when it failed, and as which task instance it ran."""

    task_id: str
    map_index: int
    message: str


def first_reasons(dag_id: str, run_ids: Collection[str]) -> dict[str, Reason]:
    """Return reasons by run_id, with one query; a run in which no step said anything is not among them."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import and_, func, select

    if not run_ids:
        return {}
    are_errors = (XComModel.dag_id == dag_id, XComModel.run_id.in_(run_ids), XComModel.key == ERROR_KEY)
    times = select(XComModel.run_id, func.min(XComModel.timestamp).label("at")).where(*are_errors)
    first = times.group_by(XComModel.run_id).subquery()
    columns = (XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value["message"].label("message"))
    is_first = and_(XComModel.run_id == first.c.run_id, XComModel.timestamp == first.c.at)
    query = select(*columns).join(first, is_first).where(*are_errors).order_by(XComModel.task_id, XComModel.map_index)
    found: dict[str, Reason] = {}
    with create_session(scoped=False) as session:
        for row in session.execute(query):
            if isinstance(row.message, str):
                found.setdefault(row.run_id, Reason(row.task_id, row.map_index, row.message))
    return found
