"""Runs that Airflow itself creates while a workflow is uploaded: their tasks and their version belong together."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.known_dags import revision_in_database
from support.stored import add_version

from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.dags import whole_runs
from cwl_ui_plugin.dags.names import BUNDLE
from cwl_ui_plugin.library.store import WorkflowStore

Upload = Callable[..., str]
POINTS = ["_find_files_in_bundle", "handle_parsing_result"]
"""Where the Dag processor has read the version of the bundle but not yet its files, and the other way round."""


@pytest.fixture
def dag_id() -> str:
    return f"whole-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def upload(store: WorkflowStore, dag_id: str) -> Upload:
    """Upload a version of the workflow whose steps have these names, and register it; return its digest."""
    from cwl_ui_plugin.dags.registration import register

    def make(*steps: str) -> str:
        made = tuple(Step(name, f"#{name}", name, f"step-{name}", "CommandLineTool", f"{name}.cwl") for name in steps)
        version = add_version(
            store, dag_id, Plan("Workflow", "v1.2", "main.cwl", None, None, (), (), made), repr(steps)
        )
        register(dag_id)
        return version.digest

    return make


@pytest.fixture(scope="module")
def airflow(airflow_home: Path) -> Iterator[Any]:
    """A client of Airflow's own REST API, of somebody who may do everything; it takes a second to make."""
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    with TestClient(create_app(apps="core")) as client:
        admin = SimpleAuthManagerUser(username="admin", role="admin")
        client.headers["Authorization"] = f"Bearer {get_auth_manager().generate_jwt(admin)}"
        yield client


def process_dag_files(point: str | None = None, act: Callable[[], object] = lambda: None) -> None:
    """Let Airflow's Dag processor read all files once; ``act`` when it gets to a point for the first time."""
    from airflow.dag_processing.manager import DagFileProcessorManager

    if not hasattr(DagFileProcessorManager, "prepare_process_context"):
        pytest.skip("The Dag processor of Airflow 3.2 can't be held between its steps")

    class Held(DagFileProcessorManager):
        acted = point is None

        def _at(self, name: str) -> None:
            if name == point and not self.acted:
                self.acted = True
                act()

        def _find_files_in_bundle(self, bundle: Any) -> list[Path]:
            self._at("_find_files_in_bundle")
            return super()._find_files_in_bundle(bundle)

        def handle_parsing_result(self, file: Any, proc: Any, **more: Any) -> None:
            if not self.acted:
                self._at("handle_parsing_result")
                self.request_bundle_refresh(BUNDLE)
                self._bundles_last_refreshed = 0
                self._refresh_dag_bundles(known_files={})
            super().handle_parsing_result(file, proc, **more)

    manager = Held(max_runs=1, processor_timeout=60, bundle_names_to_parse=[BUNDLE])
    manager.prepare_process_context()
    manager.prepare_bundles()
    manager._run_parsing_loop()


def run_of(airflow: Any, dag_id: str) -> str:
    answer = airflow.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": {"job": {}}})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["dag_run_id"])


def tasks_of(dag_id: str, run_id: str) -> tuple[set[str], set[str]]:
    """Return the tasks that Airflow has for a run, and those that its version of the bundle has."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.dags.bundle import WORKFLOWS_FILE, CwlDagBundle

    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
        of_run, version = {instance.task_id for instance in run.task_instances}, run.bundle_version
    bundle = CwlDagBundle(name=BUNDLE, version=version)
    bundle.initialize()
    with patch.dict(os.environ, {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id}):
        bag = BundleDagBag(dag_folder=bundle.path / WORKFLOWS_FILE, bundle_path=bundle.path, bundle_name=BUNDLE)
    return of_run, set(bag.dags[dag_id].task_ids) if dag_id in bag.dags else set()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("before", [(), ("one",)])
def test_an_upload_between_the_version_and_the_files_of_the_bundle(
    airflow: Any, upload: Upload, dag_id: str, point: str, before: tuple[str, ...]
) -> None:
    if before:
        upload(*before)
    process_dag_files(point, lambda: upload("two"))
    of_run, of_version = tasks_of(dag_id, run_of(airflow, dag_id))
    assert of_run == of_version


def test_a_run_right_after_an_upload_is_of_it(airflow: Any, upload: Upload, dag_id: str) -> None:
    upload("one")
    process_dag_files()
    upload("two")
    of_run, of_version = tasks_of(dag_id, run_of(airflow, dag_id))
    assert of_run == of_version == {"CWLJobDispatcher", "two", "CWLJobGatherer"}


def test_an_upload_while_airflow_makes_a_run(airflow: Any, upload: Upload, dag_id: str) -> None:
    """After it has read the Dag, and before anything of the run is written."""
    from airflow.models.dag_version import DagVersion

    upload("one")
    original, uploads = DagVersion.get_latest_version, ["two"]

    def slowly(*args: Any, **kwargs: Any) -> Any:
        while uploads:
            upload(uploads.pop())
        return original(*args, **kwargs)

    with patch.object(DagVersion, "get_latest_version", slowly):
        run_id = run_of(airflow, dag_id)
    of_run, of_version = tasks_of(dag_id, run_id)
    assert of_run == of_version == {"CWLJobDispatcher", "two", "CWLJobGatherer"}


def test_a_database_that_refuses_the_second_look_is_no_run_of_whichever_version(upload: Upload, dag_id: str) -> None:
    """Its error reaches who creates the run, and is tried again there: nothing more can be committed after it."""
    from airflow.utils.session import create_session
    from sqlalchemy.exc import OperationalError

    refused = OperationalError("SELECT", {}, Exception("deadlock detected"))
    with (
        patch.object(whole_runs, "inspect", side_effect=refused),
        pytest.raises(OperationalError, match="deadlock"),
        create_session() as session,
    ):
        session.info[whole_runs._CREATED] = [object()]
        session.commit()


@pytest.fixture
def mixed(airflow: Any, upload: Upload, dag_id: str) -> str:
    """A Dag that the Dag processor has written as of a version that does not have it; return that version."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    process_dag_files("_find_files_in_bundle", lambda: upload("two"))
    with create_session() as session:
        dag = session.get(DagModel, dag_id)
        assert dag is not None
        assert dag.bundle_version
        return dag.bundle_version


def test_a_run_that_is_cleared_onto_the_newest_version(airflow: Any, mixed: str, dag_id: str) -> None:
    run_id = run_of(airflow, dag_id)
    cleared = airflow.post(
        f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False, "run_on_latest_version": True}
    )
    assert cleared.status_code == 200, cleared.text
    of_run, of_version = tasks_of(dag_id, run_id)
    assert of_run == of_version


def test_a_process_without_the_store_leaves_runs_as_they_are(
    airflow: Any, mixed: str, dag_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(tmp_path / "not mounted"))
    run_id = run_of(airflow, dag_id)
    answer = airflow.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json()
    assert answer["bundle_version"] == mixed
    assert not (tmp_path / "not mounted").exists()


def test_a_revision_that_another_thread_forgets_meanwhile_is_still_told(
    upload: Upload, dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(dict[Any, Any]):
        """Which is emptied whenever it was looked into."""

        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            self.clear()
            return found

    digest = upload("one")
    monkeypatch.setattr(whole_runs, "_revisions", Forgetful())
    assert [revision_in_database(dag_id) for _time in range(2)] == [digest, digest]
