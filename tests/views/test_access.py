"""Who gets through: nobody without a login, no form without its token, and each role only as far as it may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

HOSTILE = "<script>alert(1)</script>"
BELOW = {"SCRIPT_NAME": "/airflow/pluginsv2"}


def routes(app: Any) -> Iterator[tuple[str, str]]:
    """Every route of the plugin's views, with its method."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/cwl") and not rule.rule.startswith("/cwl/static"):
            for method in (rule.methods or set()) & {"GET", "POST"}:
                yield method, rule.rule.replace("<dag_id>", "x").replace("<name>", "x").replace("<upload_id>", "x")


def test_there_are_routes_to_test(flask_app: Any) -> None:
    assert len(list(routes(flask_app))) >= 15


def test_nobody_gets_through_without_a_login(flask_app: Any, browser: Callable[..., Any]) -> None:
    for method, path in routes(flask_app):
        answer = browser().open(path, method=method)
        if method == "POST":
            assert answer.status_code in (400, 401), path
        else:
            assert answer.status_code == 302, path
            assert "/login" in answer.headers["Location"], path


def test_the_login_leads_back_to_the_page_and_to_no_other_server(browser: Callable[..., Any]) -> None:
    answer = browser().get(
        "/cwl/runs?state=failed&text=%2F%2Fevil.example", base_url="http://evil.example", environ_overrides=BELOW
    )
    (leads_to,) = parse_qs(urlsplit(answer.headers["Location"]).query)["next"]
    assert leads_to == "/airflow/pluginsv2/cwl/runs?state=failed&text=%2F%2Fevil.example"
    for path in ("/cwl//evil.example/", "//evil.example/cwl", "/cwl/workflows//evil.example"):
        answer = browser("admin").get(path, base_url="http://evil.example")
        assert urlsplit(answer.headers.get("Location", "")).netloc in ("", "evil.example")
        assert not answer.headers.get("Location", "").startswith("//")


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_a_token_that_does_not_verify_is_no_login(browser: Callable[..., Any], token: str) -> None:
    client = browser()
    client.set_cookie("_token", token)
    assert client.get("/cwl/workflows").status_code == 302
    assert client.get("/cwl/workflows", headers={"Authorization": f"Bearer {token}"}).status_code == 302


def test_no_form_is_taken_without_its_token(flask_app: Any, browser: Callable[..., Any]) -> None:
    for method, path in routes(flask_app):
        if method == "POST":
            answer = browser("admin").post(path, data={"csrf_token": "forged"})
            assert answer.status_code == 400, path
            assert "reload" in answer.text, path
            assert "Traceback" not in answer.text


def test_a_viewer_sees_and_changes_nothing(
    browser: Callable[..., Any], workflow: str, run_id: str, csrf: Callable[[Any], str]
) -> None:
    viewer = browser("viewer")
    assert viewer.get(f"/cwl/workflows/{workflow}").status_code == 200
    assert viewer.get(f"/cwl/run?dag_id={workflow}&run_id={run_id}").status_code == 200
    assert viewer.get(f"/cwl/workflows/{workflow}/run").status_code == 403
    admin = browser("admin")
    token = {"csrf_token": csrf(admin)}
    viewer.set_cookie("session", admin.get_cookie("session").value)
    refused = {
        f"/cwl/workflows/{workflow}/run": {"run_id": "r", "job": "text: x"},
        f"/cwl/stop?dag_id={workflow}&run_id={run_id}": {},
        f"/cwl/run/label?dag_id={workflow}&run_id={run_id}": {"title": "x"},
        f"/cwl/workflows/{workflow}/delete": {},
        "/cwl/workflows": {"dag_id": "new"},
        "/cwl/settings/connection": {"host": "evil.example.org"},
        "/cwl/settings/report-key": {"key": "x"},
        "/cwl/settings/trigger-key": {"key": "x"},
        "/cwl/settings/keys": {"algorithm": "RS256"},
        "/cwl/settings/check": {"key": "x"},
        "/cwl/settings/test": {},
        "/cwl/settings/retry": {},
        "/cwl/settings/remove/connection": {},
    }
    for path, fields in refused.items():
        assert viewer.post(path, data={**fields, **token}).status_code == 403, path


