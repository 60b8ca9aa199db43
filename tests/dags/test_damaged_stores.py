"""What is wrong with one workflow, one file or the disk keeps no other workflow from being there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.known_dags import change, import_errors, look, row, write

from cwl_ui_plugin.library import manifests
from cwl_ui_plugin.library.errors import DamagedManifest
from cwl_ui_plugin.library.store import StoredVersion, WorkflowStore

Add = Callable[[str, str], StoredVersion]


def break_plan(version: StoredVersion) -> None:
    (version.folder / "plan.json").write_text("not JSON")


def a_file(workflow: Path) -> None:
    workflow.with_name("README").write_text("Workflows of the group")


def a_folder(workflow: Path) -> None:
    (workflow / "current").unlink()
    (workflow / "current").mkdir()


def other_bytes(workflow: Path) -> None:
    (workflow / "current").write_bytes(b"\xff\xfe")


def another_users(workflow: Path) -> None:
    (workflow / "schedule").mkdir()  # as a file that may not be read, for the superuser too


@pytest.mark.parametrize("damage", [a_file, a_folder, other_bytes, another_users])
def test_one_workflow_that_can_not_be_read(
    add: Add, bundle: Any, store: WorkflowStore, damage: Callable[[Path], None]
) -> None:
    add("damaged-a", "a")
    add("damaged-b", "b")
    before = bundle.track()
    damage(store.workflows / "damaged-b")
    add("damaged-c", "c")
    assert {"damaged-a", "damaged-c"} <= bundle.track().keys()
    if damage in (a_folder, another_users):
        assert bundle.track()["damaged-b"] == before["damaged-b"], "nobody has deleted it"
    assert write(bundle)
    assert row("damaged-c").is_stale is False


@pytest.mark.parametrize("content", ["", '{"damaged-d": "0', "[1]", '{"damaged-d": 1}', "[" * 100_000])
def test_a_manifest_that_was_damaged_is_written_again(
    add: Add, bundle: Any, store: WorkflowStore, content: str
) -> None:
    """As by a machine that failed before the file was on its disk."""
    version = add("damaged-d", "a")
    write(bundle)
    name = bundle.files_version()
    store.manifest_file(name).write_text(content)
    with pytest.raises(DamagedManifest):
        store.kept_manifest(name)
    assert look(bundle).pending == {}
    assert store.kept_revision(name, "damaged-d") == version.revision


def test_what_was_said_of_a_broken_workflow_goes_with_its_next_version(add: Add, bundle: Any) -> None:
    """Else Airflow reads the Dag file of the broken version again, and says it anew."""
    from cwl_ui_plugin.dags import registration

    break_plan(add("damaged-e", "broken"))
    write(bundle)
    assert bundle.broken() == {"damaged-e"}
    add("damaged-e", "mended")
    registration.register("damaged-e")
    look(bundle)
    assert (bundle.broken(), import_errors()) == (set(), {})


def test_a_workflow_that_never_had_a_dag_is_shown_to_those_who_may_read_it(add: Add, bundle: Any) -> None:
    """Airflow shows the error of a file to all that it knows no Dag of."""
    plan = add("damaged-f", "broken").folder / "plan.json"
    whole = plan.read_text()
    plan.write_text("not JSON")
    write(bundle)
    assert (row("damaged-f").relative_fileloc, row("damaged-f").is_stale) == ("broken/damaged-f.py", True)
    assert look(bundle).pending == {}
    plan.write_text(whole)
    write(bundle, everything=True)
    assert (row("damaged-f").is_stale, row("damaged-f").is_paused) == (False, False)


def test_an_error_of_the_dag_file_keeps_no_workflow_from_being_written(add: Add, bundle: Any) -> None:
    """As where a Dag processor had no time to read it; Airflow takes all Dags of the file away."""
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags import registration

    add("damaged-g", "one")
    add("damaged-h", "one")
    write(bundle)
    error = ParseImportError(
        bundle_name="cwl", filename="workflows.py", stacktrace="timeout", timestamp=datetime.now(timezone.utc)
    )
    with create_session() as session:
        session.add(error)
    change("damaged-h", has_import_errors=True, is_stale=True)
    registration.register("damaged-g")
    assert write(bundle)
    assert row("damaged-h").is_stale is False
    assert list(import_errors()) == ["workflows.py"], "that goes when the file is read again"


def test_callbacks_of_a_broken_workflow_are_no_error_of_the_dag_file_of_all(
    add: Add, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags import stored

    add("damaged-i", "fine")
    break_plan(add("damaged-j", "broken"))
    bundle.track()
    monkeypatch.setattr(sys, "argv", ["airflow", "dag-processor"])
    monkeypatch.setattr(stored, "_with_callbacks", lambda: {"damaged-i", "damaged-j", "gone"})
    made = stored.stored_dags(str(bundle.path / "workflows.py"), store=str(bundle.store.root))
    assert list(made) == ["damaged-i"]


def test_nothing_is_taken_for_gone_while_the_disk_is_full(
    add: Add, bundle: Any, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    add("damaged-k", "one")
    add("damaged-l", "one")
    write(bundle)
    store.delete("damaged-l")
    long_ago = datetime.now(timezone.utc) - timedelta(seconds=45)
    change("damaged-k", last_parsed_time=long_ago)
    monkeypatch.setattr(sys, "argv", ["airflow", "dag-processor"])
    with monkeypatch.context() as patched:
        patched.setattr(manifests, "write_json", full)
        with pytest.raises(OSError, match="No space left"):
            bundle.refresh()
    assert row("damaged-k").last_parsed_time > long_ago
    assert row("damaged-l").is_stale is False, "its version of the bundle is not known yet"
    look(bundle)
    assert row("damaged-l").is_stale is True


def test_a_folder_with_any_name_has_broken_workflows_too(
    add: Add, store: WorkflowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Any
) -> None:
    from cwl_ui_plugin.dags.registration import known_bundle

    version = add("damaged-m", "one")
    break_plan(version)
    store.root.rename(tmp_path / "Ł ó%s'")
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(tmp_path / "Ł ó%s'"))
    moved = known_bundle()
    write(moved)
    assert moved.is_broken_file_of("damaged-m", version.revision)
    assert look(moved).pending == {}


@pytest.mark.parametrize("content", [b"", b"\0" * 32, b"\xff\xfe", b"another text"])
def test_a_version_file_that_lost_its_content_is_written_again(add: Add, bundle: Any, content: bytes) -> None:
    """Airflow asks for the version before it lets the bundle do anything, and its Dag processor ends if that fails."""
    from cwl_ui_plugin.dags.registration import known_bundle

    add("damaged-n", "one")
    bundle.track()
    version = bundle.files_version()
    (bundle.path / ".version").write_bytes(content)
    anew = known_bundle()
    anew.initialize()
    assert anew.files_version() == version
