"""CWL-Airflow 1.2's API, called as its clients did: all in the query, as a form, or as JSON; and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.stored import set_run
from support.tokens import encode

from cwl_ui_plugin.signing.keys import KeyPair

ALGORITHM = "RS256"
OLD = "/api/experimental"
TOOL = (
    "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: echo\n"
    "inputs: {text: {type: string, inputBinding: {}}}\noutputs: []\n"
)
CONF = json.dumps({"job": {"text": "x"}})
UPLOADS = "AIRFLOW__CWL__UPLOADS_WITHOUT_LOGIN"
SIGNER = "AIRFLOW__CWL__JWT_BACKEND_USER"
UNSIGNED = "AIRFLOW__CWL__UNSIGNED_TRIGGER_USER"


def compressed(text: str = TOOL, compress: Callable[[bytes], bytes] = gzip.compress) -> str:
    return base64.b64encode(compress(text.encode())).decode()


def new_id(kind: str = "tool") -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(autouse=True)
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
    from cwl_ui_plugin.services.workflows import uploads

    def compile_quickly(_source: Any, main: str, out: Any, **_options: object) -> None:
        out.mkdir()
        step = Step("say", "#say", "say", "step-0", "CommandLineTool", main)
        plan = Plan("CommandLineTool", "v1.2", main, None, None, (Parameter(id="text", type="string"),), (), (step,))
        (out / "plan.json").write_text(plan.to_json())
        (out / "packed.json").write_text(json.dumps({"class": "CommandLineTool"}))

    monkeypatch.setattr(uploads, "compile_in_process", compile_quickly)


@pytest.fixture
def key(site: Any, pair: KeyPair) -> Iterator[KeyPair]:
    """The server has a public key: calls must be signed."""
    from airflow.models.variable import Variable

    Variable.set("jwt_backend_public_key", pair.public)
    yield pair
    Variable.delete("jwt_backend_public_key")


def signed(pair: KeyPair, lifetime: float | None = 60, document: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return fields with their signature; that of a document is of its digest."""
    claims = dict(fields)
    if document is not None:
        claims["workflow_sha256"] = hashlib.sha256(document.encode()).hexdigest()
    if lifetime is not None:
        claims["exp"] = int(time.time() + lifetime)
    return {**fields, "check_payload": encode(claims, pair.private, algorithm=ALGORITHM)}


def exists(client: Callable[..., Any], dag_id: str) -> bool:
    return bool(client("admin").get(f"/cwl/api/v1/workflows/{dag_id}").status_code == 200)


def runs(client: Callable[..., Any], dag_id: str) -> list[dict[str, Any]]:
    answer = client("admin").get(f"{OLD}/dag_runs", params={"dag_id": dag_id})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["dag_runs"])


def test_a_file_or_its_compressed_text_becomes_a_dag(client: Callable[..., Any]) -> None:
    """``curl -F workflow=@x.cwl``, and what SciDAP sends: a form, or JSON, with gzip or (before) zlib in it."""
    file = {"workflow": ("bowtie2-indices.cwl", TOOL)}
    ways = (
        {"files": file},
        {"data": {"workflow_content": compressed()}},
        {"json": {"workflow_content": compressed()}},
        {"json": {"workflow_content": compressed(compress=zlib.compress)}},
    )
    for way in ways:
        dag_id = new_id()
        answer = client("admin").post(f"{OLD}/dags", params={"dag_id": dag_id}, **way)
        assert answer.status_code == 200, answer.text
        assert answer.json()["dag_id"] == dag_id
        assert client("admin").get(answer.json()["cwl_path"]).text == TOOL
        shown = client("viewer").get(f"{OLD}/dags/{dag_id}").json()
        assert shown == {"dag_id": dag_id, "tasks": ["CWLJobDispatcher", "say", "CWLJobGatherer"]}
    unnamed = client("admin").post(f"{OLD}/dags", files=file).json()
    assert exists(client, unnamed["dag_id"])
    taken = client("admin").post(f"{OLD}/dags", params={"dag_id": dag_id}, files={"workflow": ("b.cwl", TOOL + "# b")})
    assert taken.status_code == 409


