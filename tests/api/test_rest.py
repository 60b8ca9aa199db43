"""The REST API answers as docs/architecture.md says, and each bad call with a reason."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.stored import set_run

from cwl_ui_plugin.services.errors import Unavailable
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.workflows.details import workflow_graph

API = "/cwl/api/v1"
TOOL = """cwlVersion: v1.2
class: CommandLineTool
label: Say it
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {said: {type: stdout}}
stdout: said.txt
"""


@pytest.fixture
def admin(client: Callable[..., Any]) -> Any:
    return client("admin")


def send(client: Any, text: str = TOOL, name: str = "say.cwl", wait: bool = True, **fields: str) -> Any:
    files = {"files": (name, text.encode())}
    return client.post(f"{API}/workflows", params={"wait": str(wait).lower()}, files=files, data=fields)


def fresh_id() -> str:
    return f"say-{uuid.uuid4().hex[:8]}"


def test_upload_run_and_look(admin: Any) -> None:
    dag_id = fresh_id()
    answer = send(admin, dag_id=dag_id)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["dag_id"], made["label"], made["kind"]) == (dag_id, "Say it", "CommandLineTool")
    assert [item["id"] for item in made["inputs"]] == ["text"]
    assert made["uploaded_by"] == "the-admin"

    secondary = admin.post(f"{API}/workflows/{dag_id}/secondary-files", json={"job": {"text": "hi"}})
    assert (secondary.status_code, secondary.json()) == (200, {"locations": []})
    started = admin.post(f"{API}/workflows/{dag_id}/runs", json={"run_id": "r1", "job": {"text": "hi"}})
    assert started.status_code == 201
    assert started.json()["run_id"] == "r1"
    run = admin.get(f"{API}/workflows/{dag_id}/runs/r1").json()
    assert (run["state"], run["job"], run["user"]) == ("queued", {"text": "hi"}, "the-admin")
    assert [run["run_id"] for run in admin.get(f"{API}/runs", params={"dag_id": dag_id}).json()["runs"]] == ["r1"]
    assert admin.get(f"{API}/workflows", params={"search": dag_id}).json()["total"] == 1
    source = admin.get(f"{API}/workflows/{dag_id}/source")
    assert source.text == TOOL
    assert source.headers["content-type"].startswith("text/plain")
    refused = admin.delete(f"{API}/workflows/{dag_id}")
    assert (refused.status_code, "have not ended: r1" in refused.json()["detail"]) == (409, True)
    set_run(dag_id, "r1", "success")
    assert admin.delete(f"{API}/workflows/{dag_id}").status_code == 204
    assert admin.get(f"{API}/workflows/{dag_id}").status_code == 404


def test_secondary_files_are_told_for_files_that_are_elsewhere(admin: Any) -> None:
    dag_id = fresh_id()
    inputs = "inputs: {text: {type: File, secondaryFiles: ['$(self.nameroot).idx', .i]}}"
    tool = TOOL.replace("inputs: {text: {type: string, inputBinding: {}}}", inputs)
    assert send(admin, tool, dag_id=dag_id).status_code == 201
    url = f"{API}/workflows/{dag_id}/secondary-files"
    job = {"text": {"class": "File", "location": "file:///nowhere/a.txt"}}
    told = admin.post(url, json={"job": job}).json()
    assert told == {"locations": ["file:///nowhere/a.idx", "file:///nowhere/a.txt.i"]}
    assert admin.post(url, json={"job": {}}).status_code == 422
    assert admin.post(url, json={"job": [1]}).status_code == 400
    assert admin.post(f"{API}/workflows/never-{dag_id}/secondary-files", json={"job": {}}).status_code == 404


def test_what_lacks_its_compiled_documents_says_so(admin: Any) -> None:
    dag_id = fresh_id()
    assert send(admin, dag_id=dag_id).status_code == 201
    compiled = open_store().current(dag_id).compiled
    for document in (compiled / "step_documents").iterdir():
        document.unlink()
    (compiled / "packed.cwl").write_text("{")

    secondary = admin.post(f"{API}/workflows/{dag_id}/secondary-files", json={"job": {"text": "hi"}})

    assert secondary.status_code == 503
    assert "can't be read: files are missing" in secondary.json()["detail"]
    with pytest.raises(Unavailable, match="can't be read"):
        workflow_graph(dag_id)


def test_an_upload_can_be_followed(admin: Any) -> None:
    answer = send(admin, wait=False, dag_id=fresh_id())
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{API}/uploads/{answer.json()['id']}"
    deadline = time.monotonic() + 60
    while (state := admin.get(answer.headers["location"]).json())["state"] not in ("done", "failed"):
        assert time.monotonic() < deadline
    assert state["state"] == "done"
    assert state["digest"]


def test_a_broken_document_is_explained(admin: Any) -> None:
    answer = send(admin, TOOL.replace("baseCommand", "baseComand"), dag_id=fresh_id())
    assert answer.status_code == 422
    assert any(problem.get("file") == "say.cwl" and problem.get("line") for problem in answer.json()["problems"])


@pytest.mark.parametrize(
    ("text", "name", "fields", "status"),
    [
        ("", "say.cwl", {"dag_id": "a/b"}, 400),
        ("x", "say.cwl", {"main": "gone.cwl"}, 400),
        ("x", "../say.cwl", {}, 400),
        ("x", "say.cwl", {"dag_id": "clean_dag_run"}, 409),
        ("x", "say.cwl", {"replace": "perhaps"}, 422),
    ],
)
def test_a_bad_upload_is_refused(admin: Any, text: str, name: str, fields: dict[str, str], status: int) -> None:
    answer = send(admin, text, name, **fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


def test_an_upload_without_files_is_refused(admin: Any) -> None:
    assert admin.post(f"{API}/workflows", data={"dag_id": "x"}).status_code == 422


def test_a_zip_with_links_is_refused(admin: Any) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("main.cwl")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    answer = admin.post(f"{API}/workflows", files={"files": ("x.zip", packed.getvalue())})
    assert answer.status_code == 400
    assert "link" in answer.json()["detail"]


def test_a_workflow_is_replaced_only_when_asked(admin: Any, workflow: str) -> None:
    assert send(admin, dag_id=workflow, text=TOOL + "#2").status_code == 409
    assert send(admin, dag_id=workflow, text=TOOL + "#2", replace="true").status_code == 201
    detail = admin.get(f"{API}/workflows/{workflow}").json()
    assert [version["is_current"] for version in detail["versions"]] == [True, False]
    first = detail["versions"][1]["digest"]
    assert admin.get(f"{API}/workflows/{workflow}", params={"version": first}).json()["digest"] == first
    assert admin.get(f"{API}/workflows/{workflow}", params={"version": "0" * 32}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"job": {}}, 422),
        ({"job": {"text": 1}}, 422),
        ({"job": {"text": {"class": "File", "location": "file://[x"}}}, 422),
        ({"job": "x"}, 422),
        ({"job": {"text": "x"}, "conf": {}}, 400),
        ({"conf": "not json"}, 400),
        ({"conf": [1]}, 400),
        ({"conf": {"job": {"text": "x"}}}, 201),
        ({"conf": '{"job": {"text": "x"}}'}, 201),
        ({"run_id": 7, "job": {"text": "x"}}, 400),
        ({"run_id": "a b", "job": {"text": "x"}}, 400),
        ({"unknown": 1}, 400),
    ],
)
def test_a_trigger_is_checked(admin: Any, workflow: str, body: dict[str, Any], status: int) -> None:
    answer = admin.post(f"{API}/workflows/{workflow}/runs", json=body)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"\xff",
        b'{"job": {"text": NaN}}',
        b'{"job": {"text": 1e999}}',
        b'{"job": {"text": "x", "text": "y"}}',
        b'{"job": {"text": "\\ud800"}}',
        b'{"job": {"text": "\\u0000"}}',
        b'{"job": ' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"job": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_json_that_can_not_be_kept_is_refused(admin: Any, workflow: str, body: bytes) -> None:
    answer = admin.post(f"{API}/workflows/{workflow}/runs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert admin.get(f"{API}/runs", params={"dag_id": workflow}).json()["total"] == 0


def test_each_wrong_input_is_named(admin: Any, workflow: str) -> None:
    answer = admin.post(f"{API}/workflows/{workflow}/runs", json={"job": {"txet": "x"}})
    assert {problem["input"] for problem in answer.json()["problems"]} == {"text", "txet"}


@pytest.mark.parametrize(
    ("folder", "status"), [("mine", 409), ("mine/in", 409), ("first", 409), ("../x", 422), ("/etc/x", 422), (7, 422)]
)
def test_a_folder_that_a_run_may_not_have_is_named(admin: Any, workflow: str, folder: Any, status: int) -> None:
    runs = f"{API}/workflows/{workflow}/runs"
    for run_id, more in (("first", {}), ("second", {"output_folder": "mine"})):
        assert admin.post(runs, json={"run_id": run_id, "job": {"text": "x", **more}}).status_code == 201
    answer = admin.post(runs, json={"job": {"text": "x", "output_folder": folder}})
    assert answer.status_code == status, answer.text
    assert "folder" in answer.json()["detail"]
    assert str(folder) in answer.json()["detail"] or folder == 7
    assert admin.get(f"{API}/runs", params={"dag_id": workflow}).json()["total"] == 2


def test_a_run_id_is_used_once(admin: Any, workflow: str, run_id: str) -> None:
    body = {"run_id": run_id, "job": {"text": "x"}}
    assert admin.post(f"{API}/workflows/{workflow}/runs", json=body).status_code == 409


def test_a_signature_that_is_sent_must_hold(admin: Any, client: Callable[..., Any], workflow: str) -> None:
    from airflow.models.variable import Variable

    from cwl_ui_plugin.signing.keys import fingerprint, generate_key_pair

    pair = generate_key_pair("ES256")
    Variable.set("jwt_backend_public_key", pair.public)
    Variable.set("jwt_backend_crypt_algorithm", "ES256")
    try:
        conf = {"job": {"text": "x"}}
        token = jwt.encode({"run_id": "signed", "conf": conf}, pair.private, algorithm="ES256")
        body = {"run_id": "signed", "conf": conf, "check_payload": token}
        forged = admin.post(f"{API}/workflows/{workflow}/runs", json={**body, "run_id": "other"})
        assert forged.status_code == 403
        assert "Failed to verify data" in forged.json()["detail"]
        assert admin.post(f"{API}/workflows/{workflow}/runs", json=body).status_code == 201
        run = admin.get(f"{API}/workflows/{workflow}/runs/signed").json()
        assert (run["has_signature"], run["user"]) == (True, "the-admin")
        assert run["signature"].pop("verified_at")
        assert run["signature"] == {"algorithm": "ES256", "fingerprint": fingerprint(pair.public)}

        url = f"{API}/workflows/{workflow}/runs"
        assert client().post(url, json={"run_id": "unsigned", "conf": conf}).status_code == 401
        for field in ("check_payload", "token"):
            claims = {"run_id": f"signed-by-{field}", "conf": json.dumps(conf)}
            signed = {**claims, field: jwt.encode(claims, pair.private, algorithm="ES256")}
            assert client().post(url, json={**signed, "conf": {"job": {"text": "y"}}}).status_code == 403
            assert client().post(url, json=signed).status_code == 201  # needs no login
            assert client().post(url, json=signed).status_code == 409
        assert admin.post(url, json={"run_id": "unsigned", "conf": conf}).status_code == 201
    finally:
        Variable.delete("jwt_backend_public_key")
        Variable.delete("jwt_backend_crypt_algorithm")


def test_numbers_that_no_database_takes_are_refused(admin: Any) -> None:
    for path in ("/runs", "/workflows"):
        for offset in (2**31, 10**30, -1):
            assert admin.get(f"{API}{path}", params={"offset": offset}).status_code == 422


def test_null_characters_name_nothing(admin: Any, client: Callable[..., Any]) -> None:
    assert admin.get(f"{API}/workflows/a%00b").status_code == 404
    assert admin.get(f"{API}/runs", params={"dag_id": "a\0b"}).status_code == 400
    assert client("user").post("/api/experimental/dags/a%00b/dag_runs", json={}).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/workflows/never", "/workflows/never/runs/x", "/workflows/never/source", "/uploads/x", "/nothing"],
)
def test_what_is_not_there_is_not_found(admin: Any, path: str) -> None:
    answer = admin.get(API + path)
    assert answer.status_code == 404
    assert set(answer.json()) >= {"detail", "problems"}


def test_triggering_a_dag_that_is_not_there(admin: Any) -> None:
    assert admin.post(f"{API}/workflows/never/runs", json={"job": {}}).status_code == 404


def test_outputs_come_when_they_are_there(admin: Any, workflow: str, run_id: str) -> None:
    assert admin.get(f"{API}/workflows/{workflow}/runs/{run_id}/outputs").status_code == 404


def test_an_output_file_is_an_attachment_that_no_browser_runs(
    admin: Any, workflow: str, run_id: str, output: Path
) -> None:
    base = f"{API}/workflows/{workflow}/runs/{run_id}"
    assert admin.get(f"{base}/outputs").json()["said"]["basename"] == "page ä.html"
    listed = admin.get(f"{base}/files")
    assert [file["path"] for file in listed.json()] == ["page ä.html"]
    assert listed.headers["x-total-count"] == "1"
    beyond = admin.get(f"{base}/files", params={"offset": 1})
    assert (beyond.json(), beyond.headers["x-total-count"]) == ([], "1")
    assert admin.get(f"{base}/files", params={"limit": 0}).status_code in (400, 422)
    answer = admin.get(f"{base}/files/page%20%C3%A4.html")
    assert answer.content == output.read_bytes()
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    part = admin.get(f"{base}/files/page%20%C3%A4.html", headers={"Range": "bytes=1-6"})
    assert (part.status_code, part.content) == (206, b"script")
    head = admin.head(f"{base}/files/page%20%C3%A4.html")
    assert (head.status_code, head.headers["content-length"]) == (200, str(output.stat().st_size))


@pytest.mark.parametrize(
    "path", ["../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "", "x%00"]
)
def test_no_other_file_is_served(admin: Any, workflow: str, run_id: str, output: Path, path: str) -> None:
    assert admin.get(f"{API}/workflows/{workflow}/runs/{run_id}/files/{path}").status_code == 404


def test_stop_answers_what_it_stopped(admin: Any, workflow: str, run_id: str) -> None:
    url = f"{API}/workflows/{workflow}/runs/{run_id}/stop"
    answer = admin.post(url)
    assert answer.status_code == 200
    assert set(answer.json()["stopped"]) == {"CWLJobDispatcher", "say", "CWLJobGatherer"}
    assert admin.post(url, json={}).json()["stopped"] == []
    assert admin.post(f"{API}/workflows/{workflow}/runs/never/stop", json={}).status_code == 200
    assert admin.post(url, json={"remove": "perhaps"}).status_code == 422
    assert admin.post(url, json={"remove": True}).json()["removed"] is True
    assert admin.get(f"{API}/workflows/{workflow}/runs/{run_id}").status_code == 404


def test_what_a_stop_could_not_end_is_named(
    admin: Any, workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry

    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "1")
    task = TaskTry(workflow, run_id, "say", -1, 1)
    task.lease_file.parent.mkdir(parents=True)
    lease = {"host": "worker-7", "pid": 42, "mark": task.tag, **asdict(task)}
    task.lease_file.write_text(json.dumps(lease))
    answer = admin.post(f"{API}/workflows/{workflow}/runs/{run_id}/stop")
    assert answer.status_code == 504
    assert "worker-7" in answer.json()["problems"][0]["message"]


def test_an_input_is_sent_and_can_be_named_in_a_job(admin: Any, folders: Path) -> None:
    folder = str(uuid.uuid4())
    data = b"ACGT" * 1_000_000
    answer = admin.post(f"{API}/inputs", params={"name": "sub/reads.fq", "folder": folder}, content=data)
    assert answer.status_code == 201, answer.text
    sent = answer.json()
    assert (sent["class"], sent["basename"], sent["size"]) == ("File", "reads.fq", len(data))
    path = Path(sent["location"].removeprefix("file://"))
    assert path.read_bytes() == data
    assert path.is_relative_to(folders / "inputs")
    asked = {"paths": [str(path), "/etc/passwd"]}
    assert admin.post(f"{API}/inputs/visible", json=asked).json() == {
        "visible": {str(path): True, "/etc/passwd": False}
    }
    again = admin.post(f"{API}/inputs", params={"name": "sub/reads.fq", "folder": folder}, content=b"x")
    assert again.status_code == 409
    assert admin.post(f"{API}/inputs", params={"name": "../x"}, content=b"x").status_code == 400
    assert admin.post(f"{API}/inputs", content=b"x").status_code == 422
    assert admin.post(f"{API}/inputs/visible", json={"paths": 7}).status_code == 422


def test_what_is_too_large_is_refused(admin: Any, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "1000")
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UPLOAD_SIZE", "1000")
    chunks = (b"x" * 100 for _ in range(100))
    for content in (b"x" * 1001, chunks):
        answer = admin.post(f"{API}/inputs", params={"name": "x"}, content=content)
        assert answer.status_code == 413, answer.text
    found = [path.name for path in (folders / "inputs").rglob("*") if path.is_file()]
    assert found in ([], [".lock"]), "what removes old uploads holds a lock"
    assert send(admin, "x" * 1001).status_code == 413
    assert send(admin, "x" * 3_000_000).status_code == 413


def test_keys_are_made_and_not_kept(admin: Any) -> None:
    made = admin.post(f"{API}/keys", json={"algorithm": "ES256"}).json()
    assert "PRIVATE KEY" in made["private"]
    assert made["fingerprint"].startswith("SHA256:")
    assert admin.post(f"{API}/keys", json={"algorithm": "none"}).status_code == 400
    assert admin.post(f"{API}/keys", json={"algorithm": ""}).status_code in (400, 422)
    assert "RS256" in admin.post(f"{API}/keys").json()["algorithm"]


def test_reports_say_how_they_are_delivered(admin: Any) -> None:
    state = admin.get(f"{API}/reports").json()
    assert (state["target"], state["waiting"]) == (None, 0)
    test = admin.post(f"{API}/reports/test").json()
    assert test["ok"] is False
    assert "process_report" in test["message"]
    assert admin.post(f"{API}/reports/retry").status_code == 200


def test_an_error_of_ours_is_no_traceback(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.services.workflows import listing

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(listing, "list_workflows", fail)
    answer = admin.get(f"{API}/workflows")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["problems"] == []


def test_a_database_error_is_answered(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import IntegrityError

    from cwl_ui_plugin.services.workflows import listing

    def fail(*_arguments: object, **_options: object) -> None:
        raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed: x"))

    monkeypatch.setattr(listing, "list_workflows", fail)
    answer = admin.get(f"{API}/workflows")
    assert answer.status_code == 409
    assert isinstance(answer.json()["detail"], str)


def test_the_api_describes_itself(admin: Any) -> None:
    document = admin.get(f"{API}/openapi.json").json()
    assert "/api/v1/workflows/{dag_id}/runs" in document["paths"]
    assert admin.get(f"{API}/docs").status_code in (200, 404)


def test_the_api_has_a_page_that_needs_no_other_host(client: Any) -> None:
    page = client().get("/cwl/api/v1/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    for name in ("docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "openapi.json"):
        assert name in page.text
        assert client().get(f"/cwl/api/v1/{name}").status_code == 200
