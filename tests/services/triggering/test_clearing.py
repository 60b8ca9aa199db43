"""Making way stops the run that was looked at, and no other that has its name by then."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from cwl_ui_plugin.services.errors import Conflict
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.triggering import clearing, triggers

CONF: dict[str, object] = {"job": {"text": "x", "number": 1}}


def start(dag_id: str, run_id: str) -> None:
    triggers.trigger(dag_id, conf=dict(CONF), run_id=run_id, user="ada", via=triggers.REST)


def clear_way(dag_id: str, run_id: str) -> None:
    clearing.clear_way(dag_id, run_id, user="ada", check_stop=lambda _dag_id: True, signature=None)


def state(dag_id: str, run_id: str) -> tuple[int, str] | None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one_or_none()
        return None if found is None else (found.id, str(found.state))


def test_another_run_of_that_name_is_left_alone(workflow: str, airflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call has found can be removed, and made anew, by another one before it stops it."""
    run_id, stop = f"r-{uuid.uuid4()}", stops.stop_run
    start(workflow, run_id)
    made: list[Any] = []

    def anew_and_stop(*names: str, **options: Any) -> Any:
        stop(workflow, run_id, user="eve", remove=True)
        start(workflow, run_id)
        made.append(state(workflow, run_id))
        return stop(*names, **options)

    monkeypatch.setattr(stops, "stop_run", anew_and_stop)
    clear_way(workflow, run_id)
    assert state(workflow, run_id) == made[0]
    monkeypatch.setattr(stops, "stop_run", stop)
    clear_way(workflow, run_id)
    assert state(workflow, run_id) is None


def test_two_at_once_do_not_stop_what_the_other_starts(
    workflow: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, stop = f"r-{uuid.uuid4()}", stops.stop_run
    start(workflow, run_id)

    def meanwhile(*names: str, **options: Any) -> Any:
        with pytest.raises(Conflict, match="just making way"):
            clear_way(workflow, run_id)
        return stop(*names, **options)

    monkeypatch.setattr(stops, "stop_run", meanwhile)
    clear_way(workflow, run_id)
    assert state(workflow, run_id) is None
    clear_way(workflow, run_id)
