"""The predecessors' endpoint: their clients, unchanged, and everything that must be refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from cwl_ui_plugin.signing.keys import KeyPair, generate_key_pair

CONF = json.dumps({"job": {"text": "x"}})


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return generate_key_pair("RS256")


@pytest.fixture
def signed(site: Any, pair: KeyPair) -> Iterator[None]:
    """The server has a public key: triggers must be signed."""
    from airflow.models.variable import Variable

    Variable.set("jwt_backend_public_key", pair.public)
    yield
    Variable.delete("jwt_backend_public_key")


def body_of(pair: KeyPair, conf: Any = CONF, field: str = "check_payload", **claims: Any) -> dict[str, Any]:
    run_id = f"signed-{uuid.uuid4()}"
    token = jwt.encode({"run_id": run_id, "conf": conf, **claims}, pair.private, algorithm="RS256")
    return {"run_id": run_id, "conf": conf, field: token}


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

    from cwl_ui_plugin.dags.conf import read_conf

    body = body_of(pair)
    client().post(url(workflow), json=body)
    with create_session() as session:
        conf = session.scalar(select(DagRun.conf).where(DagRun.run_id == body["run_id"]))
    assert conf == {"job": {"text": "x"}, "check_payload": body["check_payload"]}
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    # a task gets Variables from its supervisor, which a test has not
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    assert read_conf(conf, run_id=body["run_id"]).job == {"text": "x"}


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    "fault", ["missing", "garbage", "other key", "other conf", "other run", "none", "expired", "more"]
)
@pytest.mark.parametrize("role", [None, "admin"])
def test_a_signature_that_does_not_hold_creates_nothing(
    client: Callable[..., Any], workflow: str, pair: KeyPair, fault: str, role: str | None
) -> None:
    body = body_of(pair)
    claims = {"run_id": body["run_id"], "conf": body["conf"]}
    if fault == "missing":
        del body["check_payload"]
    elif fault == "garbage":
        body["check_payload"] = "a.b.c"
    elif fault == "other key":
        body["check_payload"] = jwt.encode(claims, generate_key_pair("RS256").private, algorithm="RS256")
    elif fault == "other conf":
        body["conf"] = json.dumps({"job": {"text": "y"}})
    elif fault == "other run":
        body["run_id"] += "-2"
    elif fault == "none":
        body["check_payload"] = jwt.encode(claims, None, algorithm="none")
    elif fault == "expired":
        body["check_payload"] = jwt.encode({**claims, "exp": 1}, pair.private, algorithm="RS256")
    elif fault == "more":
        body["check_payload"] = jwt.encode({**claims, "more": 1}, pair.private, algorithm="RS256")

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
