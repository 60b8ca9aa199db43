"""``[cwl] unsigned_trigger_user`` is for those who bring no login, and a signature is no login: what a browser adds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.tokens import encode

from cwl_ui_plugin.api import request_json
from cwl_ui_plugin.reports import lookups
from cwl_ui_plugin.signing.keys import KeyPair

ALGORITHM = "RS256"
OLD = "/api/experimental"
KEY = "jwt_backend_public_key"
CONF = json.dumps({"job": {"text": "x"}})
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.fixture
def unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__UNSIGNED_TRIGGER_USER", "user")


@pytest.fixture
def key(site: Any, pair: KeyPair) -> Iterator[KeyPair]:
    from airflow.models.variable import Variable

    Variable.set(KEY, pair.public)
    yield pair
    Variable.delete(KEY)


@pytest.mark.usefixtures("unsigned")
def test_only_a_name_that_the_site_has_set_is_answered_without_a_login(
    client: Callable[..., Any], workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page whose name leads to this server (DNS rebinding) is of the same site to a browser, and brings no login."""
    url = f"{OLD}/dags/{workflow}/dag_runs"

    def statuses(host: str) -> tuple[int, int]:
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        body = {"run_id": uuid.uuid4().hex, "conf": CONF}
        return client().get(url, headers=headers).status_code, client().post(
            url, json=body, headers=headers
        ).status_code

    assert statuses("evil.example") == (421, 421)
    assert statuses("evil.example:8080") == (421, 421)
    for host in ("10.0.0.7:8080", "airflow", "[::1]"):
        assert statuses(host) == (200, 200), host
    monkeypatch.setenv("AIRFLOW__CWL__ALLOWED_HOSTS", "airflow.hospital.example")
    assert statuses("airflow.hospital.example") == (200, 200)
    assert client("viewer").get(url, headers={"Host": "airflow.hospital.example"}).status_code == 200


def assert_refused(client: Callable[..., Any], workflow: str) -> None:
    """Whoever is logged in, or nobody, starts, stops and uploads nothing where it is not known what must be signed."""
    run = {"dag_id": workflow, "run_id": "r", "conf": CONF}
    tool = {"dag_id": "new", "workflow_content": "x"}
    for role in (None, "admin"):
        paths = {f"dags/{workflow}/dag_runs": {"run_id": "r", "conf": CONF}, "dag_runs": run, "dags/dag_runs": run}
        for path, body in {**paths, "clean_dag_runs": {"dag_id": workflow, "run_id": "r"}}.items():
            answer = client(role).post(f"{OLD}/{path}", json=body)
            assert (answer.status_code, KEY in answer.json()["detail"]) == (503, True), (path, answer.text)
        assert client(role).post(f"{OLD}/dags", json=tool).status_code in (400, 503)
    conf = {"job": {"text": "x"}, "check_payload": "e30.e30.e30"}
    signed = {"run_id": "r", "conf": conf}
    answer = client("admin").post(f"/cwl/api/v1/workflows/{workflow}/runs", json=signed)
    assert answer.status_code in (400, 503), answer.text
    assert client("admin").get(f"{OLD}/dag_runs", params={"dag_id": workflow}).json() == {"dag_runs": []}


@pytest.mark.usefixtures("unsigned", "key")
def test_a_key_that_can_not_be_decrypted_is_a_key(client: Callable[..., Any], workflow: str) -> None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(
            update(Variable).where(Variable.key == KEY).values(_val="of another Fernet key", is_encrypted=True)
        )
    assert Variable.get(KEY, default_var=None) is None
    url = f"{OLD}/dags/{workflow}/dag_runs"
    assert client().get(url).status_code == 401
    assert_refused(client, workflow)


