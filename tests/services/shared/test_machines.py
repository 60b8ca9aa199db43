"""Servers of machines that share a database of Airflow and a bucket of workflows, and no folder."""

from __future__ import annotations

import io
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.buckets import refusing
from support.known_dags import change, look, revision_in_database, row, write
from support.shared_workflows import Machines, content_of, facts, writes
from support.stored import add_version, packed_of, plan_of

from cwl_ui_plugin.dags import known_dags, registration
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.library.shared import objects
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.errors import Conflict, NotFound, ServiceError, Unavailable
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.workflow_models import UploadRights
from cwl_ui_plugin.services.workflows import approvals, upload_state, uploads, versions
from cwl_ui_plugin.services.workflows.upload_state import UploadFolder
from cwl_ui_plugin.services.workflows.uploads import UploadedFile

ALL = UploadRights(may_see=lambda _dag_id: True, may_change=lambda _dag_id: True)


@dataclass
class Site:
    machines: Machines
    monkeypatch: pytest.MonkeyPatch

    def on(self, name: str) -> WorkflowStore:
        """Be a process of a machine from now on; return its store."""
        for option, folder in (("CWL__WORKFLOWS_FOLDER", "workflows"), ("DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", "b")):
            self.monkeypatch.setenv(f"AIRFLOW__{option}", str(self.machines.top / name / folder))
        return site_store()

    def bundle(self) -> Any:
        made = registration.known_bundle()
        made.initialize()
        return made


