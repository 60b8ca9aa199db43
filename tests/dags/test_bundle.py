"""The bundle follows the store; a version of it does not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

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


def test_each_workflow_has_a_dag_file_and_so_has_the_stopping_dag(add: Add) -> None:
    add("one", "one")
    add("two", "two")
    assert names(bundle().path) == ["clean_dag_run.py", "one.py", "two.py"]


def test_the_tracking_folder_follows_the_store(add: Add, store: WorkflowStore) -> None:
    first = add("one", "one")
    tracking = bundle()
    before = tracking.files_version()
    second = add("one", "other")
    add("two", "two")
    tracking.refresh()

    assert tracking.files_version() != before
    assert second.digest in (tracking.path / "one.py").read_text()
    assert first.digest not in (tracking.path / "one.py").read_text()

    store.delete("two")
    tracking.refresh()
    assert names(tracking.path) == ["clean_dag_run.py", "one.py"]


def test_python_never_takes_the_bytecode_of_one_version_for_another(
    add: Add, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest_of_dag() -> str:
        spec = spec_from_file_location("one", tracking.path / "one.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return str(module.dag.version.digest)

    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for label in ("one", "other", "third"):  # in less than a second
        stored = add("one", label)
        tracking = bundle()
        tracking.refresh()
        assert digest_of_dag() == stored.digest
    times = int((tracking.path / "one.py").stat().st_mtime)
    add("one", "one")
    tracking.refresh()
    assert int((tracking.path / "one.py").stat().st_mtime) > times


def test_a_version_keeps_the_workflows_it_was_made_of(add: Add) -> None:
    first = add("one", "one")
    version = bundle().files_version()
    add("one", "other")
    add("two", "two")
    bundle().refresh()

    pinned = bundle(version)

    assert names(pinned.path) == ["clean_dag_run.py", "one.py"]
    assert first.digest in (pinned.path / "one.py").read_text()
    assert pinned.files_version() == version


def test_what_did_not_change_is_not_written_again(add: Add) -> None:
    add("one", "one")
    tracking = bundle()
    before = (tracking.path / "one.py").stat().st_mtime_ns
    add("two", "two")
    tracking.refresh()
    assert (tracking.path / "one.py").stat().st_mtime_ns == before


def test_dag_files_of_a_version_that_another_version_of_the_plugin_wrote_are_written_anew(add: Add) -> None:
    first = add("one", "one")
    version = bundle().files_version()
    place = bundle(version).path
    (place / "one.py").write_text("from cwl_ui_plugin.gone import stored_dag\n")
    assert "gone" in (bundle(version).path / "one.py").read_text(), "each task looks at it: nothing is done twice"
    (place / ".template").unlink()  # there was none then
    assert f"'{first.digest}'" in (bundle(version).path / "one.py").read_text()


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
