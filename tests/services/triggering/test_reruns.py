"""Running again: the same version and job as a new run, and what keeps a run from being run again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stored import set_run

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, NotFound
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import reruns, triggers
from cwl_ui_plugin.services.workflows import details
from cwl_ui_plugin.signing.keys import generate_key_pair
from cwl_ui_plugin.signing.triggers import sign_trigger


def start(dag_id: str, job: dict[str, Any], user: str = "ada", **conf: Any) -> str:
    run_id = f"run-{uuid.uuid4()}"
    conf = {"job": job, **{name: value(run_id) for name, value in conf.items()}}
    triggers.trigger(dag_id, conf=conf, run_id=run_id, user=user, via=triggers.EXPERIMENTAL)
    return run_id


def again(dag_id: str, run_id: str, user: str = "bob") -> str:
    return reruns.run_again(dag_id, run_id, user=user, via=triggers.VIEW).run_id


@pytest.fixture
def variables(airflow_home: Path) -> Iterator[Callable[..., None]]:
    from airflow.models.variable import Variable

    names: list[str] = []

    def set_all(**values: str) -> None:
        for name, value in values.items():
            names.append(name)
            Variable.set(name, value)

    yield set_all
    for name in names:
        Variable.delete(name)


def test_the_new_run_has_the_version_and_the_job_of_the_old_one(add: Callable[..., StoredVersion]) -> None:
    dag_id = f"w-{uuid.uuid4().hex[:8]}"
    first = add(dag_id, "one")
    old = start(dag_id, {"text": "x", "file": None})
    add(dag_id, "two")
    new = again(dag_id, old)
    assert new != old
    run = queries.get_run(dag_id, new)
    assert (run.version, run.job) == (first.digest, {"text": "x", "file": None})
    assert (run.summary.user, run.summary.state) == ("bob", "queued")


def test_outputs_get_a_folder_of_their_own(workflow: str, folders: Path) -> None:
    old = start(workflow, {"text": "x", "output_folder": "portal/1"})
    assert queries.get_run(workflow, again(workflow, old)).job == {"text": "x"}


def test_inputs_that_are_gone_are_named(workflow: str, folders: Path) -> None:
    file = folders / "inputs/reads.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    old = start(workflow, {"text": "x", "file": {"class": "File", "location": "reads.txt"}})
    file.unlink()
    with pytest.raises(InvalidJob, match="Edit and run again") as caught:
        again(workflow, old)
    assert "file" in str(caught.value.problems[0])


def test_a_deleted_workflow_or_version_is_named(add: Callable[..., StoredVersion], store: WorkflowStore) -> None:
    import shutil

    dag_id = f"w-{uuid.uuid4().hex[:8]}"
    first = add(dag_id, "one")
    old = start(dag_id, {"text": "x"})
    add(dag_id, "two")
    shutil.rmtree(first.folder)
    with pytest.raises(Conflict, match=r"is gone.*current version"):
        again(dag_id, old)
    set_run(dag_id, old, "success")
    details.delete_workflow(dag_id)
    with pytest.raises(NotFound, match="was deleted"):
        again(dag_id, old)
    with pytest.raises(NotFound, match="has no run"):
        again(dag_id, "never")


def test_secrets_are_for_whoever_gave_them(add: Callable[..., StoredVersion]) -> None:
    dag_id = f"w-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=(Parameter(id="password", type="string", is_secret=True),))
    old = start(dag_id, {"password": "hush"})
    with pytest.raises(Conflict, match="password of this run are secrets of ada"):
        again(dag_id, old)
    source = queries.run_source(dag_id, again(dag_id, old, user="ada"))
    assert source.job == {"password": "hush"}


def test_a_signed_run_is_signed_anew_with_the_servers_key(
    workflow: str, variables: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, server = generate_key_pair("ES256"), generate_key_pair("ES256")
    variables(jwt_backend_public_key=portal.public + server.public, jwt_backend_crypt_algorithm="ES256")
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    job = {"text": "x"}
    old = start(workflow, job, check_payload=lambda run_id: sign_trigger(run_id, {"job": job}, portal.private, "ES256"))
    with pytest.raises(Conflict, match="Only signed runs"):
        again(workflow, old)
    variables(process_sign_private_key=server.private)
    run = queries.get_run(workflow, again(workflow, old))
    assert run.signature is not None
    assert run.signature != queries.get_run(workflow, old).signature


def test_another_dag_is_left_to_airflow(other_dag: str, folders: Path) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    with create_session() as session:
        session.add(DagRun(dag_id=other_dag, run_id="r", run_type=DagRunType.MANUAL))
    with pytest.raises(Conflict, match="not a CWL workflow"):
        again(other_dag, "r")
