"""The bundle follows the store; a version of it does not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

Add = Callable[[str, str], StoredVersion]


def bundle(version: str | None = None):  # type: ignore[no-untyped-def]
    from cwl_ui_plugin.dags.bundle import CwlDagBundle

    made = CwlDagBundle(name="cwl", version=version)
    made.initialize()
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py"))


def dags_in(folder: Path, dag_id: str | None = None) -> dict[str, Any]:
    """Read the Dag file of all workflows as Airflow does: for the Dag of a task, or for all."""
    asked = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "task"} if dag_id else {}
    with patch.dict(os.environ, asked):
        spec = spec_from_file_location("workflows", folder / "workflows.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return {name: dag for name, dag in vars(module).items() if hasattr(dag, "dag_id")}


def digest_of(folder: Path, dag_id: str) -> str:
    return str(dags_in(folder, dag_id)[dag_id].version.digest)


def test_one_dag_file_has_all_workflows_and_the_stopping_dag_has_its_own(add: Add) -> None:
    add("one", "one")
    add("two.", "two")
    tracking = bundle()
    assert names(tracking.path) == ["clean_dag_run.py", "workflows.py"]
    assert set(dags_in(tracking.path)) == {"one", "two."}


def test_a_task_reads_nothing_but_its_own_workflow(add: Add, store: WorkflowStore) -> None:
    add("one", "one")
    plan = add("one.", "two").folder / "plan.json"
    plan.write_text("not JSON")
    tracking = bundle()
    assert set(dags_in(tracking.path, "one")) == {"one"}
    assert dags_in(tracking.path, "another") == {}
    assert set(dags_in(tracking.path)) == {"one"}, "one that is broken keeps no other from being read"
    with pytest.raises(ValueError, match="Expecting"):
        dags_in(tracking.path, "one.")


def test_the_dag_processor_makes_none_but_those_with_callbacks(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    class Request:
        dag_id = "two"

    class Message:
        callback_requests = (Request(),)

    def parse_file(msg: object) -> dict[str, Any]:
        """As Airflow's function that reads a file in the Dag processor."""
        return dags_in(tracking.path)

    add("one", "one")
    add("two", "two")
    tracking = bundle()
    monkeypatch.setattr(sys, "argv", ["airflow", "dag-processor"])
    assert dags_in(tracking.path) == {}
    assert set(parse_file(Message())) == {"two"}


def test_the_tracking_folder_follows_the_store(add: Add, store: WorkflowStore) -> None:
    first = add("one", "one")
    tracking = bundle()
    before, time = tracking.files_version(), (tracking.path / "workflows.py").stat().st_mtime_ns
    assert digest_of(tracking.path, "one") == first.digest
    second = add("one", "other")
    add("two", "two")
    tracking.refresh()

    assert tracking.files_version() != before
    assert digest_of(tracking.path, "one") == second.digest
    assert set(dags_in(tracking.path)) == {"one", "two"}

    store.delete("two")
    tracking.refresh()
    assert set(dags_in(tracking.path)) == {"one"}
    assert (tracking.path / "workflows.py").stat().st_mtime_ns == time, "Airflow has nothing to read again"


def test_a_version_keeps_the_workflows_it_was_made_of(add: Add) -> None:
    first = add("one", "one")
    version = bundle().files_version()
    add("one", "other")
    add("two", "two")
    bundle().refresh()

    pinned = bundle(version)

    assert names(pinned.path) == ["clean_dag_run.py", "workflows.py"]
    assert digest_of(pinned.path, "one") == first.digest
    assert dags_in(pinned.path, "two") == {}
    assert pinned.files_version() == version


def test_dag_files_that_another_version_of_the_plugin_wrote_are_written_anew(add: Add) -> None:
    """A Dag file for each workflow, as up to that version; runs may be pinned to what it has written."""
    first = add("one", "one")
    version = bundle().files_version()
    place, tracking = bundle(version).path, bundle()
    (place / "workflows.py").write_text("from cwl_ui_plugin.gone import stored_dag\n")
    for folder in (place, tracking.path):
        (folder / "one.py").write_text("from cwl_ui_plugin.dags.stored import stored_dag\n")
        (folder / ".version").unlink()
    assert digest_of(bundle(version).path, "one") == first.digest
    tracking.refresh()
    assert names(tracking.path) == ["clean_dag_run.py", "workflows.py"]


def test_a_run_goes_on_where_the_store_has_moved(
    add: Add, store: WorkflowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add("one", "one")
    version = bundle().files_version()
    assert digest_of(bundle(version).path, "one") == first.digest
    store.root.rename(tmp_path / "moved")
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(tmp_path / "moved"))
    assert digest_of(bundle(version).path, "one") == first.digest


def test_a_dag_is_made_of_a_workflow_in_a_format_that_is_read_no_more(store: WorkflowStore) -> None:
    """As after an upgrade over several versions, for a task of a run that is pinned to what was then."""
    from cwl_ui_plugin.dags.stored import stored_dag

    old = Path(__file__).parents[1] / "library" / "stores" / "format-1"
    shutil.copytree(old / "workflows" / "count", store.workflows / "count")
    revision = store.manifest()["count"]
    plan = store.current("count").folder / "plan.json"
    plan.write_text(plan.read_text().replace('"format": 1', '"format": 0'))
    assert stored_dag("count", revision, store=str(store.root)).task_ids == [
        "CWLJobDispatcher",
        "count",
        "CWLJobGatherer",
    ]
