"""Airflow's database, as the bundle of the store follows it."""

from __future__ import annotations

from typing import Any


def write(bundle: Any, *, everything: bool = False) -> bool:
    from cwl_ui_plugin.dags.known_dags import write_pending

    return write_pending(bundle, everything=everything)


def look(bundle: Any) -> Any:
    """Do what the Dag processor does all the time; return what it has found."""
    from cwl_ui_plugin.dags import known_dags

    found = known_dags.look(bundle)
    known_dags.settle(found, bundle)
    return found


def row(dag_id: str) -> Any:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.get(DagModel, dag_id)


def change(dag_id: str, **values: Any) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(**values))


def revision_in_database(dag_id: str) -> str | None:
    from airflow.models.dag_version import DagVersion
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags.whole_runs import revision_of

    with create_session() as session:
        version = DagVersion.get_latest_version(dag_id, session=session)
        return revision_of(version) if version else None


def import_errors() -> dict[str, str]:
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {str(error.filename): str(error.stacktrace) for error in session.scalars(select(ParseImportError))}