@pytest.fixture
def site(machines: Machines, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_STORAGE", machines.option)
    with create_session() as session:  # other tests have left theirs
        session.execute(update(DagModel).where(DagModel.bundle_name == "cwl").values(is_stale=True))
    return Site(machines, monkeypatch)


@pytest.fixture
def dag_id() -> str:
    return f"shared-{uuid.uuid4().hex[:8]}"


def put(store: WorkflowStore, dag_id: str, *steps: str) -> str:
    plan = plan_of(*steps)
    return add_version(store, dag_id, plan, repr(steps), packed_of(plan)).revision


def test_what_one_machine_has_registered_the_other_leaves_as_it_is(site: Site, dag_id: str) -> None:
    revision = put(site.on("one"), dag_id, "sort")
    registration.register(dag_id)
    known = site.bundle().files_version()
    site.on("two")
    bundle = site.bundle()
    before = row(dag_id).last_parsed_time
    found = look(bundle)
    assert (found.pending, found.gone) == ({}, [])
    assert bundle.files_version() == known == row(dag_id).bundle_version
    assert row(dag_id).last_parsed_time == before
    assert revision_in_database(dag_id) == revision
    assert bundle.store.kept_manifest(known) == {dag_id: revision}


def test_a_machine_that_is_behind_writes_nothing_older(site: Site, dag_id: str) -> None:
    put(site.on("one"), dag_id, "sort")
    registration.register(dag_id)
    site.on("two").refresh()
    behind = site.bundle()
    behind.track()
    second = put(site.on("one"), dag_id, "sort", "count")
    registration.register(dag_id)
    site.on("two")
    assert look(behind).pending == {}
    assert revision_in_database(dag_id) == second
    registration.register(dag_id)
    assert write(behind, everything=True)
    assert revision_in_database(dag_id) == second


def test_what_was_put_and_not_registered_any_machine_registers(site: Site, dag_id: str) -> None:
    revision = put(site.on("one"), dag_id, "sort")
    site.on("two")
    bundle = site.bundle()
    assert set(look(bundle).pending) == {dag_id}
    assert write(bundle)
    assert revision_in_database(dag_id) == revision
    assert look(bundle).pending == {}


def test_while_the_bucket_is_away_nothing_is_taken_for_gone(
    site: Site, dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site.on("one"), dag_id, "sort")
    registration.register(dag_id)
    site.on("two").refresh()
    dags = known_dags.KnownDags(site.bundle())
    other = f"{dag_id}-other"
    put(site.on("one"), other, "sort")
    registration.register(other)
    site.on("two")
    long_ago = datetime.now(timezone.utc) - timedelta(hours=1)
    for name in (dag_id, other):
        change(name, last_parsed_time=long_ago)
    site.machines.server.moods.append(refusing("403 Forbidden", code="AccessDenied"))
    monkeypatch.setattr(dags, "_have_written", lambda: pytest.fail("nothing is written"))
    dags.look()
    for name in (dag_id, other):
        assert not row(name).is_stale
        assert row(name).last_parsed_time > long_ago
    with pytest.raises(RegistrationError, match="bucket of workflows"):
        registration.register(dag_id)
    site.machines.server.moods.clear()
    objects._failed.clear()
    monkeypatch.setattr(dags, "_have_written", lambda: None)
    dags.look()
    assert not row(other).is_stale


def test_a_task_on_any_machine_has_the_tasks_of_its_run(site: Site, dag_id: str) -> None:
    put(site.on("one"), dag_id, "sort")
    registration.register(dag_id)
    run = triggers.trigger(dag_id, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    put(site.on("one"), dag_id, "sort", "count")
    registration.register(dag_id)
    site.on("worker")
    bundle = pinned_bundle(dag_id, run.run_id)
    assert {task for task in tasks_of(bundle, dag_id) if task in ("sort", "count")} == {"sort"}
    shutil.rmtree(bundle.store.root)
    assert "sort" in tasks_of(bundle, dag_id), "also where the disk was lost"


def pinned_bundle(dag_id: str, run_id: str) -> Any:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.dags.bundle import CwlDagBundle

    with create_session() as session:
        version = session.scalar(select(DagRun.bundle_version).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    made = CwlDagBundle(name="cwl", version=version)
    made.initialize()
    return made


def tasks_of(bundle: Any, dag_id: str) -> list[str]:
    from cwl_ui_plugin.dags.stored import stored_dags

    with patch.dict("os.environ", {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id}):
        dags = stored_dags(str(bundle.path / "workflows.py"), store=str(bundle.store.root))
    return list(dags[dag_id].task_dict)


def test_a_run_that_is_started_on_the_other_machine_is_of_the_newest_version(site: Site, dag_id: str) -> None:
    put(site.on("one"), dag_id, "sort")
    registration.register(dag_id)
    site.on("two").refresh()
    second = put(site.on("one"), dag_id, "sort", "count")
    registration.register(dag_id)
    site.on("two")
    run = triggers.trigger(dag_id, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    bundle = pinned_bundle(dag_id, run.run_id)
    assert bundle.store.kept_revision(bundle.version, dag_id) == second
    third = f"{dag_id}-new"
    put(site.on("one"), third, "sort")
    registration.register(third)
    site.on("two").known._looked.unlink()  # type: ignore[attr-defined] - it is some seconds later
    assert triggers.trigger(third, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST).state == "queued"


@pytest.fixture
def without_cwltool(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_quickly(_source: Path, main: str, out: Path, **_options: object) -> None:
        out.mkdir()
        plan = plan_of("sort")
        (out / "plan.json").write_text(plan.to_json().replace("main.cwl", main))
        (out / "packed.cwl").write_text("{}")

    monkeypatch.setattr(uploads, "compile_in_process", compile_quickly)


def upload(text: str, dag_id: str, **options: Any) -> uploads.Upload:
    files = [UploadedFile("main.cwl", io.BytesIO(text.encode()))]
    started = uploads.start_upload(files, user="ada", rights=ALL, dag_id=dag_id, **options)
    return uploads.wait_upload(started.id)


@pytest.mark.usefixtures("without_cwltool")
def test_an_upload_that_the_bucket_does_not_take_leaves_nothing(site: Site, dag_id: str) -> None:
    store = site.on("one")
    store.refresh()
    names = site.machines.names()
    site.machines.server.moods.append(writes(refusing("403 Forbidden", code="AccessDenied")))
    with pytest.raises(Unavailable, match="Nothing was stored"):
        upload("one", dag_id)
    assert (dag_id in store, row(dag_id), site.machines.names()) == (False, None, names)
    assert not (store.workflows / dag_id).exists()
    site.machines.server.moods.clear()
    assert upload("one", dag_id).state == "done"
    assert row(dag_id) is not None


@pytest.mark.usefixtures("without_cwltool")
def test_an_upload_that_airflow_does_not_take_is_taken_back_everywhere(
    site: Site, dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = site.on("one")
    upload("one", dag_id)
    before = facts(store)

    def fail(_dag_id: str) -> None:
        raise RegistrationError("no")

    with monkeypatch.context() as failing:
        failing.setattr(registration, "register", fail)
        with pytest.raises(Unavailable):
            upload("two", dag_id, replace=True)
        with pytest.raises(Unavailable):
            upload("one", f"{dag_id}-new")
    two = site.on("two")
    two.refresh()
    assert facts(two) == facts(store) == before


@pytest.mark.usefixtures("without_cwltool")
def test_what_can_not_be_taken_back_is_told_and_becomes_known(
    site: Site, dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = site.on("one")
    store.refresh()

    def fail(_dag_id: str) -> None:
        site.machines.server.moods.append(writes(refusing("403 Forbidden", code="AccessDenied")))
        raise RegistrationError("no")

    with monkeypatch.context() as failing:
        failing.setattr(registration, "register", fail)
        with pytest.raises(Unavailable, match="may be there later"):
            upload("one", dag_id)
    site.machines.server.moods.clear()
    two = site.on("two")
    bundle = site.bundle()
    assert set(look(bundle).pending) == {dag_id}
    assert write(bundle)
    two.refresh()
    site.on("one").refresh()
    assert facts(store) == facts(two)


@pytest.mark.usefixtures("without_cwltool")
def test_any_api_server_tells_how_an_upload_is(site: Site, dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.on("one")
    done = upload("one", dag_id)
    site.on("two")
    assert replace(uploads.get_upload(done.id), seconds=done.seconds) == done
    site.on("one")
    going = replace(done, id="0" * 32, state="validating")
    folder = UploadFolder(site_store().uploads, going.id)
    folder.folder.mkdir()
    folder.write(going)
    site.on("two")
    assert uploads.get_upload(going.id).state == "validating"
    monkeypatch.setattr(upload_state, "ABANDONED_SECONDS", -1.0)
    assert uploads.get_upload(going.id).message == upload_state.INTERRUPTED
    site.machines.put(f"uploads/{'1' * 32}.json", b"{}")
    for unknown in ("1" * 32, "2" * 32, "../index"):
        with pytest.raises(NotFound):
            uploads.get_upload(unknown)


@pytest.mark.usefixtures("without_cwltool")
def test_a_name_that_was_taken_elsewhere_a_moment_ago_is_taken(site: Site, dag_id: str) -> None:
    site.on("two").refresh()
    site.on("one")
    upload("one", dag_id)
    two = site.on("two")
    with pytest.raises(Conflict, match="There is a workflow"):
        upload("other", dag_id)
    assert content_of(two.current(dag_id)) == "one"
    assert upload("other", dag_id, replace=True).state == "done"
    site.on("one").refresh()
    assert len(site_store().versions(dag_id)) == 2


@pytest.mark.usefixtures("without_cwltool")
@pytest.mark.parametrize("doing", ["upload", "restore", "approvals"])
def test_while_the_bucket_is_away_changes_are_refused_and_runs_start(site: Site, dag_id: str, doing: str) -> None:
    store = site.on("one")
    first = upload("one", dag_id)
    upload("two", dag_id, replace=True)
    triggers.trigger(dag_id, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    before = facts(store)
    changes: dict[str, Callable[[], object]] = {
        "upload": lambda: upload("three", dag_id, replace=True),
        "restore": lambda: versions.make_current(dag_id, str(first.digest)),
        "approvals": lambda: approvals.choose(dag_id, ["sort"], user="ada"),
    }
    site.machines.server.moods.append(refusing("403 Forbidden", code="AccessDenied"))
    with pytest.raises(ServiceError, match="bucket of workflows") as failure:
        changes[doing]()
    assert failure.value.status == Unavailable.status
    assert facts(open_store()) == before
    run = triggers.trigger(dag_id, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    assert run.state == "queued"
    site.machines.server.moods.clear()
    objects._failed.clear()
    changes[doing]()
    assert facts(open_store()) != before


def test_a_grant_of_one_server_holds_on_a_worker_of_another(site: Site, dag_id: str) -> None:
    from cwl_ui_plugin.dags.access import grants
    from cwl_ui_plugin.services import granting

    put(site.on("one"), dag_id, "sort")
    registration.register(dag_id)
    triggers.trigger(dag_id, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    (name, _private) = granting._found[0]
    key = grants.kept_key(name)
    site.on("worker")
    assert grants.kept_key(name) == key
    assert grants.key_file(name).is_file()


def test_without_the_option_it_is_a_folder_and_nothing_more(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AIRFLOW__CWL__WORKFLOWS_STORAGE")
    assert type(site_store()) is WorkflowStore
    assert site.machines.asked(lambda: (open_store().refresh(), open_store().freshen(), open_store().tidy())) == []
