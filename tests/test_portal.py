"""The example of a portal: it signs what it starts, believes reports whose signatures hold, and shows results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jwt
import pytest
from fastapi.testclient import TestClient
from support.tokens import encode
from support.web import Web, giving, web

from cwl_ui_plugin.signing.keys import KeyPair, generate_key_pair
from examples.portal.portal import REPORTS, Settings, make_app

TRIGGER = "/api/experimental/dags/count/dag_runs"


@cache
def keys(_of: str) -> KeyPair:
    """The key pair of the portal, or of the server: an RSA key takes a second, and each process imports this module."""
    return generate_key_pair("RS256")


def settings(url: str) -> Settings:
    return Settings(url, "a-token", keys("portal").private, keys("server").public)


@pytest.fixture
def airflow() -> Iterator[Web]:
    with web() as running:
        running.put(
            "/cwl/api/v1/workflows", json.dumps({"workflows": [{"dag_id": "count", "label": "<Count>"}]}).encode()
        )
        running.pages[TRIGGER] = giving(b"{}")
        yield running


@pytest.fixture
def browser(airflow: Web) -> TestClient:
    return TestClient(make_app(settings(airflow.url(""))), follow_redirects=False)


def report(browser: TestClient, route: str, key: str | None = None, **payload: Any) -> int:
    claims = {"dag_id": "count", "report_id": f"{route}-{payload}", **payload}
    signed = encode(claims, key or keys("server").private, "RS256")
    return browser.post(f"{REPORTS}/{route}", json={"payload": signed}).status_code


def test_a_server_that_is_away_or_refuses_is_told() -> None:
    app = make_app(settings("http://127.0.0.1:9"))
    browser = TestClient(app, follow_redirects=False, raise_server_exceptions=False)
    for answer in (browser.get("/"), browser.post("/workflows/count", data={"job": "{}"})):
        assert (answer.status_code, "can't be reached now" in answer.text) == (503, True), answer.text
    with web() as running:
        running.pages["/cwl/api/v1/workflows"] = giving(b'{"detail": "Not logged in"}', 401)
        refused = TestClient(make_app(settings(running.url("")))).get("/")
    assert (refused.status_code, "Not logged in" in refused.text) == (502, True)


def test_a_run_is_started_signed_and_shown_as_reports_tell(browser: TestClient, airflow: Web) -> None:
    assert "&lt;Count&gt;" in browser.get("/").text
    assert airflow.headers[0]["authorization"] == "Bearer a-token"
    started = browser.post("/workflows/count", data={"job": '{"text": "x"}'})
    address = started.headers["location"]
    run_id = address.rpartition("/")[2]
    sent = airflow.bodies[-1]
    claims = jwt.decode(sent["check_payload"], keys("portal").public, algorithms=["RS256"])
    assert claims == {"run_id": run_id, "conf": {"job": {"text": "x"}}} == {key: sent[key] for key in claims}
    assert "queued, 0 %" in browser.get(address).text
    assert report(browser, "progress", run_id=run_id, state="running", progress=50) == 200
    assert report(browser, "status", run_id=run_id, task_id="sort", state="success") == 200
    assert report(browser, "results", run_id=run_id, results={"said": "<b>"}) == 200
    text = browser.get(address).text
    assert "running, 50 %" in text
    assert "<li>sort: success</li>" in text
    assert "&lt;b&gt;" in text


def test_a_report_whose_signature_does_not_hold_is_not_believed(browser: TestClient) -> None:
    address = browser.post("/workflows/count", data={"job": "{}"}).headers["location"]
    run_id = address.rpartition("/")[2]
    assert report(browser, "progress", keys("portal").private, run_id=run_id, state="success", progress=100) == 403
    for body in ({}, {"payload": {"run_id": run_id}}, {"payload": "x"}):
        assert browser.post(f"{REPORTS}/progress", json=body).status_code == 403
    assert "queued, 0 %" in browser.get(address).text
    assert report(browser, "progress", run_id="of somebody else", state="success", progress=100) == 200


def test_what_the_server_refuses_is_told(browser: TestClient, airflow: Web) -> None:
    airflow.pages[TRIGGER] = giving(b'{"detail": "no such input"}', 422)
    refused = browser.post("/workflows/count", data={"job": "{}"})
    assert (refused.status_code, "no such input" in refused.text) == (422, True)
    assert browser.post("/workflows/count", data={"job": "{"}).status_code == 400
    assert browser.get("/runs/none").status_code == 404
