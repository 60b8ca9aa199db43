"""Who may upload is no reader of everybody's workflows, and changes those only that the auth manager lets it edit."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from support.stored import set_run

API = "/cwl/api/v1"
TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: echo\ninputs: []\noutputs: []\n"
METHODS = {"GET", "PUT", "DELETE", "POST"}


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give everybody only these rights on a Dag, and all on others: ``allow(dag_id, "GET", ...)``."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def set_rights(dag_id: str, *methods: str) -> None:
        def is_authorized(_self: Any, *, method: str, details: Any = None, **_options: Any) -> bool:
            return details is None or details.id != dag_id or method in methods

        monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", is_authorized)

    return set_rights


@pytest.fixture(autouse=True)
def _without_cwltool(monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.cwl.plan import Plan
    from cwl_ui_plugin.services.workflows import uploads

    def compile_quickly(_source: Any, main: str, out: Any, **_options: object) -> None:
        out.mkdir()
        (out / "plan.json").write_text(Plan("CommandLineTool", "v1.2", main, None, None, (), (), ()).to_json())

    monkeypatch.setattr(uploads, "compile_in_process", compile_quickly)


def send(client: Any, dag_id: str, text: str = TOOL, **fields: str) -> Any:
    files = {"files": ("say.cwl", text)}
    return client.post(f"{API}/workflows", files=files, data={"dag_id": dag_id, **fields})


@pytest.mark.parametrize("fields", [{}, {"replace": "true"}])
@pytest.mark.parametrize("kind", ["workflow", "same", "deleted", "other"])
def test_of_a_dag_that_one_may_not_read_nothing_is_told_but_that_its_name_is_taken(
    client: Callable[..., Any],
    workflow: str,
    run_id: str,
    allow: Callable[..., None],
    kind: str,
    fields: dict[str, str],
    folders: Any,
) -> None:
    from cwl_ui_plugin.library.store import WorkflowStore

    store, op = WorkflowStore(folders / "workflows"), client("op")
    before = store.current(workflow).digest
    text = store.current(workflow).source.joinpath("say.cwl").read_text() if kind == "same" else TOOL
    dag_id = workflow
    if kind == "deleted":
        set_run(workflow, run_id, "success")
        assert op.delete(f"{API}/workflows/{workflow}").status_code == 204
    if kind == "other":
        dag_id = other_dag()
    allow(dag_id)
    answer = send(op, dag_id, text, **fields)
    assert answer.status_code == 409
    assert answer.json() == {"detail": f"The dag_id '{dag_id}' is taken. Choose another dag_id.", "problems": []}
    assert run_id not in answer.text
    if kind != "deleted":
        assert store.current(workflow).digest == before
    assert len(store.versions(workflow)) == 1


def other_dag() -> str:
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    dag_id = f"other-{uuid.uuid4().hex[:8]}"
    with create_session() as session:
        if session.get(DagBundleModel, "dags-folder") is None:
            session.add(DagBundleModel(name="dags-folder"))
            session.flush()
        session.add(DagModel(dag_id=dag_id, bundle_name="dags-folder", is_stale=False, is_paused=False, fileloc="x.py"))
    return dag_id


@pytest.mark.parametrize("is_deleted", [False, True])
def test_to_replace_a_workflow_takes_the_right_to_edit_its_dag(
    client: Callable[..., Any], workflow: str, allow: Callable[..., None], is_deleted: bool
) -> None:
    op = client("op")
    if is_deleted:
        op.delete(f"{API}/workflows/{workflow}")
    allow(workflow, "GET", "DELETE")
    refused = send(op, workflow, replace="true")
    assert refused.status_code == 403
    assert "right to edit that Dag" in refused.json()["detail"]
    allow(workflow, "GET", "PUT")
    assert send(op, workflow, replace="true").status_code == 201


def test_to_delete_a_workflow_takes_the_right_to_delete_its_dag(
    client: Callable[..., Any], workflow: str, allow: Callable[..., None]
) -> None:
    op = client("op")
    for rights, status in (({"GET", "PUT", "POST"}, 403), ({"DELETE"}, 403), ({"GET", "DELETE"}, 204)):
        allow(workflow, *rights)
        assert op.delete(f"{API}/workflows/{workflow}").status_code == status


def test_the_answer_to_an_upload_has_nothing_of_others_where_one_may_not_read(
    client: Callable[..., Any], allow: Callable[..., None], folders: Any
) -> None:
    dag_id, op = f"new-{uuid.uuid4().hex[:8]}", client("op")
    allow(dag_id, "PUT")
    answer = send(op, dag_id)
    assert answer.status_code == 201
    assert (answer.json()["recent_runs"], len(answer.json()["versions"])) == ([], 1)
    assert op.get(f"{API}/workflows/{dag_id}").status_code == 403


def test_uploads_of_others_are_seen_by_those_who_may_read_the_dag(
    client: Callable[..., Any], workflow: str, allow: Callable[..., None]
) -> None:
    files = {"files": ("say.cwl", TOOL)}
    body = {"dag_id": workflow, "replace": "true"}
    sent = client("op").post(f"{API}/workflows?wait=false", files=files, data=body).json()
    address = f"{API}/uploads/{sent['id']}"
    assert client("admin").get(address).status_code == 200
    allow(workflow)
    assert client("admin").get(address).status_code == 404
    assert client("op").get(address).status_code == 200  # one's own
