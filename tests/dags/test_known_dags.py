"""Airflow's database follows the store without reading Dag files: what is new is written, what is gone is out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.known_dags import change, import_errors, look, revision_in_database, row, write

from cwl_ui_plugin.interpreters import module_command
from cwl_ui_plugin.library.store import StoredVersion, WorkflowStore

Add = Callable[[str, str], StoredVersion]


def test_what_is_put_into_the_store_is_written_and_then_left_alone(add: Add, bundle: Any) -> None:
    for name in ("known-a", "known-b"):
        add(name, name)
    assert set(look(bundle).pending) == {"known-a", "known-b"}
    assert write(bundle)

    assert row("known-a").relative_fileloc == "workflows.py"
    assert row("known-a").is_paused is False
    assert {tag.name for tag in tags_of("known-a")} == {"cwl"}
    written = row("known-b").last_parsed_time
    found = look(bundle)
    assert (found.pending, found.gone) == ({}, [])
    assert row("known-b").last_parsed_time == written, "nothing is written where nothing is due"


def tags_of(dag_id: str) -> list[Any]:
    from airflow.models.dag import DagTag
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(DagTag).where(DagTag.dag_id == dag_id)))


def test_a_new_version_is_written_and_all_are_known_by_the_newest_version_of_the_bundle(add: Add, bundle: Any) -> None:
    add("known-c", "one")
    add("known-d", "one")
    write(bundle)
    second = add("known-c", "two")
    assert set(look(bundle).pending) == {"known-c"}
    assert row("known-d").bundle_version == bundle.files_version()
    assert row("known-c").bundle_version != bundle.files_version(), "its Dag is not of that version yet"
    write(bundle)
    assert row("known-c").bundle_version == bundle.files_version()
    assert revision_in_database("known-c") == second.revision


def test_whether_one_workflow_is_known_as_it_is_now(add: Add, bundle: Any) -> None:
    from cwl_ui_plugin.dags.known_dags import is_settled

    assert not is_settled("settled-one")
    add("settled-one", "first")
    assert not is_settled("settled-one")
    write(bundle)
    assert is_settled("settled-one")
    add("settled-one", "second")
    assert not is_settled("settled-one")
    write(bundle)
    add("settled-other", "first")
    assert is_settled("settled-one"), "what else is in the bundle has nothing to do with it"
    for values in ({"is_stale": True}, {"is_stale": False, "has_import_errors": True}):
        change("settled-one", **values)
        assert not is_settled("settled-one")


def test_what_is_deleted_is_gone_and_what_is_restored_is_back(add: Add, bundle: Any, store: WorkflowStore) -> None:
    version = add("known-e", "one")
    write(bundle)
    store.delete("known-e")
    look(bundle)
    assert row("known-e").is_stale is True
    store.make_current("known-e", version.digest)
    assert look(bundle).pending == {}
    assert row("known-e").is_stale is False


def test_airflow_never_takes_a_workflow_for_gone_that_is_in_the_store(add: Add, bundle: Any) -> None:
    """By the Dag processor's own rule: a Dag that was not found for 50 s when its file was read."""
    from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager

    add("known-f", "one")
    write(bundle)
    change("known-f", last_parsed_time=datetime.now(timezone.utc) - timedelta(seconds=40))
    manager = DagFileProcessorManager(max_runs=1, processor_timeout=60)
    manager._dag_bundles = [bundle]  # Airflow 3.2 looks at the Dags of these only
    file = DagFileInfo(rel_path=Path("workflows.py"), bundle_name="cwl")

    def read(after: timedelta) -> bool:
        manager.deactivate_stale_dags(last_parsed={file: datetime.now(timezone.utc) + after})
        return bool(row("known-f").is_stale)

    look(bundle)
    assert not read(timedelta(seconds=45))
    assert read(timedelta(seconds=60)), "else this test shows nothing"
    look(bundle)
    assert row("known-f").is_stale is False


