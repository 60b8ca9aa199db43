"""A run is created only if its job fits; everything else is refused with a reason."""

from __future__ import annotations

import io
import threading
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.dags.access.grants import Grant, read_grant
from cwl_ui_plugin.dags.access.permits import permit
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.services import database, granting
from cwl_ui_plugin.services.errors import BadRequest, Conflict, InvalidJob, NotFound, NotVerified
from cwl_ui_plugin.services.inputs import single
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.run_models import RunSummary
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.signing.keys import generate_key_pair
from cwl_ui_plugin.signing.tokens import CLOCK_SKEW, sign


def trigger(dag_id: str, job: Any = None, **options: Any) -> RunSummary:
    conf = options.pop("conf", {"job": {"text": "x"} if job is None else job})
    return triggers.trigger(dag_id, conf=conf, user="ada", via=triggers.REST, **options)


def conf_of(run: RunSummary) -> Any:
    """Return the conf of a run, without its grant."""
    return {name: value for name, value in kept_conf(run).items() if name != GRANT}


def kept_conf(run: RunSummary) -> Any:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return session.scalar(select(DagRun.conf).where(DagRun.dag_id == run.dag_id, DagRun.run_id == run.run_id))


def runs_of(dag_id: str) -> int:
    from cwl_ui_plugin.services.monitoring import queries

    return queries.list_runs([dag_id]).total


def test_the_conf_is_kept_as_it_was_sent(workflow: str) -> None:
    conf = {"job": {"text": "x"}, "check_payload": "a.b.c", "text": "y"}
    run = trigger(workflow, conf=conf, run_id=f"r-{uuid.uuid4()}")
    assert conf_of(run) == conf
    assert run.user == "ada"
    assert run.queued_at is not None


@pytest.mark.parametrize("run_id", [None, "r"])
def test_a_run_is_granted_what_its_job_needs(workflow: str, folders: Path, run_id: str | None) -> None:
    sent = single.save_input("a.txt", io.BytesIO(b"x"), user="ada")
    files = InputAccess("ada", lambda _dag_id: False)
    before = time.time()
    run = trigger(workflow, {"text": "x", "file": {"class": "File", "location": str(sent)}}, files=files, run_id=run_id)
    grant = read_grant(kept_conf(run), dag_id=workflow, run_id=run.run_id)
    assert grant is not None
    assert (grant.user, grant.roots, grant.signed_by) == ("ada", (sent.parent,), None)
    assert before <= grant.at <= time.time()


def test_inputs_may_be_keys_of_the_conf_and_files_their_paths(workflow: str, folders: Path) -> None:
    from cwl_ui_plugin.services.monitoring import queries

    sent = single.save_input("a.txt", io.BytesIO(b"x"), user="ada")
    conf = {"text": "x", "file": str(sent)}
    run = trigger(workflow, conf=conf, files=InputAccess("ada", lambda _dag_id: False))
    assert conf_of(run) == conf
    grant = read_grant(kept_conf(run), dag_id=workflow, run_id=run.run_id)
    assert grant is not None
    assert grant.roots == (sent.parent,)
    job = {"text": "x", "file": {"class": "File", "location": str(sent)}}
    assert queries.get_run(workflow, run.run_id).job == job
    assert queries.run_source(workflow, run.run_id).job == job
    with pytest.raises(InvalidJob) as refused:
        trigger(workflow, conf=conf, files=InputAccess("eve", lambda _dag_id: False))
    assert [problem.input for problem in refused.value.problems] == ["file"]


