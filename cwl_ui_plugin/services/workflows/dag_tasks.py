"""Which tasks Airflow's newest version of a Dag has, without making the Dag."""

from __future__ import annotations

from collections.abc import Iterable


def task_ids(dag_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the task_ids of each of the Dags that Airflow knows, in their order there."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    found: dict[str, list[str]] = {}
    with create_session(scoped=False) as session:
        for dag_id in dag_ids:
            kept = SerializedDagModel.get(dag_id, session=session)
            if kept is not None and kept.data:
                found[dag_id] = [str(task["__var"]["task_id"]) for task in kept.data["dag"]["tasks"]]
                session.expunge(kept)  # it is large, and not needed any more
    return found


def live_dag_ids(dag_ids: Iterable[str]) -> list[str]:
    """Return those of the Dags that are there now, sorted: not those that were deleted and have runs left."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(DagModel.dag_id).where(DagModel.dag_id.in_(list(dag_ids)), DagModel.is_stale.is_(False))
    with create_session(scoped=False) as session:
        return sorted(session.scalars(query))