def test_rows_of_a_dag_file_for_each_workflow_are_taken_over(add: Add, bundle: Any) -> None:
    """As the version before has left them: nothing goes out of Airflow's list for a moment."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    add("known-g", "one")
    write(bundle)
    change("known-g", relative_fileloc="known-g.py", fileloc="/somewhere/known-g.py")
    bundle.refresh()
    look(bundle)
    with create_session() as session:
        DagModel.deactivate_deleted_dags("cwl", {path.name for path in bundle.path.glob("*.py")}, session=session)
    assert row("known-g").relative_fileloc == "workflows.py"
    assert row("known-g").is_stale is False


def test_one_workflow_without_a_dag_says_why_and_no_other_has_to_do_with_it(add: Add, bundle: Any) -> None:
    add("known-h", "fine")
    first = add("known-i", "fine")
    write(bundle)
    broken = add("known-i", "broken")
    plan = broken.folder / "plan.json"
    whole = plan.read_text()
    plan.write_text(whole.replace('"steps"', '"stairs"'))

    assert write(bundle)
    (name, text), *others = import_errors().items()
    assert (name, others) == ("broken/known-i.py", [])
    assert "steps" in text
    assert (row("known-i").has_import_errors, row("known-i").is_stale) == (True, True)
    assert row("known-i").relative_fileloc == name, "Airflow shows an error to those who may read the Dags of its file"
    assert (row("known-h").has_import_errors, row("known-h").is_stale) == (False, False)
    assert (bundle.path / "broken/known-i.py").exists(), "Airflow removes errors of files that are not there"
    assert look(bundle).pending == {}, "it is not tried all the time"
    assert revision_in_database("known-i") == first.revision

    plan.write_text(whole)
    write(bundle, everything=True)
    assert import_errors() == {}
    assert (row("known-i").has_import_errors, row("known-i").is_stale) == (False, False)
    assert row("known-i").relative_fileloc == row("known-h").relative_fileloc
    assert revision_in_database("known-i") == broken.revision
    assert not (bundle.path / "broken/known-i.py").exists()


def test_an_error_goes_with_its_workflow(add: Add, bundle: Any, store: WorkflowStore) -> None:
    (add("known-j", "broken").folder / "plan.json").write_text("not JSON")
    write(bundle)
    assert list(import_errors()) == ["broken/known-j.py"]
    store.delete("known-j")
    look(bundle)
    assert import_errors() == {}


def test_what_a_policy_refuses_and_what_airflow_cannot_write_is_of_one_workflow(
    add: Add, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow import settings
    from airflow.exceptions import AirflowClusterPolicyViolation
    from airflow.models.serialized_dag import SerializedDagModel

    def policy(dag: Any) -> None:
        if dag.dag_id == "known-k":
            raise AirflowClusterPolicyViolation("no such names")

    def write_dag(dag: Any, *arguments: Any, **more: Any) -> bool:
        if dag.dag_id == "known-l":
            raise ValueError("too large")
        return bool(written(dag, *arguments, **more))

    written = SerializedDagModel.write_dag
    monkeypatch.setattr(settings, "dag_policy", policy)
    monkeypatch.setattr(SerializedDagModel, "write_dag", write_dag)
    for name in ("known-k", "known-l", "known-m"):
        add(name, name)
    write(bundle)
    assert sorted(import_errors()) == ["broken/known-k.py", "broken/known-l.py"]
    assert "no such names" in import_errors()["broken/known-k.py"]
    assert "too large" in import_errors()["broken/known-l.py"]
    assert row("known-m").is_stale is False


def test_trouble_of_the_database_is_no_workflows_fault(add: Add, bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing import dagbag
    from sqlalchemy.exc import IntegrityError

    def refuse(*_arguments: Any, **_more: Any) -> None:
        raise IntegrityError("INSERT", {}, Exception("another one has written it"))

    add("known-n", "one")
    with monkeypatch.context() as patched:
        patched.setattr(dagbag, "sync_bag_to_db", refuse)
        assert write(bundle) is False
    assert import_errors() == {}
    assert "known-n" in look(bundle).pending
    assert write(bundle)


def test_what_is_uploaded_while_older_dags_are_written_is_not_overwritten(
    add: Add, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags import registration

    add("known-o", "one")
    make = registration.make
    newer: list[StoredVersion] = []

    def make_and_upload(revisions: Any, bundle: Any) -> Any:
        made = make(revisions, bundle)
        if not newer:
            newer.append(add("known-o", "two"))
            registration.register("known-o")
        return made

    monkeypatch.setattr(registration, "make", make_and_upload)
    write(bundle)
    assert revision_in_database("known-o") == newer[0].revision
    assert look(bundle).pending == {}


def test_the_dag_processor_has_all_written_when_it_starts_and_later_what_is_new(
    add: Add, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags import known_dags

    started: list[list[str]] = []

    class Process:
        code: int | None = None

        def __init__(self, command: list[str], **_more: Any) -> None:
            started.append(command[len(module_command(known_dags.__name__)) :])
            Process.code = None

        def poll(self) -> int | None:
            return Process.code

    def refresh() -> list[list[str]]:
        dags._seen = None  # as some seconds later
        bundle.refresh()
        return started

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(sys, "argv", ["airflow", "dag-processor"])
    dags = bundle._known_dags()
    assert refresh() == [], "an empty store needs nobody"
    add("known-p", "one")
    assert refresh() == [["--all"]]
    assert refresh() == [["--all"]], "one at a time"
    Process.code = 1
    assert refresh() == [["--all"]], "what fails is not started all the time"
    dags._failed_at -= known_dags.FAILED_AGAIN_SECONDS + 1
    Process.code = None
    assert refresh() == [["--all"], ["--all"]], "it was not done"
    Process.code = 0
    assert refresh() == [["--all"], ["--all"], []]
    write(bundle)
    assert len(refresh()) == 3


def test_what_is_never_done_is_not_tried_for_ever(add: Add, bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.dags import known_dags

    add("known-r", "one")
    write(bundle)
    started: list[list[str]] = []

    class Failed:
        def __init__(self, command: list[str], **_more: Any) -> None:
            started.append(command[len(module_command(known_dags.__name__)) :])

        def poll(self) -> int:
            return 1

    monkeypatch.setattr(subprocess, "Popen", Failed)
    monkeypatch.setattr(known_dags, "FAILED_AGAIN_SECONDS", -1)
    dags = known_dags.KnownDags(bundle)
    for _ in range(10):
        dags._seen = None
        dags.look()
    assert started == [["--all"]] * known_dags.ALL_TRIES


def test_the_process_that_writes_ends_with_the_dag_processor(add: Add, bundle: Any) -> None:
    """A real one, whose parent is gone before it has begun; and one whose parent waits for it."""
    from cwl_ui_plugin.dags.known_dags import write_pending

    add("known-q", "one")
    assert write_pending(bundle, everything=True, is_wanted=lambda: False)
    assert row("known-q") is None
    ended = subprocess.run(
        [sys.executable, "-m", "cwl_ui_plugin.dags.known_dags", "--all"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert row("known-q").is_stale is False
