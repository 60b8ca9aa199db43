"""What the database keeps of calls with a signature: tokens that were used, and the audit log."""

from __future__ import annotations

import json
from typing import Any


def kept(run_id: str) -> list[Any]:
    """Return what is kept of the tokens of a run."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import SignedTrigger

    with create_session() as session:
        found = session.scalars(select(SignedTrigger).where(SignedTrigger.run_id == run_id)).all()
        session.expunge_all()
        return list(found)


def delete_run(dag_id: str, run_id: str) -> None:
    """Delete a run as ``airflow db clean`` does."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).delete()


def logged(event: str, dag_id: str) -> list[tuple[Any, Any]]:
    """Return who is in the audit log for an event, and what is told of it."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(Log).where(Log.event == event, Log.dag_id == dag_id)).all()
        return [(entry.owner, json.loads(entry.extra)) for entry in found]
