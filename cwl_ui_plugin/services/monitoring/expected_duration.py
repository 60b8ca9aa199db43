"""What earlier runs of a workflow tell about this one."""

from __future__ import annotations

from statistics import median

RUNS_LOOKED_AT = 20


def expected_seconds(dag_id: str, run_id: str) -> float | None:
    """Return how long the latest other runs of a workflow that succeeded took (their median); None without any."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = (
        select(DagRun.start_date, DagRun.end_date)
        .where(DagRun.dag_id == dag_id, DagRun.state == "success", DagRun.run_id != run_id)
        .order_by(DagRun.id.desc())
        .limit(RUNS_LOOKED_AT)
    )
    with create_session(scoped=False) as session:
        seconds = [(end - start).total_seconds() for start, end in session.execute(query) if start and end]
    return median(seconds) if seconds else None
