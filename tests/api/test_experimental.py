"""The predecessors' endpoint: their clients, unchanged, and everything that must be refused."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support.tokens import encode

from cwl_ui_plugin.signing.keys import KeyPair, fingerprint, generate_key_pair

ALGORITHM = "RS256"

CONF = json.dumps({"job": {"text": "x"}})


@pytest.fixture
def signed(site: Any, pair: KeyPair) -> Iterator[None]:
    """The server has a public key: triggers must be signed."""
    from airflow.models.variable import Variable

    Variable.set("jwt_backend_public_key", pair.public)
    yield
    Variable.delete("jwt_backend_public_key")


def body_of(pair: KeyPair, conf: Any = CONF, field: str = "check_payload", **claims: Any) -> dict[str, Any]:
    run_id = f"signed-{uuid.uuid4()}"
    token = encode({"run_id": run_id, "conf": conf, **claims}, pair.private, algorithm="RS256")
    return {"run_id": run_id, "conf": conf, field: token}


@pytest.fixture(scope="module")
def other_pair() -> KeyPair:
    return generate_key_pair("RS256")


def url(dag_id: str) -> str:
    return f"/api/experimental/dags/{dag_id}/dag_runs"


def exists(client: Callable[..., Any], dag_id: str, run_id: str) -> bool:
    return bool(client("admin").get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}").status_code == 200)


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize("field", ["check_payload", "token"])
@pytest.mark.parametrize("conf", [CONF, json.loads(CONF)])
def test_a_signed_trigger_needs_no_login(
    client: Callable[..., Any], workflow: str, pair: KeyPair, field: str, conf: Any
) -> None:
    body = body_of(pair, conf, field)
    answer = client().post(url(workflow), json=body)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert set(made) == {"message", "dag_id", "run_id", "dag_run_id", "state", "logical_date", "execution_date"}
    assert (made["dag_id"], made["run_id"], made["dag_run_id"]) == (workflow, body["run_id"], body["run_id"])
    assert made["execution_date"]
    assert body["run_id"] in made["message"]
    assert client().post(url(workflow), json=body).status_code == 409


@pytest.mark.usefixtures("signed")
def test_the_kept_conf_can_be_verified_again(
    client: Callable[..., Any], workflow: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.dags.access.permits import permit

    body = body_of(pair)
    client().post(url(workflow), json=body)
    with create_session() as session:
        conf = session.scalar(select(DagRun.conf).where(DagRun.run_id == body["run_id"]))
    assert set(conf) == {"job", "check_payload", "cwl_grant"}
    assert (conf["job"], conf["check_payload"]) == ({"text": "x"}, body["check_payload"])
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    # a task gets Variables from its supervisor, which a test has not
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    assert permit(conf, dag_id=workflow, run_id=body["run_id"], first=True)


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    "fault", ["missing", "garbage", "other key", "other conf", "other run", "none", "expired", "more"]
)
@pytest.mark.parametrize("role", [None, "admin"])
def test_a_signature_that_does_not_hold_creates_nothing(
    client: Callable[..., Any], workflow: str, pair: KeyPair, other_pair: KeyPair, fault: str, role: str | None
) -> None:
    body = body_of(pair)
    claims = {"run_id": body["run_id"], "conf": body["conf"]}
    if fault == "missing":
        del body["check_payload"]
    elif fault == "garbage":
        body["check_payload"] = "a.b.c"
    elif fault == "other key":
        body["check_payload"] = encode(claims, other_pair.private, algorithm="RS256")
    elif fault == "other conf":
        body["conf"] = json.dumps({"job": {"text": "y"}})
    elif fault == "other run":
        body["run_id"] += "-2"
    elif fault == "none":
        body["check_payload"] = jwt.encode(claims, None, algorithm="none")
    elif fault == "expired":
        body["check_payload"] = encode({**claims, "exp": 1}, pair.private, algorithm="RS256")
    elif fault == "more":
        body["check_payload"] = encode({**claims, "more": 1}, pair.private, algorithm="RS256")

    answer = client(role).post(url(workflow), json=body)
    assert answer.status_code == 403
    assert "Failed to verify data" in answer.json()["detail"]
    assert not exists(client, workflow, body["run_id"])


@pytest.mark.usefixtures("signed")
def test_each_bad_request_says_what_is_wrong(client: Callable[..., Any], workflow: str, pair: KeyPair) -> None:
    def status(dag_id: str, conf: Any) -> int:
        return int(client().post(url(dag_id), json=body_of(pair, conf)).status_code)

    assert status("no-such-dag", CONF) == 404
    assert status(workflow, "not json") == 400
    assert status(workflow, [1]) == 400
    assert status(workflow, json.dumps([1])) == 400
    assert status(workflow, {}) == 422
    answer = client().post(url(workflow), json=body_of(pair, {"job": {"text": 1, "more": 2}}))
    assert answer.status_code == 422
    assert {problem["input"] for problem in answer.json()["problems"]} == {"text"}
    unknown = client().post(url(workflow), json=body_of(pair, {"job": {"text": "x"}, "priority": 1}))
    assert unknown.status_code == 422
    assert {problem["input"] for problem in unknown.json()["problems"]} == {"priority"}
    assert status(workflow, {"text": "x"}) == 200
    for content in (b"{", b"[1]", b'{"run_id": NaN}'):
        assert client().post(url(workflow), content=content).status_code == 400


def test_without_a_key_the_caller_must_be_allowed(client: Callable[..., Any], workflow: str) -> None:
    body = {"run_id": "plain", "conf": CONF}
    assert client().post(url(workflow), json=body).status_code == 401
    assert client("viewer").post(url(workflow), json=body).status_code == 403
    assert not exists(client, workflow, "plain")
    assert client("user").post(url(workflow), json=body).status_code == 200
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client("user", cookie=True).post(url(workflow), json=body, headers=foreign).status_code == 403
    assert client("user").post(url(workflow), json={"conf": CONF}).status_code == 200  # Airflow makes a run_id
    assert client("user").post(url(workflow), json={"run_id": 7, "conf": CONF}).status_code == 400


def test_runs_are_listed_as_the_predecessors_did(client: Callable[..., Any], workflow: str, run_id: str) -> None:
    assert client().get(url(workflow)).status_code == 401
    runs = client("viewer").get(url(workflow)).json()
    assert [run["run_id"] for run in runs] == [run_id]
    assert client().get("/api/experimental/test").json() == {"status": "OK"}


def test_a_body_that_is_too_large_is_refused(client: Callable[..., Any], workflow: str) -> None:
    content = b'{"conf": "' + b"x" * (17 * 1024 * 1024) + b'"}'
    assert client("user").post(url(workflow), content=content).status_code == 413


@pytest.mark.usefixtures("signed")
def test_a_signed_run_id_is_used_once_even_if_its_run_was_deleted(
    client: Callable[..., Any], workflow: str, pair: KeyPair
) -> None:
    body = body_of(pair)
    assert client().post(url(workflow), json=body).status_code == 200
    stop = f"/cwl/api/v1/workflows/{workflow}/runs/{body['run_id']}/stop"
    assert client("admin").post(stop, json={"remove": True}).json()["removed"] is True
    again = client().post(url(workflow), json=body)
    assert again.status_code == 409
    assert "before" in again.json()["detail"]
    assert not exists(client, workflow, body["run_id"])


@pytest.mark.usefixtures("signed")
def test_a_trigger_that_creates_no_run_uses_up_nothing(
    client: Callable[..., Any], workflow: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.services import signatures

    body = body_of(pair)
    keep = signatures.use

    def fail(*arguments: Any) -> None:
        keep(*arguments)
        raise RuntimeError("the database went away")

    monkeypatch.setattr(signatures, "use", fail)
    assert client().post(url(workflow), json=body).status_code == 500
    assert not exists(client, workflow, body["run_id"])
    monkeypatch.setattr(signatures, "use", keep)
    assert client().post(url(workflow), json=body).status_code == 200


@pytest.mark.usefixtures("signed")
def test_the_run_and_the_audit_log_name_the_key(client: Callable[..., Any], workflow: str, pair: KeyPair) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    body = body_of(pair)
    client().post(url(workflow), json=body)
    key = {"fingerprint": fingerprint(pair.public), "algorithm": "RS256"}
    run = client("viewer").get(f"/cwl/api/v1/workflows/{workflow}/runs/{body['run_id']}").json()
    assert run["signature"].pop("verified_at")
    assert (run["signature"], run["user"]) == (key, "signed trigger")
    with create_session() as session:
        entry = session.scalar(select(Log).where(Log.run_id == body["run_id"]))
        assert (entry.event, entry.dag_id, entry.owner) == ("cwl_signed_trigger", workflow, "signed trigger")
        assert json.loads(entry.extra) == key


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    ("name", "status"), [("user", 200), ("admin", 200), ("viewer", 403), ("nobody", 403), (" op ", 200)]
)
@pytest.mark.parametrize("role", [None, "admin"])
def test_a_signed_trigger_acts_as_a_user_of_airflow(
    client: Callable[..., Any],
    workflow: str,
    pair: KeyPair,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    role: str | None,
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__JWT_BACKEND_USER", name)
    body = body_of(pair)
    answer = client(role).post(url(workflow), json=body)
    assert answer.status_code == status, answer.text
    assert exists(client, workflow, body["run_id"]) is (status == 200)
    if status == 200:
        run = client("admin").get(f"/cwl/api/v1/workflows/{workflow}/runs/{body['run_id']}").json()
        assert run["user"] == name.strip()
    else:
        assert "jwt_backend_user" in answer.json()["detail"]


@pytest.mark.usefixtures("signed")
def test_a_signed_trigger_needs_a_run_id(client: Callable[..., Any], workflow: str, pair: KeyPair) -> None:
    """Airflow makes a run_id where none is sent: such a token could be used again and again."""
    for run_id in ("", None):
        token = encode({"run_id": run_id, "conf": CONF}, pair.private, algorithm="RS256")
        body = {"run_id": run_id, "conf": CONF, "check_payload": token}
        assert client().post(url(workflow), json=body).status_code == 403


@pytest.mark.usefixtures("signed")
def test_a_conf_with_a_signature_in_it_can_not_be_signed(
    client: Callable[..., Any], workflow: str, pair: KeyPair
) -> None:
    body = body_of(pair, {"job": {"text": "x"}, "check_payload": "a.b.c"})
    assert client().post(url(workflow), json=body).status_code == 400


@pytest.mark.usefixtures("signed")
def test_algorithms_come_from_the_variable(client: Callable[..., Any], workflow: str, pair: KeyPair) -> None:
    from airflow.models.variable import Variable

    other = generate_key_pair("EdDSA")
    Variable.set("jwt_backend_public_key", f"{pair.public}\n{other.public}")
    for name in ("jwt_backend_crypt_algorithm", "jwt_backend_algorithm"):
        Variable.set(name, "eddsa, PS512")
        try:
            for algorithm, private, status in (
                ("EdDSA", other.private, 200),
                ("PS512", pair.private, 200),
                ("RS256", pair.private, 403),
            ):
                claims = {"run_id": f"r-{uuid.uuid4()}", "conf": CONF}
                token = encode(claims, private, algorithm=algorithm)
                assert client().post(url(workflow), json={**claims, "token": token}).status_code == status
        finally:
            Variable.delete(name)


@pytest.mark.parametrize("setting", ["none", "RS256,none", "HS256"])
def test_a_setting_that_would_weaken_it_lets_nobody_through(
    client: Callable[..., Any], workflow: str, pair: KeyPair, signed: None, setting: str
) -> None:
    from airflow.models.variable import Variable

    Variable.set("jwt_backend_crypt_algorithm", setting)
    try:
        claims = {"run_id": "r", "conf": CONF}
        forged = jwt.encode(claims, None, algorithm="none")
        for body in (claims, {**claims, "check_payload": forged}, body_of(pair)):
            answer = client().post(url(workflow), json=body)
            assert answer.status_code == 403
            assert "Failed to verify data" in answer.json()["detail"]
    finally:
        Variable.delete("jwt_backend_crypt_algorithm")


def test_weak_keys_are_for_old_clients_and_are_complained_about(
    client: Callable[..., Any],
    workflow: str,
    signed: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from airflow.models.variable import Variable

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    Variable.set("jwt_backend_public_key", public)
    body = body_of(KeyPair(private, public))
    assert client().post(url(workflow), json=body).status_code == 403
    monkeypatch.setenv("AIRFLOW__CWL__ALLOW_WEAK_KEYS", "True")
    with caplog.at_level("WARNING", logger="cwl_ui_plugin.services.signatures"):
        assert client().post(url(workflow), json=body).status_code == 200
    assert any("weak" in record.getMessage() and "SHA256:" in record.getMessage() for record in caplog.records)


@pytest.mark.usefixtures("signed")
def test_an_expiry_can_be_demanded(
    client: Callable[..., Any], workflow: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_EXP", "True")
    answer = client().post(url(workflow), json=body_of(pair))
    assert answer.status_code == 403
    assert "require_exp" in answer.json()["detail"]
    assert client().post(url(workflow), json=body_of(pair, exp=time.time() + 60)).status_code == 200


BODIES = [
    b"",
    b"\xff",
    b"[]",
    b"1",
    b'"x"',
    b"{'run_id': 1}",
    b'{"run_id": "r", "conf": {"a": NaN}}',
    b'{"run_id": "r", "conf": {"a": 1e999}}',
    b'{"run_id": "r", "run_id": "s", "conf": {}}',
    b'{"run_id": "\\ud800", "conf": {}}',
    b'{"run_id": "\\u0000", "conf": {}}',
    b'{"run_id": "r", "conf": ' + b'{"a":' * 200 + b"1" + b"}" * 201,
    b'{"run_id": "r", "conf": ' + b"[" * 100_000,
    b'{"run_id": "r", "conf": "{\\"a\\": 1, \\"a\\": 2}"}',
    b'{"run_id": "r", "conf": "{\\"a\\": NaN}"}',
    b'{"run_id": "r", "conf": "{\\"a\\": \\"\\\\ud800\\"}"}',
    b'{"run_id": "r", "conf": "' + b"[" * 100_000 + b'"}',
    b'{"run_id": "r", "conf": "null"}',
    b'{"run_id": "r", "conf": true}',
    b'{"run_id": "r", "conf": 7}',
    b'{"run_id": ["r"], "conf": {}}',
    b'{"run_id": "../r", "conf": {"job": {"text": "x"}}}',
]


@pytest.mark.parametrize("key", ["no", "a"])
def test_no_body_is_an_error_of_the_server(client: Callable[..., Any], workflow: str, pair: KeyPair, key: str) -> None:
    from airflow.models.variable import Variable

    if key == "a":
        Variable.set("jwt_backend_public_key", pair.public)
    try:
        user = client("user")
        headers = {"Content-Type": "application/json"}
        answers = [(content, user.post(url(workflow), content=content, headers=headers)) for content in BODIES]
    finally:
        Variable.delete("jwt_backend_public_key")
    for content, answer in answers:
        allowed = {400, 403} if key == "a" else {400, 422} if content in (b"",) else {400}
        assert answer.status_code in allowed, (content[:100], answer.text)
        assert set(answer.json()) >= {"detail", "problems"}, content[:100]
        assert "Traceback" not in answer.text, content[:100]


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize("field", ["check_payload", "token"])
def test_no_signature_of_another_type_verifies(client: Callable[..., Any], workflow: str, field: str) -> None:
    nobody = client()
    for token in (1, True, ["a.b.c"], {"a": 1}, "", "a.b.c", "x" * 1_000_000, "\u00e9.b.c", None):
        answer = nobody.post(url(workflow), json={"run_id": "r", "conf": CONF, field: token})
        assert answer.status_code == 403, str(token)[:100]
        assert "Failed to verify data" in answer.json()["detail"], str(token)[:100]
