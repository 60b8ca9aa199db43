"""Making way for a run whose name another one has: CWL-Airflow's one call stops and removes that first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.file_locks import held
from cwl_ui_plugin.services import signatures
from cwl_ui_plugin.services.errors import Conflict
from cwl_ui_plugin.services.signatures import VerifiedToken
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.stopping.database_state import which_run

_LOCK = "way"


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
        Conflict: there is one, and it may not be removed; or it is that of this very call, which was sent again; or
            another call is just making way.
        StopIncomplete: its processes could not be ended.

    """
    with _alone(dag_id, run_id):
        which = which_run(dag_id, run_id)
        if which is None:
            return
        if not check_stop(dag_id):
            raise Conflict(
                f"The Dag {dag_id!r} has a run {run_id!r} already, and you may not remove it: choose another run_id."
            )
        check_unused(signature, dag_id, run_id)
        stops.stop_run(dag_id, run_id, user=user, remove=True, which=which)


@contextmanager
def _alone(dag_id: str, run_id: str) -> Iterator[None]:
    """Keep other calls from making way for a run of this name: what one has looked at is what it stops.

    Raises:
        Conflict: another call does, perhaps this very one, which was sent twice.

    """
    place = control_files.run_control(dag_id, run_id) / _LOCK
    try:
        with held(place):
            yield
    except BlockingIOError:
        raise Conflict(
            f"Another call is just making way for a run {run_id!r} of {dag_id!r}. If it was not this one, sent twice, "
            "try again in a minute."
        ) from None
    finally:
        control_files.forget_run(dag_id, run_id)