def test_a_key_that_means_nothing_is_refused_with_what_may_be_meant(workflow: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        trigger(workflow, conf={"job": {"text": "x"}, "txt": "y"})
    (problem,) = refused.value.problems
    assert (problem.input, "did you mean 'text'" in problem.message) == ("txt", True)
    assert runs_of(workflow) == 0


def test_nobody_brings_a_grant(workflow: str) -> None:
    earlier = kept_conf(trigger(workflow))
    with pytest.raises(BadRequest, match=GRANT):
        trigger(workflow, conf=earlier)
    assert runs_of(workflow) == 1


def test_the_key_of_grants_is_kept_encrypted_and_is_made_anew_where_it_can_not_be_read(
    workflow: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import GrantKey

    def names() -> set[str]:
        with create_session() as session:
            assert not any("PRIVATE" in text for text in session.scalars(select(GrantKey.private_key)))
            return set(session.scalars(select(GrantKey.key_id)))

    first, known = trigger(workflow), names()
    monkeypatch.setattr(granting, "_found", [])
    trigger(workflow)
    assert names() == known
    monkeypatch.setattr(granting, "_found", [])
    monkeypatch.setattr(granting, "_decrypted", lambda _text: None)
    second = trigger(workflow)
    assert len(names() - known) == 1
    for run in (first, second):
        assert read_grant(kept_conf(run), dag_id=workflow, run_id=run.run_id)
    public = list((folders / "workflows/grants").iterdir())
    assert {path.stem for path in public} <= names()
    assert all(path.stat().st_mode & 0o777 == 0o644 and "PUBLIC" in path.read_text() for path in public)


def test_a_public_key_that_was_lost_comes_back(workflow: str, folders: Path) -> None:
    trigger(workflow)
    for path in (folders / "workflows/grants").iterdir():
        path.unlink()
    run = trigger(workflow)
    assert read_grant(kept_conf(run), dag_id=workflow, run_id=run.run_id)


def test_a_run_id_is_made_where_none_is_given(workflow: str) -> None:
    assert trigger(workflow).run_id != trigger(workflow).run_id


def when_due(run_id: str) -> datetime | None:
    """Return when a run is due, if the scheduler takes it for due already."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        due = select(DagRun.run_after).where(DagRun.run_id == run_id, DagRun.run_after <= func.now())
        return session.scalar(due)


def test_the_scheduler_need_not_wait_for_the_next_second(workflow: str) -> None:
    assert when_due(trigger(workflow).run_id)


def test_a_signed_run_is_due_at_once_and_holds_though_its_signer_is_ahead(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = generate_key_pair("EdDSA")
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_CRYPT_ALGORITHM", "EdDSA")
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    run_id = f"r-{uuid.uuid4()}"
    conf = {"job": {"text": "x"}}
    claims = {"run_id": run_id, "conf": conf, "iat": time.time() + CLOCK_SKEW}
    signed = conf | {"check_payload": sign(claims, pair.private, "EdDSA")}
    run = trigger(workflow, conf=signed, run_id=run_id)
    assert when_due(run_id)
    assert permit(kept_conf(run), dag_id=workflow, run_id=run_id, first=True)


@pytest.mark.parametrize(
    ("job", "inputs"),
    [
        ({}, {"text"}),
        ({"text": 7}, {"text"}),
        ({"txet": "x"}, {"text", "txet"}),
        ({"text": "x", "file": {"class": "File", "location": "/etc/passwd"}}, {"file"}),
        ({"text": "x", "file": {"class": "File", "location": "gone.txt"}}, {"file"}),
        ({"text": ["x"], "file": 1}, {"text", "file"}),
    ],
)
def test_a_job_that_does_not_fit_names_each_input(workflow: str, job: dict[str, Any], inputs: set[str]) -> None:
    with pytest.raises(InvalidJob) as failure:
        trigger(workflow, job)
    assert {problem.input for problem in failure.value.problems} == inputs
    assert runs_of(workflow) == 0


def test_a_job_that_is_no_object_is_refused(workflow: str) -> None:
    with pytest.raises(InvalidJob, match="job"):
        trigger(workflow, conf={"job": "text: x"})


@pytest.mark.parametrize("name", ["output_folder", "outputs_folder", "tmp_folder"])
@pytest.mark.parametrize("path", ["/etc", "../../elsewhere"])
def test_a_run_may_write_below_the_allowed_folders_only(workflow: str, name: str, path: str) -> None:
    with pytest.raises(InvalidJob, match=f"{name} '{path}'"):
        trigger(workflow, {"text": "x", name: path})
    assert runs_of(workflow) == 0


def test_no_two_runs_are_created_for_one_folder(workflow: str) -> None:
    job = {"text": "x", "output_folder": "mine"}
    trigger(workflow, job, run_id="first")
    for other in (job, {"text": "x", "output_folder": "mine/in"}, {"text": "x", "output_folder": "first"}):
        if other["output_folder"] == "first":
            trigger(workflow, run_id="usual")
            other = {**other, "output_folder": "usual"}
        with pytest.raises(Conflict, match="choose another output_folder"):
            trigger(workflow, other)
    assert runs_of(workflow) == 2


def test_a_run_that_is_not_created_leaves_its_folder_to_others(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"text": "x", "output_folder": "mine"}

    def fail(*_arguments: object) -> None:
        raise Conflict("not now")

    with monkeypatch.context() as patched, pytest.raises(Conflict, match="not now"):
        patched.setattr(triggers, "settle", fail)
        triggers._insert(workflow, {"job": job}, "first", "ada", _rest(), None, None, Grant("ada", (), 0.0))
    assert runs_of(workflow) == 0
    trigger(workflow, job, run_id="second")


def _rest() -> Any:
    from airflow.utils.types import DagRunTriggeredByType

    return DagRunTriggeredByType.REST_API


def test_where_claims_can_not_be_written_the_first_task_makes_them(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server may run as another user than the workers."""

    def refuse() -> Path:
        raise ConfigError("belongs to somebody else")

    monkeypatch.setattr(config, "control_folder", refuse)
    assert trigger(workflow).state == "queued"


def test_a_run_may_write_to_a_folder_that_is_allowed(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUT_ROOTS", str(tmp_path / "results"))
    job = {"text": "x", "output_folder": str(tmp_path / "results" / "mine")}
    assert conf_of(trigger(workflow, job)) == {"job": job}


@pytest.mark.parametrize(
    "run_id", [".", "..", "a/../b", "a/b", "a b", "x" * 251, "scheduled__2020-01-01T00:00:00+00:00"]
)
def test_a_bad_run_id_is_refused(workflow: str, run_id: str) -> None:
    with pytest.raises(BadRequest):
        trigger(workflow, run_id=run_id)
    assert runs_of(workflow) == 0


def test_a_run_id_is_used_once(workflow: str, run_id: str) -> None:
    with pytest.raises(Conflict, match="already"):
        trigger(workflow, run_id=run_id)


def test_a_dag_that_is_not_there_is_not_found(folders: Path) -> None:
    with pytest.raises(NotFound):
        trigger("never")
    with pytest.raises(NotFound):
        triggers.check_job("never", {})


def test_only_signed_runs_where_that_is_required(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    with pytest.raises(NotVerified, match="require_signed_conf"):
        trigger(workflow)
    assert runs_of(workflow) == 0


def test_a_dag_that_is_not_cwl_gets_its_conf_unchecked(store: Any) -> None:
    from cwl_ui_plugin.dags.registration import register

    register("clean_dag_run")
    run = trigger("clean_dag_run", conf={"remove_dag_id": "a", "remove_run_id": "b"})
    assert conf_of(run) == {"remove_dag_id": "a", "remove_run_id": "b"}


def test_a_checked_job_has_absolute_locations(workflow: str, folders: Path) -> None:
    (folders / "inputs").mkdir(exist_ok=True)
    (folders / "inputs/a.txt").write_text("a")
    job = triggers.check_job(workflow, {"text": "x", "file": {"class": "File", "location": "a.txt"}})
    assert job["file"]["location"] == (folders / "inputs/a.txt").as_uri()


def test_a_workflow_that_airflow_takes_for_deleted_can_be_run_all_the_same(workflow: str) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags.registration import unregister

    unregister(workflow)
    assert trigger(workflow).dag_id == workflow
    with create_session() as session:
        assert session.get(DagModel, workflow).is_stale is False


def test_a_deleted_workflow_can_not_be_run(workflow: str) -> None:
    from cwl_ui_plugin.services.workflows import details

    details.delete_workflow(workflow)
    with pytest.raises(NotFound):
        trigger(workflow)


def test_on_sqlite_runs_are_created_one_after_the_other(workflow: str) -> None:
    held: list[bool] = []
    trigger(workflow, record=lambda _session, _run: held.append(database._turn.locked()))
    assert held == [True]
    assert not database._turn.locked()


def test_whoever_waits_longest_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_has_one_writer", lambda: True)
    order: list[int] = []

    def write(number: int) -> None:
        with database.taking_turns():
            order.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    with database.taking_turns():
        for number, thread in enumerate(threads):
            thread.start()
            deadline = time.monotonic() + 10
            while len(database._turn._waiting) <= number and time.monotonic() < deadline:
                time.sleep(0.001)
    with database.taking_turns():
        order.append(20)  # came last, though it had its turn just before
    for thread in threads:
        thread.join()
    assert order == list(range(21))
    assert not database._turn.locked()


def test_elsewhere_the_database_sees_to_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_has_one_writer", lambda: False)
    with database.taking_turns():
        assert not database._turn.locked()
