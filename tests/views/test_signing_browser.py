"""Signing with a key file in a real browser, on the real page: the key stays there, and the signature holds."""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Browser, Page, expect
from support.keyboard import press
from support.served import serving

from cwl_ui_plugin.signing.keys import fingerprint, generate_key_pair

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def sent() -> list[bytes]:
    """The bodies of all requests that the server got."""
    return []


@pytest.fixture(scope="module")
def address(flask_app: Any, sent: list[bytes]) -> Iterator[str]:
    """The plugin's pages, served."""

    def recording(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        sent.append(body)
        return flask_app({**environ, "wsgi.input": io.BytesIO(body)}, start_response)

    with serving(recording) as found:
        yield found


@pytest.fixture
def trusted(airflow_home: Path) -> Iterator[Callable[..., None]]:
    """Have the server trust public keys."""
    from airflow.models.variable import Variable

    def trust(algorithms: str, *public: str) -> None:
        Variable.set("jwt_backend_public_key", "\n".join(public))
        Variable.set("jwt_backend_crypt_algorithm", algorithms)

    yield trust
    for name in ("jwt_backend_public_key", "jwt_backend_crypt_algorithm"):
        Variable.delete(name)


@pytest.fixture
def page(
    chromium: Browser,
    address: str,
    workflow: str,
) -> Iterator[Callable[[], Page]]:
    """Open the page that starts a run of the workflow, as a user."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ada", role="user"))
    context = chromium.new_context()
    context.add_cookies([{"name": "_token", "value": token, "url": address}])

    def opened() -> Page:
        made = context.new_page()
        made.goto(f"{address}/cwl/workflows/{workflow}/run")
        made.get_by_role("textbox", name="text").fill('x "ü" </script>')
        made.get_by_label("Signed with a key file of mine").check()
        return made

    yield opened


def choose(page: Page, pem: str) -> Any:
    """Choose a key file; return what the page says about it."""
    page.get_by_label("Private key").set_input_files({"name": "key.pem", "mimeType": "", "buffer": pem.encode()})
    return expect(page.locator("#sign-state"))


def press_run(page: Page) -> int:
    """Send the form; return the status of the answer. The page that follows goes on to Airflow's, which is not here."""
    with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith("/run")) as answer:
        press(page, page.get_by_role("button", name="Run", exact=True))
    return int(answer.value.status)


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "ES512", "EdDSA"])
def test_a_run_is_signed_with_a_key_that_stays_in_the_browser(
    page: Callable[[], Page], trusted: Callable[..., None], workflow: str, sent: list[bytes], algorithm: str
) -> None:
    from cwl_ui_plugin.services.monitoring import queries

    pair = generate_key_pair(algorithm)
    trusted(f"HS256,{algorithm}", generate_key_pair("ES384").public, pair.public)
    opened = page()
    choose(opened, pair.private).to_contain_text(f"{fingerprint(pair.public)} with {algorithm}")
    run_id = f"run-{uuid.uuid4()}"
    opened.get_by_label("Run ID").fill(run_id)
    opened.get_by_text("What is signed").click()
    expect(opened.locator("#sign-payload")).to_contain_text(run_id)
    expect(opened.locator("#sign-payload")).to_contain_text(f'"dag_id": "{workflow}"')
    expect(opened.locator("#sign-payload")).to_contain_text('"text": "x \\"ü\\" </script>"')
    assert press_run(opened) == 200
    run = queries.get_run(workflow, run_id)
    assert run.job == {"text": 'x "ü" </script>'}
    assert run.signature is not None
    assert (run.signature.fingerprint, run.signature.algorithm) == (fingerprint(pair.public), algorithm)
    secret = pair.private.splitlines()[1].encode()
    assert any(run_id.encode() in body for body in sent)
    assert not any(secret in body for body in sent)


def test_what_can_not_be_signed_with_is_explained(page: Callable[[], Page], trusted: Callable[..., None]) -> None:
    pair = generate_key_pair("RS256")
    trusted("RS256", pair.public)
    key = serialization.load_pem_private_key(pair.private.encode(), None)
    pem, old, new = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.PrivateFormat.PKCS8,
    )
    encrypted = serialization.BestAvailableEncryption(b"word")
    opened = page()
    opened.get_by_role("button", name="Run", exact=True).click()
    expect(opened.locator("#sign-state")).to_contain_text("Choose the file")
    plain = serialization.NoEncryption()
    choose(opened, key.private_bytes(pem, old, plain).decode()).to_contain_text("openssl pkcs8 -topk8")
    choose(opened, key.private_bytes(pem, new, encrypted).decode()).to_contain_text("encrypted")
    choose(opened, key.private_bytes(pem, old, encrypted).decode()).to_contain_text("encrypted")
    choose(opened, pair.public).to_contain_text("public key")
    choose(opened, "no key").to_contain_text("no PEM file")
    choose(opened, generate_key_pair("ES256").private).to_contain_text("can't be used")
    other = generate_key_pair("RS256")
    choose(opened, other.private).to_contain_text("will refuse")
    assert press_run(opened) == 403
    expect(opened.get_by_text("Failed to verify data")).to_be_visible(timeout=30_000)


def test_a_signature_expires_where_it_must(
    page: Callable[[], Page], trusted: Callable[..., None], workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_EXP", "True")
    pair = generate_key_pair("ES256")
    trusted("ES256", pair.public)
    opened = page()
    choose(opened, pair.private).to_contain_text("SHA256:")
    assert press_run(opened) == 200
    with create_session() as session:
        conf = session.scalar(select(DagRun.conf).where(DagRun.dag_id == workflow))
    claims = jwt.decode(conf["check_payload"], pair.public, algorithms=["ES256"])
    assert claims["exp"]
    assert json.loads(claims["conf"]) == {"job": conf["job"]}
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", conf["check_payload"])
