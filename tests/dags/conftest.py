"""Stored workflows without cwltool: a Dag is made from the plan alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.buckets import BUCKET, Buckets, buckets, connection_id
from support.stored import add_version

from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion


def diamond(label: str) -> Plan:
    """A plan of four steps: a before b and c, both before d."""

    def step(name: str, *upstream: str) -> Step:
        return Step(
            id=name,
            full_id=f"#{name}",
            task_id=name,
            document=f"step-{name}",
            tool="CommandLineTool",
            tool_name=f"{name}.cwl",
            upstream=upstream,
            sources=tuple(f"#{up}/out" for up in upstream),
            outputs=(f"#{name}/out",),
            label=f"Step {name}",
        )

    return Plan(
        kind="Workflow",
        cwl_version="v1.2",
        main="main.cwl",
        label=label,
        doc="What it does.",
        inputs=(Parameter(id="x", type="int"),),
        outputs=(),
        steps=(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")),
    )


@pytest.fixture
def store(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkflowStore:
    """An empty store, the one that [cwl] workflows_folder names; its bundle is empty, too."""
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(tmp_path / "store"))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    return WorkflowStore(tmp_path / "store")


@pytest.fixture
def add(store: WorkflowStore) -> Callable[[str, str], StoredVersion]:
    """Store a workflow: ``add(dag_id, label)``; another label is another version."""

    def add_workflow(dag_id: str, label: str) -> StoredVersion:
        return add_version(store, dag_id, diamond(label), label)

    return add_workflow


@pytest.fixture
def bundle(store: WorkflowStore) -> Iterator[Any]:
    """The bundle of the store; Airflow knows nothing of it but its name."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session
    from sqlalchemy import delete, update

    from cwl_ui_plugin.dags.registration import known_bundle

    made = known_bundle()
    made.initialize()
    with create_session() as session:  # other tests have left theirs
        session.merge(DagBundleModel(name="elsewhere"))
        session.flush()
        session.execute(update(DagModel).values(bundle_name="elsewhere"))
    yield made
    with create_session() as session:
        session.execute(delete(ParseImportError))


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[Buckets]:
    with buckets() as running:
        yield running


@pytest.fixture
def object_store(bucket_server: Buckets, monkeypatch: pytest.MonkeyPatch, folders: Path) -> Iterator[Buckets]:
    """A server of objects with an empty bucket, which jobs may read from."""
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", bucket_server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    bucket_server.client.create_bucket(Bucket=BUCKET)
    bucket_server.asked.clear()
    yield bucket_server
    bucket_server.moods.clear()
    bucket_server.clear(BUCKET)
    bucket_server.client.delete_bucket(Bucket=BUCKET)
