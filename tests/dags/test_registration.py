"""A registered workflow can be triggered at once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

Add = Callable[[str, str], StoredVersion]


def test_a_run_can_be_created_as_soon_as_register_returns(add: Add) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType

    from cwl_ui_plugin.dags.bundle import CwlDagBundle
    from cwl_ui_plugin.dags.registration import register

    add("registered", "registered")
    register("registered")

    with create_session() as session:
        run = trigger_dag(
            "registered", triggered_by=DagRunTriggeredByType.REST_API, run_id="r1", conf={}, session=session
        )
        assert run is not None
        tasks = {ti.task_id for ti in run.get_task_instances(session=session)}
        pinned = run.bundle_version
    tracking = CwlDagBundle(name="cwl")
    tracking.initialize()
    assert tasks == {"CWLJobDispatcher", "a", "b", "c", "d", "CWLJobGatherer"}
    assert pinned == tracking.files_version()


def test_a_run_keeps_its_version_when_a_new_one_is_registered(add: Add) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import select

    from cwl_ui_plugin.dags.registration import register

    add("versioned", "v1")
    register("versioned")
    for run_id in ("first", "second"):
        with create_session() as session:
            trigger_dag("versioned", triggered_by=DagRunTriggeredByType.REST_API, run_id=run_id, session=session)
        add("versioned", f"after {run_id}")
        register("versioned")

    with create_session() as session:
        versions = session.scalars(select(DagRun.bundle_version).where(DagRun.dag_id == "versioned")).all()
    assert len(set(versions)) == 2


def test_the_stopping_dag_can_be_registered(add: Add) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags.registration import register

    register("clean_dag_run")
    with create_session() as session:
        dag = session.get(DagModel, "clean_dag_run")
        assert dag is not None
        assert dag.is_paused is False


def test_an_unregistered_dag_is_out_of_airflows_lists(add: Add) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags.registration import register, unregister

    add("leaving", "leaving")
    register("leaving")
    unregister("leaving")
    with create_session() as session:
        assert session.get(DagModel, "leaving").is_stale is True  # type: ignore[union-attr]


def test_without_the_bundle_the_message_says_what_to_do(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.dags.errors import RegistrationError
    from cwl_ui_plugin.dags.registration import register

    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", "[]")
    add("nowhere", "nowhere")
    with pytest.raises(RegistrationError, match="dag_bundle_config_list"):
        register("nowhere")


def test_airflow_shows_the_uploader_as_owner_and_the_label_as_name(add: Add, store: WorkflowStore) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags.registration import register

    def shown() -> tuple[str, str]:
        register("shown")
        with create_session() as session:
            dag = session.get(DagModel, "shown")
            assert dag is not None
            return dag.dag_display_name, dag.owners

    add("shown", "  Align\treads\n<b>\u202efast\u2066\x00  ")
    assert shown() == ("Align reads <b>fast", "ada")
    version = add("shown", "y" * 5000)
    data = json.loads((version.folder / "version.json").read_text())
    (version.folder / "version.json").write_text(json.dumps({**data, "uploaded_by": "Lovelace,\u202e Ada" + "x" * 900}))
    name, owner = shown()
    assert name == "y" * 199 + "…"
    assert owner.startswith("Lovelace Adax")
    assert len(owner) == 100
    add("shown", " \u202e ")
    assert shown() == ("shown", "ada")