def test_dags_are_listed_with_their_tasks(client: Callable[..., Any], workflow: str) -> None:
    assert client().get(f"{OLD}/dags").status_code == 401
    mine = {"dag_id": workflow, "tasks": ["CWLJobDispatcher", "say", "CWLJobGatherer"]}
    assert mine in client("viewer").get(f"{OLD}/dags").json()["dags"]
    asked = client("viewer").get(f"{OLD}/dags", params={"dag_ids": f"{workflow},no-such-dag"})
    assert asked.json() == {"dags": [mine]}
    assert client("viewer").get(f"{OLD}/dags/no-such-dag").status_code == 404


def test_a_run_is_started_by_its_query_and_found_by_filters(client: Callable[..., Any], workflow: str) -> None:
    run_id = new_id("run")
    started = client("user").post(f"{OLD}/dag_runs", params={"dag_id": workflow, "run_id": run_id, "conf": CONF})
    assert started.status_code == 200, started.text
    run = started.json()
    assert set(run) == {"dag_id", "run_id", "execution_date", "start_date", "state"}
    assert (run["dag_id"], run["run_id"], run["state"]) == (workflow, run_id, "running")
    again = client("user").post(f"{OLD}/dag_runs", params={"dag_id": workflow, "run_id": run_id, "conf": CONF})
    assert again.status_code == 409

    def found(**asked: str) -> list[str]:
        answer = client("viewer").get(f"{OLD}/dag_runs", params={"dag_id": workflow, **asked})
        assert answer.status_code == 200, answer.text
        return [one["run_id"] for one in answer.json()["dag_runs"]]

    assert found() == found(run_id=run_id) == found(state="running") == [run_id]
    date = run["execution_date"]
    assert found(execution_date=date) == found(execution_date_start=date, execution_date_end=date) == [run_id]
    assert found(execution_date=date, execution_date_end="2020-01-31") == []
    assert found(execution_date_start="2020-01-31T12:00:00Z", execution_date_end="2999-01-01") == [run_id]
    assert found(execution_date_end="2020-01-31 12:00:00") == found(run_id=run_id[:-1]) == found(state="success") == []
    set_run(workflow, run_id, "success")
    [info] = client("viewer").get(f"{OLD}/dag_runs", params={"run_id": run_id}).json()["dag_runs"]
    assert (info["state"], info["progress"]) == ("success", 100)
    assert {task["id"] for task in info["tasks"]} == {"CWLJobDispatcher", "say", "CWLJobGatherer"}
    assert {task["state"] for task in info["tasks"]} == {"none"}


@pytest.mark.parametrize("way", ["query and form", "json", "workflow_data"])
def test_one_call_uploads_makes_way_and_runs(client: Callable[..., Any], way: str) -> None:
    """SciDAP's call, in the three ways that its clients have written it; the second one starts the run anew."""
    dag_id, run_id = new_id(), new_id("run")
    fields = {"dag_id": dag_id, "run_id": run_id, "conf": CONF}
    content = {"workflow_content": compressed()}
    request: dict[str, Any] = {"json": {**fields, **content}}
    if way == "query and form":
        request = {"params": fields, "data": content}
    elif way == "workflow_data":
        data = {**fields, "conf": json.loads(CONF), "proj_id": "project"}
        request = {"json": {"workflow_data": data, **content}}
    for _ in range(2):
        answer = client("admin").post(f"{OLD}/dags/dag_runs", **request)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["dag_id"], answer.json()["state"]) == (dag_id, "running")
        assert [run["run_id"] for run in runs(client, dag_id)] == [run_id]
    # who may only start runs can make the same call once the workflow is there
    other = {**fields, "run_id": new_id("run")}
    assert client("user").post(f"{OLD}/dags/dag_runs", json={**other, **content}).status_code == 200