def test_a_user_may_run_but_not_upload(browser: Callable[..., Any], workflow: str, csrf: Callable[[Any], str]) -> None:
    user = browser("user")
    assert user.get(f"/cwl/workflows/{workflow}/run").status_code == 200
    assert 'type="file"' not in user.get("/cwl/workflows").text


def test_what_is_shown_is_escaped(browser: Callable[..., Any], workflow: str) -> None:
    for path in (
        f"/cwl/workflows/{HOSTILE}",
        f"/cwl/run?dag_id={HOSTILE}&run_id={HOSTILE}",
        f"/cwl/run?dag_id={workflow}&run_id={HOSTILE}",
        f"/cwl/runs?state={HOSTILE}",
        f"/cwl/workflows/{workflow}/run?from_run={HOSTILE}",
    ):
        answer = browser("admin").get(path)
        assert HOSTILE not in answer.text, path
        assert "Traceback" not in answer.text, path
        assert answer.status_code in (200, 400, 404), path


def test_a_stored_secret_is_never_shown(browser: Callable[..., Any]) -> None:
    from airflow.models import Variable

    from cwl_ui_plugin.signing.keys import generate_key_pair

    private = generate_key_pair("RS256").private
    Variable.set("process_report_private_key", private)
    try:
        page = browser("admin").get("/cwl/settings").text
    finally:
        Variable.delete("process_report_private_key")
    assert "SHA256:" in page
    assert not any(line in page for line in private.splitlines()[1:-1])


@pytest.mark.parametrize("path", ["", "/{dag_id}", "/{dag_id}/source", "/{dag_id}/versions?old={digest}&new={digest}"])
def test_every_address_on_a_page_keeps_the_prefix_that_airflow_is_served_below(
    browser: Callable[..., Any], workflow: str, run_id: str, store: Any, path: str
) -> None:
    digest = store.current(workflow).digest
    address = f"/cwl/workflows{path.format(dag_id=workflow, digest=digest)}"
    page = browser("admin").get(address, environ_overrides={"SCRIPT_NAME": "/airflow/pluginsv2"})
    assert page.status_code == 200
    addresses = re.findall(r'(?:href|src|action|data-graph|data-delete)="(/[^"]*)"', page.text)
    assert len(addresses) > 5
    assert [found for found in addresses if not found.startswith("/airflow/")] == []


@pytest.mark.parametrize(("act", "right"), [("current", "PUT"), ("restore", "PUT"), ("delete", "DELETE")])
def test_a_workflow_is_changed_by_those_who_may_change_its_dag(
    browser: Callable[..., Any],
    workflow: str,
    store: Any,
    csrf: Callable[[Any], str],
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    right: str,
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    admin = browser("admin")
    fields = {"csrf_token": csrf(admin), "version": store.current(workflow).digest}
    if act == "restore":
        store.delete(workflow)
    rights = {"GET", "POST", "PUT", "DELETE"} - {right}

    def is_authorized(_self: Any, *, method: str, **_options: Any) -> bool:
        return method in rights

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", is_authorized)
    assert admin.post(f"/cwl/workflows/{workflow}/{act}", data=fields).status_code == 403
    rights.add(right)
    assert admin.post(f"/cwl/workflows/{workflow}/{act}", data=fields).status_code == 302


def test_the_list_has_the_workflows_that_one_may_read(browser: Callable[..., Any], workflow: str) -> None:
    shown = browser("viewer").get(f"/cwl/workflows?search={workflow}")
    assert f'href="/cwl/workflows/{workflow}"' in shown.text
