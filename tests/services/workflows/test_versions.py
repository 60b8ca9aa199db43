"""Versions: what differs, which one runs use, what can be taken away, what comes back."""

from __future__ import annotations

import io
import json
import shutil
import uuid
import zipfile
from collections.abc import Callable

import pytest

from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import Conflict, NotFound, Unavailable
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.workflows import details, versions
from cwl_ui_plugin.services.workflows.listing import deleted_workflows, list_workflows


def fresh_id() -> str:
    return f"w-{uuid.uuid4().hex[:8]}"


def run_of(dag_id: str, version: str | None = None) -> str | None:
    """Start a run; return the version that it uses."""
    name = f"run-{uuid.uuid4()}"
    conf = {"job": {"text": "x"}}
    triggers.trigger(dag_id, conf=conf, run_id=name, user="ada", via=triggers.REST, version=version)
    return queries.get_run(dag_id, name).version


def test_two_versions_are_compared_line_by_line(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    old = add(dag_id, "a\nb\nc\n")
    new = add(dag_id, "a\nB\nc\nd\n")
    (new.source / "more.txt").write_text("new\n")
    (new.source / "data.bin").write_bytes(b"\0\1")
    changed = {change.path: change for change in versions.compare(dag_id, old.digest, new.digest)}
    assert {name: change.kind for name, change in changed.items()} == {
        "main.cwl": "changed",
        "more.txt": "added",
        "data.bin": "added",
    }
    (hunk,) = changed["main.cwl"].hunks
    assert [(line.kind, line.old, line.new, line.text) for line in hunk] == [
        ("same", 1, 1, "a"),
        ("removed", 2, None, "b"),
        ("added", None, 2, "B"),
        ("same", 3, 3, "c"),
        ("added", None, 4, "d"),
    ]
    assert (changed["main.cwl"].added, changed["main.cwl"].removed) == (2, 1)
    assert changed["data.bin"].note
    assert versions.compare(dag_id, old.digest, old.digest) == []
    with pytest.raises(NotFound):
        versions.compare(dag_id, old.digest, "0" * 32)


def test_huge_files_and_lines_are_not_compared_for_ever(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    old = add(dag_id, "x" * 10_000_000)
    new = add(dag_id, "y" * 1_000_000)
    assert versions.compare(dag_id, old.digest, new.digest)[0].note
    newer = add(dag_id, "z\n" * 100_000)
    assert versions.compare(dag_id, new.digest, newer.digest)[0].note
    longer = add(dag_id, "x" * 1_500_000)
    line = versions.compare(dag_id, new.digest, longer.digest)[0].hunks[0][0]
    assert len(line.text) <= versions.MAX_LINE + 1


def test_new_runs_use_the_version_that_was_made_current(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    old, new = add(dag_id, "one"), add(dag_id, "two")
    assert run_of(dag_id) == new.digest
    versions.make_current(dag_id, old.digest)
    assert details.get_workflow(dag_id).version.digest == old.digest
    assert run_of(dag_id) == old.digest
    with pytest.raises(NotFound):
        versions.make_current(dag_id, "0" * 32)


def test_an_earlier_version_is_run_while_another_is_current(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    old = add(dag_id, "one", steps=("sort", "count", "more"))
    assert run_of(dag_id) == old.digest
    new = add(dag_id, "two", steps=("sort",))
    triggers.trigger(
        dag_id, conf={"job": {"text": "x"}}, run_id="old", user="ada", via=triggers.VIEW, version=old.digest
    )
    run = queries.get_run(dag_id, "old")
    assert run.version == old.digest
    assert {step.task_id for step in run.steps} >= {"sort", "count", "more"}
    assert run_of(dag_id, new.digest) == run_of(dag_id) == new.digest


def test_a_version_that_airflow_has_not_kept_is_refused_with_what_to_do(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    old = add(dag_id, "one")
    add(dag_id, "two")
    with pytest.raises(Conflict, match="Make it the current one"):
        run_of(dag_id, old.digest)
    assert queries.list_runs([dag_id]).total == 0
    with pytest.raises(NotFound):
        run_of(dag_id, "0" * 32)


def steps_of(dag_id: str) -> set[str]:
    (run,) = queries.list_runs([dag_id], limit=1).items
    return {step.task_id for step in queries.get_run(dag_id, run.run_id).steps} - {
        "CWLJobDispatcher",
        "CWLJobGatherer",
    }


@pytest.fixture
def put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Airflow that stores a changed Dag half a minute later."""
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "30")


@pytest.mark.usefixtures("put_off")
def test_versions_that_follow_each_other_fast_are_not_mixed(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    for name in ("one", "two", "three"):
        added = add(dag_id, name, steps=(name,))
        assert run_of(dag_id) == added.digest
        assert steps_of(dag_id) == {name}


@pytest.mark.usefixtures("put_off")
def test_a_dag_of_another_version_is_registered_anew_when_a_run_is_created(
    add: Callable[..., StoredVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_id = fresh_id()
    add(dag_id, "one", steps=("one",))
    run_of(dag_id)
    with monkeypatch.context() as as_the_dag_processor:
        as_the_dag_processor.setattr(registration, "_store_now", lambda *_arguments: None)
        added = add(dag_id, "two", steps=("two",))
    assert run_of(dag_id) == added.digest
    assert steps_of(dag_id) == {"two"}


@pytest.mark.usefixtures("put_off")
def test_no_run_is_better_than_a_mixed_one(add: Callable[..., StoredVersion], monkeypatch: pytest.MonkeyPatch) -> None:
    dag_id = fresh_id()
    add(dag_id, "one", steps=("one",))
    run_of(dag_id)
    monkeypatch.setattr(registration, "_store_now", lambda *_arguments: None)
    add(dag_id, "two", steps=("two",))
    with pytest.raises(Unavailable, match=r"min_serialized_dag_update_interval must be 0"):
        run_of(dag_id)
    assert queries.list_runs([dag_id]).total == 1


def as_the_dag_processor_writes(dag_id: str, bundle_version: str) -> None:
    """Let Airflow have a Dag as of a version of the bundle that was read before the Dag's file was written."""
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        for table in (DagModel, DagVersion):
            session.execute(update(table).where(table.dag_id == dag_id).values(bundle_version=bundle_version))


@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("before", [(), ("one",)])
def test_a_run_is_of_a_version_that_has_its_workflow(
    add: Callable[..., StoredVersion], store: WorkflowStore, before: tuple[str, ...], chosen: bool
) -> None:
    """An upload came between the moments at which the Dag processor read the bundle's version, and its files."""
    dag_id = fresh_id()
    add(fresh_id(), "other")
    for name in before:
        add(dag_id, name, steps=(name,))
    earlier = store.keep_manifest(store.manifest())
    added = add(dag_id, "two", steps=("two",))
    as_the_dag_processor_writes(dag_id, earlier)
    assert run_of(dag_id, added.digest if chosen else None) == added.digest
    assert steps_of(dag_id) == {"two"}


def test_what_airflow_does_not_take_is_not_made_current(
    add: Callable[..., StoredVersion], store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_id = fresh_id()
    old, new = add(dag_id, "one"), add(dag_id, "two")

    def fail(_dag_id: str) -> None:
        raise RegistrationError("no bundle")

    monkeypatch.setattr(registration, "register", fail)
    with pytest.raises(Unavailable):
        versions.make_current(dag_id, old.digest)
    assert store.current(dag_id).digest == new.digest
    details.delete_workflow(dag_id)
    with pytest.raises(Unavailable):
        versions.restore(dag_id)
    assert dag_id not in store


def test_a_deleted_workflow_comes_back_and_can_be_run(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    version = add(dag_id)
    details.delete_workflow(dag_id)
    assert [item.dag_id for item in deleted_workflows({dag_id, "other"})] == [dag_id]
    with pytest.raises(NotFound):
        triggers.trigger(dag_id, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    assert versions.restore(dag_id).digest == version.digest
    assert run_of(dag_id) == version.digest
    with pytest.raises(NotFound):
        versions.restore(dag_id)


def test_a_name_that_another_dag_has_got_is_not_taken_back(
    add: Callable[..., StoredVersion], store: WorkflowStore, other_dag: str
) -> None:
    version = add(fresh_id())
    shutil.copytree(version.folder, store.workflows / other_dag / "versions" / version.digest)
    with pytest.raises(Conflict):
        versions.restore(other_dag)
    assert other_dag not in store


def test_a_version_can_be_taken_away(add: Callable[..., StoredVersion]) -> None:
    version = add(fresh_id(), "the text")
    with zipfile.ZipFile(io.BytesIO(versions.archive(version).read())) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {"main.cwl": b"the text"}
    assert json.loads(versions.packed_document(version))["class"] == "Workflow"


def test_the_list_is_sorted_searched_and_cut(add: Callable[..., StoredVersion]) -> None:
    ids = sorted(fresh_id() for _ in range(3))
    for number, dag_id in enumerate(ids):
        add(dag_id, steps=("sort", "count", "more")[: 3 - number])
    page = list_workflows(ids, sort="-steps", limit=2)
    assert (page.total, [item.dag_id for item in page.items]) == (3, ids[:2])
    assert [item.dag_id for item in list_workflows(ids, sort="steps", limit=2, offset=2).items] == [ids[0]]
    assert [item.dag_id for item in list_workflows(ids, sort="no-such", limit=9).items] == ids
    assert [item.dag_id for item in list_workflows(ids, search=f"ADA {ids[1]}").items] == [ids[1]]


def test_the_last_runs_of_each_workflow_are_shown_oldest_first(
    add: Callable[..., StoredVersion], airflow: object
) -> None:
    ids = [fresh_id(), fresh_id()]
    for dag_id in ids:
        add(dag_id)
    for number in range(12):
        triggers.trigger(ids[0], conf={"job": {"text": "x"}}, run_id=f"r{number}", user="ada", via=triggers.REST)
    shown = {item.dag_id: item for item in list_workflows(ids).items}
    assert [run.run_id for run in shown[ids[0]].recent_runs] == [f"r{number}" for number in range(2, 12)]
    assert (shown[ids[0]].last_run_id, shown[ids[1]].recent_runs) == ("r11", ())


def test_a_version_has_a_number_that_people_call_it_by(add: Callable[..., StoredVersion]) -> None:
    dag_id = fresh_id()
    first, second = add(dag_id, "a\n"), add(dag_id, "b\n")
    versions.make_current(dag_id, first.digest)

    assert versions.version_number(dag_id, first.digest) == 1
    assert versions.version_number(dag_id, second.digest) == 2
    assert versions.version_number(dag_id, "0" * 32) is versions.version_number(dag_id, None) is None
    assert [one.number for one in details.get_workflow(dag_id).versions] == [2, 1]