def test_a_run_of_one_call_is_not_stopped_for_a_call_that_fails(
    client: Callable[..., Any], workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_id("run")
    fields = {"dag_id": workflow, "run_id": run_id, "conf": CONF}
    assert client("user").post(f"{OLD}/dags/dag_runs", json=fields).status_code == 200
    before = runs(client, workflow)
    for conf, status in (("{}", 422), ("[]", 400), ("{", 400)):
        assert client("admin").post(f"{OLD}/dags/dag_runs", json={**fields, "conf": conf}).status_code == status
    outside = json.dumps({"job": {"text": "x", "output_folder": "/etc"}})
    assert client("admin").post(f"{OLD}/dags/dag_runs", json={**fields, "conf": outside}).status_code == 422
    granted = json.dumps({"job": {"text": "x"}, "cwl_grant": "x"})
    assert client("admin").post(f"{OLD}/dags/dag_runs", json={**fields, "conf": granted}).status_code == 400
    with monkeypatch.context() as context:
        context.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
        assert client("admin").post(f"{OLD}/dags/dag_runs", json=fields).status_code == 403
    assert client("viewer").post(f"{OLD}/dags/dag_runs", json=fields).status_code == 403
    upload = {**fields, "workflow_content": compressed()}
    assert client("user").post(f"{OLD}/dags/dag_runs", json=upload).status_code == 403
    assert runs(client, workflow) == before


def test_cleaning_takes_the_right_to_stop_that_run(client: Callable[..., Any], workflow: str, run_id: str) -> None:
    asked = {"dag_id": workflow, "run_id": run_id}
    assert client().post(f"{OLD}/clean_dag_runs", params=asked).status_code == 401
    assert client("viewer").post(f"{OLD}/clean_dag_runs", params=asked).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client("admin", cookie=True).post(f"{OLD}/clean_dag_runs", params=asked, headers=foreign).status_code == 403
    assert runs(client, workflow)
    done = client("user").post(f"{OLD}/clean_dag_runs", params=asked)
    assert done.status_code == 200, done.text
    assert done.json()["removed"] is True
    assert runs(client, workflow) == []
    for name in ("..", "no-such-run", "a/b"):
        assert client("user").post(f"{OLD}/clean_dag_runs", json={"dag_id": name, "run_id": name}).status_code == 200


def test_each_malformed_call_is_told_what_is_wrong(client: Callable[..., Any], workflow: str) -> None:
    admin = client("admin")
    bomb = base64.b64encode(gzip.compress(bytes(100 * 1024 * 1024))).decode()
    whole = compressed()
    bad = (
        ("dags", {"json": {}}, 400, "Send the CWL document"),
        ("dags", {"json": {"workflow_content": "no base64!"}}, 400, "base64"),
        ("dags", {"json": {"workflow_content": base64.b64encode(b"not gzip").decode()}}, 400, "gzip"),
        ("dags", {"json": {"workflow_content": whole[:-8]}}, 400, "cut off"),
        ("dags", {"json": {"workflow_content": base64.b64encode(gzip.compress(b"x") * 2).decode()}}, 400, "follows"),
        ("dags", {"json": {"workflow_content": bomb}}, 413, "max_upload_size"),
        ("dags", {"json": {"workflow_content": 7}}, 400, "must be a text"),
        ("dags", {"data": {"workflow": "/a/path.cwl"}}, 400, "must be a file"),
        ("dags", {"files": {"workflow": ("../x.cwl", TOOL)}}, 400, "leads out"),
        ("dags", {"files": [("workflow", ("a", TOOL)), ("workflow", ("b", TOOL))]}, 400, "Too many files"),
        ("dags", {"json": {"dag_id": "..", "workflow_content": whole}}, 400, "dag_id"),
        ("dags", {"json": {"dag_id": "a/../b", "workflow_content": whole}}, 400, "dag_id"),
        ("dags", {"json": {"dag_id": ["x"], "workflow_content": whole}}, 400, "must be a text"),
        ("dags", {"params": {"dag_id": "a"}, "json": {"dag_id": "b", "workflow_content": whole}}, 400, "twice"),
        ("dags", {"json": {"dag": "x"}}, 400, "no field 'dag'"),
        ("dags", {"content": b"{"}, 400, "no valid JSON"),
        ("dags", {"content": b"[1]"}, 400, "JSON object"),
        ("dags/dag_runs", {"json": {"dag_id": "x"}}, 400, "run_id is missing"),
        ("dags/dag_runs", {"json": {"dag_id": "x", "run_id": "../x"}}, 400, "run_id"),
        ("dags/dag_runs", {"json": {"workflow_data": [1]}}, 400, "workflow_data"),
        ("dags/dag_runs", {"json": {"dag_id": "no-such-dag", "run_id": "x"}}, 404, "no-such-dag"),
        ("dag_runs", {"json": {"run_id": "x"}}, 400, "dag_id is missing"),
        ("dag_runs", {"json": {"dag_id": workflow, "conf": 7}}, 400, "JSON object"),
        ("clean_dag_runs", {"json": {"dag_id": workflow}}, 400, "run_id is missing"),
    )
    for path, request, status, words in bad:
        answer = admin.post(f"{OLD}/{path}", **request)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), (path, words, answer.text)
    for query in ("states=running", "state=paused", "execution_date_start=soon", "run_id=a&run_id=b", "limit=7"):
        answer = admin.get(f"{OLD}/dag_runs?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["detail"]


def test_a_large_form_is_refused_before_it_is_read(client: Callable[..., Any]) -> None:
    answer = client("admin").post(f"{OLD}/dags", files={"workflow": ("x.cwl", b"x" * (34 * 1024 * 1024))})
    assert answer.status_code == 413


def test_a_key_alone_uploads_nothing(
    client: Callable[..., Any], key: KeyPair, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may trigger decides inputs and nothing else: it takes the option, and a user who may upload."""
    dag_id, run_id = new_id(), new_id("run")

    def status() -> int:
        body = signed(key, document=TOOL, dag_id=dag_id, run_id=run_id, conf=CONF)
        one = client().post(f"{OLD}/dags/dag_runs", json={**body, "workflow_content": compressed()})
        body = signed(key, document=TOOL, dag_id=dag_id)
        other = client().post(f"{OLD}/dags", json={**body, "workflow_content": compressed()})
        assert one.status_code == other.status_code, (one.text, other.text)
        return int(one.status_code)

    assert status() == 403
    monkeypatch.setenv(UPLOADS, "True")
    assert status() == 403
    monkeypatch.setenv(SIGNER, "user")
    assert status() == 403
    monkeypatch.setenv(UPLOADS, "False")
    monkeypatch.setenv(SIGNER, "admin")
    assert status() == 403
    assert not exists(client, dag_id)
    monkeypatch.setenv(UPLOADS, "True")
    assert status() == 200
    assert [run["run_id"] for run in runs(client, dag_id)] == [run_id]


def test_a_signature_is_of_what_is_sent_and_of_nothing_else(
    client: Callable[..., Any], key: KeyPair, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(UPLOADS, "True")
    monkeypatch.setenv(SIGNER, "admin")
    dag_id, run_id = new_id(), new_id("run")
    fields = {"dag_id": dag_id, "run_id": run_id, "conf": CONF}
    good = signed(key, document=TOOL, **fields)
    content = {"workflow_content": compressed()}
    evil = {"workflow_content": compressed(TOOL.replace("echo", "sh"))}
    trigger = signed(key, run_id=run_id, conf=CONF)
    forged = (
        ("dags/dag_runs", {**fields, **content}),
        ("dags/dag_runs", {**good, **evil}),
        ("dags/dag_runs", {**good, **content, "dag_id": workflow}),
        ("dags/dag_runs", {**good, **content, "run_id": f"{run_id}-2"}),
        ("dags/dag_runs", {**good, **content, "conf": json.dumps({"job": {"text": "y"}})}),
        ("dags/dag_runs", {**signed(key, **fields), **content}),
        ("dags/dag_runs", {**trigger, **content, "dag_id": dag_id}),
        ("dags/dag_runs", {**signed(key, None, TOOL, **fields), **content}),
        ("dags/dag_runs", {**signed(key, -60, TOOL, **fields), **content}),
        ("dags", {**good, **content}),
        ("dags", {**signed(key, dag_id=dag_id), **content}),
        ("dags", {"dag_id": dag_id, **content, "check_payload": trigger["check_payload"]}),
        ("dag_runs", {"dag_id": workflow, "run_id": run_id, "conf": CONF, "check_payload": good["check_payload"]}),
        ("clean_dag_runs", {"dag_id": workflow, "run_id": run_id, "check_payload": trigger["check_payload"]}),
        ("clean_dag_runs", signed(key, None, dag_id=workflow, run_id=run_id)),
        ("clean_dag_runs", {**signed(key, dag_id="1.0", run_id=run_id), "dag_id": "1"}),
    )
    for path, body in forged:
        unknown = ("run_id", "conf") if path == "dags" else ()
        answer = client().post(f"{OLD}/{path}", json={k: v for k, v in body.items() if k not in unknown})
        assert (answer.status_code, "Failed to verify data" in answer.text) == (403, True), (path, body, answer.text)
    assert not exists(client, dag_id)
    assert runs(client, workflow) == []
    assert client().post(f"{OLD}/dags/dag_runs", json={**good, **content}).status_code == 200


def test_a_signed_call_that_is_sent_again_stops_nothing(
    client: Callable[..., Any], key: KeyPair, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNER, "admin")
    run_id = new_id("run")
    body = {"dag_id": workflow, **signed(key, None, run_id=run_id, conf=CONF)}
    assert client().post(f"{OLD}/dags/dag_runs", json=body).status_code == 200
    before = runs(client, workflow)
    again = client().post(f"{OLD}/dags/dag_runs", json=body)
    assert (again.status_code, "before" in again.json()["detail"]) == (409, True)
    assert client().post(f"{OLD}/dag_runs", json=body).status_code == 409
    assert runs(client, workflow) == before


def test_a_signed_call_that_is_sent_again_meanwhile_stops_nothing(
    client: Callable[..., Any], key: KeyPair, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portal tries again what takes long; an upload may take minutes."""
    from cwl_ui_plugin.api.cwl_airflow import runs as module

    monkeypatch.setenv(SIGNER, "admin")
    body = {"dag_id": workflow, **signed(key, None, run_id=new_id("run"), conf=CONF)}
    go_on, started = module._go_on, []

    def late(*given: Any) -> dict[str, object]:
        monkeypatch.setattr(module, "_go_on", go_on)
        started.append(client().post(f"{OLD}/dags/dag_runs", json=body).json())
        return go_on(*given)

    monkeypatch.setattr(module, "_go_on", late)
    assert client().post(f"{OLD}/dags/dag_runs", json=body).status_code == 409
    assert [run["execution_date"] for run in runs(client, workflow)] == [run["execution_date"] for run in started]


@pytest.mark.parametrize("role", [None, "viewer"])
def test_a_key_stops_runs_and_removes_none(
    client: Callable[..., Any], key: KeyPair, workflow: str, role: str | None
) -> None:
    """Nor does a login take from what the key may, as at the endpoint that both predecessors have."""
    run_id = new_id("run")
    body = {"dag_id": workflow, **signed(key, None, run_id=run_id, conf=CONF)}
    assert client(role).post(f"{OLD}/dag_runs", json=body).status_code == 200
    cleaned = client(role).post(f"{OLD}/clean_dag_runs", json=signed(key, dag_id=workflow, run_id=run_id))
    assert cleaned.status_code == 200, cleaned.text
    assert cleaned.json()["removed"] is False
    assert [run["state"] for run in runs(client, workflow)] == ["failed"]


def test_a_signed_upload_is_verified_again_by_the_first_task(
    client: Callable[..., Any], key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.dags.access.permits import permit

    for name, value in ((UPLOADS, "True"), (SIGNER, "admin"), ("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")):
        monkeypatch.setenv(name, value)
    dag_id, run_id = new_id(), new_id("run")
    body = signed(key, document=TOOL, dag_id=dag_id, run_id=run_id, conf=CONF)
    answer = client().post(f"{OLD}/dags/dag_runs", json={**body, "workflow_content": compressed()})
    assert answer.status_code == 200, answer.text
    with create_session() as session:
        conf = session.scalar(select(DagRun.conf).where(DagRun.run_id == run_id))
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", key.public)
    assert permit(conf, dag_id=dag_id, run_id=run_id, first=True)


def test_wes_reads_as_it_did(client: Callable[..., Any], workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.services.monitoring import queries

    run_id = new_id("run")
    client("user").post(f"{OLD}/dag_runs", params={"dag_id": workflow, "run_id": run_id, "conf": CONF})
    info = client().get(f"{OLD}/wes/service-info").json()
    assert info["supported_wes_versions"] == ["1.0.0"]
    assert client().get(f"{OLD}/wes/runs").status_code == 401
    viewer = client("viewer")
    page = viewer.get(f"{OLD}/wes/runs", params={"page_size": 1}).json()
    assert page["runs"] == [{"run_id": run_id, "state": "RUNNING"}]
    assert viewer.get(f"{OLD}/wes/runs/{run_id}/status").json() == {"run_id": run_id, "state": "RUNNING"}
    log = viewer.get(f"{OLD}/wes/runs/{run_id}").json()
    assert log["request"]["workflow_params"] == {"text": "x"}
    assert [task["name"] for task in log["task_logs"]] == ["CWLJobDispatcher", "say", "CWLJobGatherer"]
    with monkeypatch.context() as context:  # names of files may be no UTF-8
        context.setattr(queries, "output_object", lambda *_run: {"name": "\udc80"})
        assert viewer.get(f"{OLD}/wes/runs/{run_id}").json()["outputs"] == {"name": "?"}
    set_run(workflow, run_id, "failed")
    assert viewer.get(f"{OLD}/wes/runs/{run_id}/status").json()["state"] == "EXECUTOR_ERROR"
    assert viewer.get(f"{OLD}/wes/runs/no-such-run").status_code == 404
    for query in ("page_size=0", "page_size=x", "page_token=-1", f"page_token={'9' * 30}", "size=1"):
        assert viewer.get(f"{OLD}/wes/runs?{query}").status_code == 400, query


@pytest.fixture
def unsigned(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setenv(UNSIGNED, name)


def test_the_first_call_of_the_readme_works_where_a_site_opts_in(
    client: Callable[..., Any], workflow: str, unsigned: Callable[[str], None]
) -> None:
    body = {"run_id": new_id("run"), "conf": CONF}
    url = f"{OLD}/dags/{workflow}/dag_runs"
    assert client().post(url, json=body).status_code == 401
    unsigned("viewer")
    assert client().post(url, json=body).status_code == 403
    unsigned("nobody")
    refused = client().post(url, json=body)
    assert (refused.status_code, "unsigned_trigger_user" in refused.json()["detail"]) == (403, True)
    unsigned(" user ")
    assert client().post(url, json=body).status_code == 200
    run = client("admin").get(f"/cwl/api/v1/workflows/{workflow}/runs/{body['run_id']}").json()
    assert run["user"] == "user"
    assert client().get(url).json()[0]["run_id"] == body["run_id"]
    assert client().get(f"{OLD}/dag_runs", params={"dag_id": workflow}).status_code == 200
    assert client().get("/cwl/api/v1/runs").status_code == 401  # there only


def test_nobody_else_gets_in_by_the_option(
    client: Callable[..., Any], workflow: str, unsigned: Callable[[str], None]
) -> None:
    unsigned("admin")
    url = f"{OLD}/dags/{workflow}/dag_runs"
    body = {"run_id": new_id("run"), "conf": CONF}
    wrong = {"Authorization": "Bearer no.such.token"}
    assert client().post(url, json=body, headers=wrong).status_code in (401, 403)
    assert client().get(url, headers={"Authorization": "Basic YTpi"}).status_code in (401, 403)
    stale = client()
    stale.cookies.set("_token", "no.such.token")
    assert stale.post(url, json=body).status_code in (401, 403)
    assert client().post(url, json=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client().post(url, json=body, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client("viewer").post(url, json=body).status_code == 403  # who is logged in is who is logged in
    assert runs(client, workflow) == []


def test_the_option_counts_for_nothing_while_a_key_is_set(
    client: Callable[..., Any], key: KeyPair, workflow: str, unsigned: Callable[[str], None]
) -> None:
    from airflow.models.variable import Variable

    unsigned("admin")
    fields = {"dag_id": workflow, "run_id": new_id("run")}
    for path, body in (
        (f"dags/{workflow}/dag_runs", {"run_id": fields["run_id"], "conf": CONF}),
        ("dags/clean_dag_run/dag_runs", {"run_id": "x", "conf": {"remove_dag_id": workflow, "remove_run_id": "x"}}),
        ("dag_runs", {**fields, "conf": CONF}),
        ("dags/dag_runs", {**fields, "conf": CONF}),
        ("dags", {"dag_id": new_id(), "workflow_content": compressed()}),
        ("clean_dag_runs", fields),
    ):
        answer = client().post(f"{OLD}/{path}", json=body)
        assert (answer.status_code, "Failed to verify data" in answer.text) == (403, True), path
    assert client().get(f"{OLD}/dag_runs").status_code == 401
    Variable.set("jwt_backend_crypt_algorithm", "none")
    try:
        assert client().get(f"{OLD}/dag_runs").status_code == 401
        assert client().post(f"{OLD}/dag_runs", json={**fields, "conf": CONF}).status_code == 403
    finally:
        Variable.delete("jwt_backend_crypt_algorithm")
    assert runs(client, workflow) == []


def test_unsigned_uploads_take_the_option_and_the_right(
    client: Callable[..., Any], unsigned: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"dag_id": new_id(), "run_id": new_id("run"), "conf": CONF, "workflow_content": compressed()}

    def status() -> int:
        return int(client().post(f"{OLD}/dags/dag_runs", json=fields).status_code)

    unsigned("admin")
    assert status() == 403
    monkeypatch.setenv(UPLOADS, "True")
    unsigned("user")
    assert status() == 403
    unsigned("admin")
    assert status() == 200
