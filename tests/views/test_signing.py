"""Signing on the page that starts a run, and the key that the server does it with."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import jwt
import pytest

from cwl_ui_plugin.signing.keys import KeyPair, fingerprint, generate_key_pair

VARIABLES = ("jwt_backend_public_key", "jwt_backend_crypt_algorithm", "process_sign_private_key")


@pytest.fixture
def variables(airflow_home: Any) -> Iterator[Callable[..., None]]:
    """Set Variables for one test."""
    from airflow.models.variable import Variable

    def set_all(**values: str) -> None:
        for name, value in values.items():
            Variable.set(name, value)

    yield set_all
    for name in VARIABLES:
        Variable.delete(name)


@pytest.fixture
def page(browser: Callable[..., Any], workflow: str) -> Callable[..., Any]:
    """Post the form: ``page(sign_with="server")`` returns the answer, the run's conf and its signature."""
    client = browser("user")
    url = f"/cwl/workflows/{workflow}/run"
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(url).text)[1]

    def post(**fields: str) -> tuple[int, str, Any]:
        from cwl_ui_plugin.services.errors import NotFound
        from cwl_ui_plugin.services.monitoring import queries

        data = {
            "run_id": f"run-{uuid.uuid4()}",
            "source": "text",
            "job": '{"text": "x"}',
            "csrf_token": token,
            **fields,
        }
        answer = client.post(url, data=data)
        try:
            run = queries.get_run(workflow, data["run_id"])
        except NotFound:
            run = None
        return answer.status_code, unescape(re.sub(r"\s+", " ", answer.text)), run

    post.get = lambda: client.get(url).text  # type: ignore[attr-defined]
    return post


def trust(variables: Callable[..., None], pair: KeyPair) -> None:
    variables(jwt_backend_public_key=pair.public, jwt_backend_crypt_algorithm="RS256,ES256")


def test_nothing_is_asked_where_nobody_verifies(page: Any) -> None:
    assert 'id="signing"' not in page.get()
    status, _text, run = page()
    assert (status, run.signature, run.has_signature) == (200, None, False)


def test_the_server_signs_with_its_key(page: Any, variables: Callable[..., None], pair: KeyPair) -> None:
    trust(variables, pair)
    variables(process_sign_private_key=pair.private)
    text = page.get()
    assert fingerprint(pair.public) in text
    assert re.search(r'value="server"[^>]*checked', text)
    assert not any(line in text for line in pair.private.splitlines()[1:-1])
    status, _text, run = page(sign_with="server")
    assert status == 200
    assert (run.signature.fingerprint, run.signature.algorithm) == (fingerprint(pair.public), "ES256")
    assert run.summary.user == "the-user"


def test_the_page_of_the_run_names_the_key(
    page: Any, variables: Callable[..., None], pair: KeyPair, browser: Callable[..., Any], workflow: str
) -> None:
    trust(variables, pair)
    variables(process_sign_private_key=pair.private)
    run = page(sign_with="server")[2]
    shown = browser("viewer").get(f"/cwl/run?dag_id={workflow}&run_id={run.summary.run_id}").text
    assert fingerprint(pair.public) in shown


def test_the_signature_of_a_browser_is_verified(page: Any, variables: Callable[..., None], pair: KeyPair) -> None:
    trust(variables, pair)
    assert 'value="file"' in page.get()
    for key, job, status in ((pair, "x", 200), (pair, "y", 403), (generate_key_pair("ES256"), "x", 403)):
        run_id = f"run-{uuid.uuid4()}"
        conf = json.dumps({"job": {"text": "x"}})
        token = jwt.encode({"run_id": run_id, "conf": conf}, key.private, algorithm="ES256")
        sent = json.dumps({"job": {"text": job}})
        found, text, run = page(run_id=run_id, conf=sent, check_payload=token, sign_with="file")
        assert found == status, text
        assert (run is not None) is (status == 200)
        if run is not None:
            assert run.signature.fingerprint == fingerprint(pair.public)


def test_a_run_that_was_to_be_signed_is_never_started_unsigned(
    page: Any, variables: Callable[..., None], pair: KeyPair
) -> None:
    trust(variables, pair)
    for way, reason in (("file", "did not sign"), ("server", "no key to sign with")):
        status, text, run = page(sign_with=way)
        assert (status, run) == (400, None)
        assert reason in text
    status, text, run = page(sign_with="none")
    assert (status, run.signature) == (200, None)


def test_where_signing_is_required_nothing_else_is_offered(
    page: Any, variables: Callable[..., None], pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    assert "no key is set" in page.get()
    trust(variables, pair)
    variables(process_sign_private_key=pair.private)
    assert 'value="none"' not in page.get()
    for way in ("none", ""):
        status, text, run = page(sign_with=way)
        assert (status, run) == (403, None)
        assert "require_signed_conf" in text
    assert page(sign_with="server")[2].signature is not None


def test_a_key_that_would_be_refused_is_not_offered(page: Any, variables: Callable[..., None], pair: KeyPair) -> None:
    trust(variables, pair)
    variables(process_sign_private_key=generate_key_pair("ES256").private)
    assert 'value="server"' not in page.get()
    status, _text, run = page(sign_with="server")
    assert (status, run) == (403, None)


def test_signatures_expire_where_they_must(
    page: Any, variables: Callable[..., None], pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_EXP", "True")
    trust(variables, pair)
    variables(process_sign_private_key=pair.private)
    assert 'data-lifetime="3600"' in page.get()
    assert page(sign_with="server")[0] == 200


def test_the_key_of_the_server_is_write_only(
    browser: Callable[..., Any], csrf: Callable[[Any], str], variables: Callable[..., None], pair: KeyPair
) -> None:
    from airflow.models.variable import Variable

    trust(variables, pair)
    admin = browser("admin")
    token = csrf(admin)

    def save(text: str) -> Any:
        return admin.post("/cwl/settings/signing-key", data={"private_key": text, "csrf_token": token})

    for wrong in ("", "garbage", pair.public, generate_key_pair("EdDSA").private):
        assert save(wrong).status_code == 400
    assert Variable.get("process_sign_private_key", default_var=None) is None
    assert save(pair.private).status_code == 302
    shown = admin.get("/cwl/settings").text
    assert fingerprint(pair.public) in shown
    assert not any(line in shown for line in pair.private.splitlines()[1:-1])
    assert save(generate_key_pair("ES256").private).status_code == 302
    assert "not among the keys" in admin.get("/cwl/settings").text
    assert admin.post("/cwl/settings/remove/process_sign_private_key", data={"csrf_token": token}).status_code == 302
    assert Variable.get("process_sign_private_key", default_var=None) is None
    viewer = browser("viewer")
    viewer.set_cookie("session", admin.get_cookie("session").value)
    refused = viewer.post("/cwl/settings/signing-key", data={"private_key": pair.private, "csrf_token": token})
    assert refused.status_code == 403
