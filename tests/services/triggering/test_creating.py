"""A run is created without reading its Dag anew, unless there is another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.dags import whole_runs
from cwl_ui_plugin.dags.registration import register
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.errors import BadRequest, Conflict
from cwl_ui_plugin.services.triggering import creating, triggers


@pytest.fixture
def reads() -> Iterator[list[str]]:
    """The statements that read whole Dags from the database."""
    from airflow import settings
    from sqlalchemy import event

    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "serialized_dag.data" in statement.partition("FROM")[0]:
            found.append(statement)

    event.listen(settings.engine, "before_cursor_execute", note)
    yield found
    event.remove(settings.engine, "before_cursor_execute", note)


def trigger(dag_id: str, run_id: str | None = None) -> str:
    return triggers.trigger(dag_id, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST).run_id


def tasks_of(dag_id: str, run_id: str) -> set[str]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance.task_id).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    with create_session() as session:
        return set(session.scalars(query))


def test_the_dag_is_read_once_and_again_when_there_is_another(
    workflow: str, store: WorkflowStore, reads: list[str]
) -> None:
    whole_runs._watch_runs()  # each run is looked at before it is written
    trigger(workflow)
    reads.clear()
    assert "merge" not in tasks_of(workflow, trigger(workflow))
    assert reads == []
    add_version(store, workflow, plan_of("merge", "count"), "another")
    register(workflow)
    reads.clear()
    assert "merge" in tasks_of(workflow, trigger(workflow))
    assert reads != []


def test_a_version_that_no_run_has_had_is_written_over_and_read_anew(workflow: str, store: WorkflowStore) -> None:
    """So that it stays the same version, with other tasks."""
    from airflow.utils.session import create_session

    trigger(workflow)
    for step in ("merge", "index"):
        add_version(store, workflow, plan_of(step), step)
        register(workflow)
        with create_session() as session:
            newest = creating._newest(session, workflow)
            assert newest is not None
            dag = creating._kept.get(session, workflow, newest)
        assert dag is not None and step in dag.task_ids
    assert "index" in tasks_of(workflow, trigger(workflow))


def test_no_more_dags_are_kept_than_some(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creating, "MAX_KEPT", 1)
    register("clean_dag_run")
    triggers.trigger("clean_dag_run", conf={"remove_dag_id": "a", "remove_run_id": "b"}, user="ada", via=triggers.REST)
    trigger(workflow)
    assert len(creating._kept._dags) == 1


def test_what_airflow_refuses_is_refused(workflow: str) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    trigger(workflow, "taken")
    with pytest.raises(Conflict, match="has a run 'taken' already"):
        trigger(workflow, "taken")
    with pytest.raises(BadRequest, match="reserved for scheduled"):
        trigger(workflow, "scheduled__2026-01-01T00:00:00+00:00")
    with create_session() as session:
        session.get(DagModel, workflow).allowed_run_types = ["scheduled"]
    with pytest.raises(BadRequest, match="does not allow manual runs"):
        trigger(workflow)