@pytest.mark.usefixtures("unsigned")
def test_where_a_place_can_not_be_asked_there_may_be_a_key(
    client: Callable[..., Any], workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def get_variable(self, _key: str) -> str:
            raise OSError("no route to the vault")

    url = f"{OLD}/dags/{workflow}/dag_runs"
    assert client().get(url).status_code == 200
    monkeypatch.setattr(lookups, "_places", lambda _variable: iter([(Away(), "the vault")]))
    assert client().get(url).status_code == 401
    assert_refused(client, workflow)


@pytest.mark.parametrize(
    "path", ["dags/{dag_id}/dag_runs", "dag_runs?dag_id={dag_id}", "dags/dag_runs?dag_id={dag_id}"]
)
def test_a_signed_call_of_a_page_of_another_site_is_nobodys(
    client: Callable[..., Any], key: KeyPair, workflow: str, path: str
) -> None:
    """Who has a key must not use the uploads of whoever is logged in and looks at a page of theirs."""
    users = []
    for headers in (FOREIGN, {"Sec-Fetch-Site": "same-origin"}):
        fields = {"run_id": uuid.uuid4().hex, "conf": CONF}
        body = {**fields, "check_payload": encode(fields, key.private, algorithm=ALGORITHM)}
        caller = client("admin", cookie=True)
        answer = caller.post(f"{OLD}/{path.format(dag_id=workflow)}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        shown = client("admin").get(f"/cwl/api/v1/workflows/{workflow}/runs/{fields['run_id']}").json()
        users.append(shown["user"])
    assert users == ["signed trigger", "the-admin"]


@pytest.mark.parametrize("role", [None, "viewer"])
def test_a_key_starts_runs_of_a_workflow_that_is_there_whoever_is_logged_in(
    client: Callable[..., Any], key: KeyPair, workflow: str, role: str | None
) -> None:
    document = client("admin").get(f"/cwl/api/v1/workflows/{workflow}/source").content
    fields = {"dag_id": workflow, "run_id": uuid.uuid4().hex, "conf": CONF}
    claims = {**fields, "workflow_sha256": hashlib.sha256(document).hexdigest(), "exp": int(time.time() + 60)}
    data = {**fields, "check_payload": encode(claims, key.private, algorithm=ALGORITHM)}
    answer = client(role).post(f"{OLD}/dags/dag_runs", data=data, files={"workflow": ("x.cwl", document)})
    assert answer.status_code == 200, answer.text


def test_a_body_of_anybody_is_read_while_others_are_answered(
    client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = request_json.parse_object

    def beside_the_loop(text: str | bytes, what: str) -> dict[str, object]:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return read(text, what)

    monkeypatch.setattr(request_json, "parse_object", beside_the_loop)
    assert client().post(f"{OLD}/dag_runs", json={"dag_id": "x", "run_id": "y"}).status_code == 401


def test_no_body_is_read_of_whom_no_signature_lets_in(site: Any, folders: Path, workflow: str) -> None:
    paths = [f"{OLD}/{path}" for path in ("dags", "dag_runs", "dags/dag_runs", "clean_dag_runs")]
    paths += [f"{OLD}/dags/{workflow}/dag_runs", f"/cwl/api/v1/workflows/{workflow}/runs"]
    assert {path: sent_to(site, path, b"x") for path in paths} == dict.fromkeys(paths, (401, 0))


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
def test_a_key_lets_nobody_send_a_workflow_of_any_size(
    site: Any, folders: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from cwl_ui_plugin import config

    monkeypatch.setattr(config, "CALL_BYTES", 8192)
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", "1024")
    start = b'--b\r\nContent-Disposition: form-data; name="workflow"; filename="a"\r\n\r\n' if "form" in kind else b"{"
    for path in ("dags", "dags/dag_runs"):
        assert sent_to(site, f"{OLD}/{path}", start, kind) == (413, 9)
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_WITHOUT_LOGIN", "True")
    assert sent_to(site, f"{OLD}/dags", start, kind) == (403 if "form" in kind else 400, 101)


def sent_to(site: Any, path: str, start: bytes, kind: str = "application/json") -> tuple[int, int]:
    """Send a body in up to 101 parts of 1 KiB, which says nothing of its length; return the status and parts read."""
    read, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {
            "type": "http.request",
            "body": start.ljust(1024, b" ") if read == 1 else bytes(1024),
            "more_body": read < 101,
        }

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-type", kind.encode())],
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "state": {},
    }
    asyncio.run(site(scope, receive, send))
    return int(sent[0]["status"]), read
