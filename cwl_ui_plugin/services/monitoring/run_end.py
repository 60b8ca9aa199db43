"""How a run stands, in one word and one sentence: for those who wait for its end, at little cost."""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.run_models import FINISHED, ShownState


@dataclass(frozen=True)
class RunEnd:
    """``text`` is for people: who waits for several runs has to know which it is."""

    state: ShownState
    ended: bool
    text: str


_TEXTS: dict[ShownState, str] = {
    "queued": "is queued",
    "running": "is running",
    "waiting": "waits for approval",
    "success": "has succeeded",
    "failed": "has failed",
    "stopped": "was stopped",
}


def run_end(dag_id: str, run_id: str) -> RunEnd:
    """Return how a run stands; raise :class:`NotFound`."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import exists, select

    from cwl_ui_plugin.reports.stops import stops_of
    from cwl_ui_plugin.services.labelling import labels_of
    from cwl_ui_plugin.services.monitoring import run_states

    key = (dag_id, run_id)
    is_asked = exists().where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, run_states.asks())
    with create_session(scoped=False) as session:
        state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if state is None:
            raise NotFound(f"There is no run {run_id!r} of {dag_id!r}.")
        is_waiting = bool(session.scalar(select(is_asked)))
        shown = run_states.shown_state(str(state), is_stopped=key in stops_of(session, [key]), is_waiting=is_waiting)
        label = labels_of(session, [key]).get(key)
    name = (label.title if label else None) or run_id
    return RunEnd(shown, str(state) in FINISHED, f"{name} {_TEXTS[shown]}")
