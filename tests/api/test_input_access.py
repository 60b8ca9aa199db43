"""Files of others can't be had by any call: each way to look at inputs, and each way to start a run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from support.stored import add_version

from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
from cwl_ui_plugin.signing.keys import KeyPair
from cwl_ui_plugin.signing.triggers import sign_trigger

ALGORITHM = "EdDSA"

API = "/cwl/api/v1"
Client = Callable[..., Any]


@pytest.fixture
def dag_id(folders: Path) -> str:
    """A workflow with an input for a File or Directory."""
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.library.store import WorkflowStore

    name = f"take-{uuid.uuid4().hex[:8]}"
    inputs = (Parameter(id="given", type=["File", "Directory"]),)
    step = Step("take", "#take", "take", "step-0", "CommandLineTool", "take.cwl", outputs=("#taken",))
    plan = Plan("CommandLineTool", "v1.2", "take.cwl", "Take", None, inputs, (), (step,))
    add_version(WorkflowStore(folders / "workflows"), name, plan, "class: CommandLineTool")
    register(name)
    return name


@pytest.fixture
def sent(client: Client, folders: Path) -> Path:
    """A file that the user with the role ``user`` has uploaded."""
    answer = client("user").post(f"{API}/inputs", params={"name": "a.txt"}, content=b"x")
    return Path(unquote(urlsplit(answer.json()["location"]).path))


@pytest.fixture
def signed(site: Any, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_CRYPT_ALGORITHM", "EdDSA")
    yield


def given(path: Path | str, kind: str = "File") -> dict[str, Any]:
    return {"given": {"class": kind, "location": str(path)}}


def by_rest(client: Any, dag_id: str, job: dict[str, Any]) -> Any:
    return client.post(f"{API}/workflows/{dag_id}/runs", json={"job": job})


def by_old_endpoint(client: Any, dag_id: str, job: dict[str, Any]) -> Any:
    body = {"run_id": f"r-{uuid.uuid4()}", "conf": json.dumps({"job": job})}
    return client.post(f"/api/experimental/dags/{dag_id}/dag_runs", json=body)


@pytest.mark.parametrize("start", [by_rest, by_old_endpoint])
def test_an_upload_of_somebody_else_starts_no_run(client: Client, dag_id: str, sent: Path, start: Any) -> None:
    refused = [
        given(sent),
        given(sent.as_uri()),
        given(f"uploads/{sent.parent.name}/a.txt"),
        given(sent.parent, "Directory"),
        given("uploads", "Directory"),
        given(sent.parents[2], "Directory"),
        {"given": {"class": "File", "location": "", "contents": "x", "secondaryFiles": [given(sent)["given"]]}},
    ]
    for job in refused:
        answer = start(client("op"), dag_id, job)
        assert answer.status_code == 422, job
        assert "given" in answer.text
    assert client("admin").get(f"{API}/runs", params={"dag_id": dag_id}).json()["total"] == 0
    assert start(client("user"), dag_id, given(sent)).status_code in (200, 201)
    assert start(client("user"), dag_id, given(sent.parent, "Directory")).status_code in (200, 201)


def test_looking_at_inputs_shows_nothing_of_somebody_else(client: Client, sent: Path) -> None:
    paths = [str(sent), str(sent.parent), str(sent.parents[1])]
    for role, seen in (("user", [True, True, False]), ("op", [False] * 3), ("admin", [False] * 3)):
        answer = client(role).post(f"{API}/inputs/visible", json={"paths": paths}).json()["visible"]
        assert [answer[path] for path in paths] == seen, role
        found = client(role).get(f"{API}/inputs/browse", params={"path": str(sent.parent)})
        assert found.status_code == (200 if role == "user" else 404), role


def test_the_folder_of_somebody_else_takes_nothing(client: Client, sent: Path) -> None:
    where = {"name": "b.txt", "folder": sent.parent.name}
    op = client("op")
    assert op.post(f"{API}/inputs", params=where, content=b"x").status_code == 409
    assert op.post(f"{API}/inputs/parts", params={**where, "size": 1}).status_code == 409
    assert [path.name for path in sent.parent.iterdir()] == ["a.txt"]


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize("start", ["/api/experimental/dags/{}/dag_runs", API + "/workflows/{}/runs"])
def test_a_signature_alone_takes_no_uploads_and_outputs_of_its_own_dag_only(
    client: Client, dag_id: str, folders: Path, sent: Path, pair: KeyPair, start: str
) -> None:
    def status(path: Path, sender: Any) -> int:
        run_id, conf = f"r-{uuid.uuid4()}", {"job": given(path)}
        body = {"run_id": run_id, "conf": conf, "check_payload": sign_trigger(run_id, conf, pair.private, "EdDSA")}
        return int(sender.post(start.format(dag_id), json=body).status_code)

    own, other, shared = (
        folders / place for place in (f"outputs/{dag_id}/r/a.txt", "outputs/other/r/a.txt", "inputs/a.txt")
    )
    for path in (own, other, shared):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert [status(path, client()) // 100 for path in (shared, own, other, sent)] == [2, 2, 4, 4]
    assert status(sent, client("user")) // 100 == 2


@pytest.mark.usefixtures("signed")
def test_a_signed_trigger_uses_what_the_user_has_that_it_acts_as(
    client: Client, dag_id: str, sent: Path, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.services.inputs import owners

    def status() -> int:
        run_id, conf = f"r-{uuid.uuid4()}", {"job": given(sent)}
        body = {"run_id": run_id, "conf": conf, "check_payload": sign_trigger(run_id, conf, pair.private, "EdDSA")}
        return int(client().post(f"/api/experimental/dags/{dag_id}/dag_runs", json=body).status_code)

    monkeypatch.setenv("AIRFLOW__CWL__JWT_BACKEND_USER", "user")
    assert status() == 422
    monkeypatch.setattr(owners, "owner_of", lambda _folder: "user")
    assert status() == 200
