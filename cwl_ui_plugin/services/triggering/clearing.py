"""Making way for a run whose name another one has: CWL-Airflow's one call stops and removes that first."""

from __future__ import annotations

from collections.abc import Callable

from cwl_ui_plugin.services import signatures
from cwl_ui_plugin.services.errors import Conflict
from cwl_ui_plugin.services.signatures import VerifiedToken
from cwl_ui_plugin.services.stopping import stops


def check_unused(token: VerifiedToken | None, dag_id: str, run_id: str) -> None:
    """Raise :class:`Conflict` where a signature was used before: nothing is stopped for a call that is sent again."""
    from airflow.utils.session import create_session

    if token is not None:
        with create_session(scoped=False) as session:
            signatures.check_unused(session, token, dag_id, run_id)


def clear_way(
    dag_id: str, run_id: str, *, user: str, check_stop: Callable[[str], bool], signature: VerifiedToken | None
) -> None:
    """Stop and remove the run of this name, if there is one.

    ``check_stop`` raises where the caller may not stop runs of a Dag, and tells whether it may remove them.

    Raises:
        Conflict: there is one, and it may not be removed; or it is that of this very call, which was sent again.
        StopIncomplete: its processes could not be ended.

    """
    if not _exists(dag_id, run_id):
        return
    if not check_stop(dag_id):
        raise Conflict(
            f"The Dag {dag_id!r} has a run {run_id!r} already, and you may not remove it: choose another run_id."
        )
    check_unused(signature, dag_id, run_id)
    stops.stop_run(dag_id, run_id, user=user, remove=True)


def _exists(dag_id: str, run_id: str) -> bool:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        found = session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    return found is not None
