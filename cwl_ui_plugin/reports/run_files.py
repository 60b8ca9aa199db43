"""The files of runs, ``cwl_run_file`` and ``cwl_noted_run``, go when their runs go."""

from __future__ import annotations

from cwl_ui_plugin.reports.tables import NotedRun, RunFile

_AT_ONCE = 200


def forget_gone() -> int:
    """Forget the files of runs that are gone, or were made anew; return of how many."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, exists, select

    # On SQLite another run may have got the id of one that is gone.
    same = (DagRun.id == NotedRun.run_key, DagRun.run_id == NotedRun.run_id, DagRun.dag_id == NotedRun.dag_id)
    is_there = exists().where(*same)
    forgotten = 0
    while True:
        with create_session(scoped=False) as session:
            some = list(session.scalars(select(NotedRun.run_key).where(~is_there).limit(_AT_ONCE)))
            if some:
                session.execute(delete(RunFile).where(RunFile.run_key.in_(some)))
                session.execute(delete(NotedRun).where(NotedRun.run_key.in_(some)))
        forgotten += len(some)
        if len(some) < _AT_ONCE:
            return forgotten
