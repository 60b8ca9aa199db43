"""Who may call what: nobody without a login, viewers only look, users run, operators change the code that runs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

API = "/cwl/api/v1"
RUN = "/workflows/{dag_id}/runs/{run_id}"
BATCHES = "/workflows/{dag_id}/batches"
PRESETS = "/workflows/{dag_id}/presets"
NO_ID = "0" * 32
# Each call with the least role that may do it.
CALLS: list[tuple[str, str, str]] = [
    ("GET", "/workflows", "viewer"),
    ("POST", "/workflows", "op"),
    ("POST", "/workflows/import", "op"),
    ("GET", f"/uploads/{NO_ID}", "viewer"),
    ("GET", "/workflows/{dag_id}", "viewer"),
    ("GET", "/workflows/{dag_id}/source", "viewer"),
    ("DELETE", "/workflows/{dag_id}", "op"),
    ("POST", "/workflows/{dag_id}/recompile", "op"),
    ("POST", "/workflows/{dag_id}/current", "op"),
    ("POST", "/workflows/{dag_id}/restore", "op"),
    ("GET", "/workflows/{dag_id}/schedule", "viewer"),
    ("PUT", "/workflows/{dag_id}/schedule", "user"),
    ("DELETE", "/workflows/{dag_id}/schedule", "user"),
    ("POST", "/workflows/{dag_id}/schedule/pause", "user"),
    ("GET", "/workflows/{dag_id}/schedule/folder", "user"),
    ("POST", "/workflows/{dag_id}/schedule/folder/preview", "user"),
    ("POST", "/workflows/{dag_id}/schedule/folder/again", "user"),
    ("GET", "/workflows/{dag_id}/approvals", "viewer"),
    ("PUT", "/workflows/{dag_id}/approvals", "op"),
    ("POST", "/workflows/{dag_id}/runs", "user"),
    ("POST", "/workflows/{dag_id}/secondary-files", "user"),
    ("GET", "/workflows/{dag_id}/sample-sheet", "viewer"),
    ("POST", BATCHES, "user"),
    ("GET", BATCHES, "viewer"),
    ("GET", f"{BATCHES}/{NO_ID}", "viewer"),
    ("POST", f"{BATCHES}/{NO_ID}/stop", "user"),
    ("POST", f"{BATCHES}/{NO_ID}/retry", "user"),
    ("GET", f"{BATCHES}/{NO_ID}/outputs", "viewer"),
    ("GET", f"{BATCHES}/{NO_ID}/zip", "viewer"),
    ("GET", PRESETS, "user"),
    ("POST", PRESETS, "user"),
    ("GET", f"{PRESETS}/{NO_ID}", "user"),
    ("PATCH", f"{PRESETS}/{NO_ID}", "user"),
    ("DELETE", f"{PRESETS}/{NO_ID}", "user"),
    ("GET", f"{PRESETS}/{NO_ID}/job", "user"),
    ("GET", "/notifications", "viewer"),
    ("POST", "/notifications", "viewer"),
    ("DELETE", f"/notifications/{NO_ID}", "viewer"),
    ("GET", "/runs", "viewer"),
    ("GET", RUN, "viewer"),
    ("GET", f"{RUN}/outputs", "viewer"),
    ("GET", f"{RUN}/files", "viewer"),
    ("GET", f"{RUN}/files/x", "viewer"),
    ("GET", f"{RUN}/zip", "viewer"),
    ("GET", f"{RUN}/input-file?place=text", "viewer"),
    ("HEAD", f"{RUN}/input-file?place=text", "viewer"),
    ("GET", f"{RUN}/lineage", "viewer"),
    ("GET", f"{RUN}/crate", "viewer"),
    ("POST", "/crates", "op"),
    ("GET", f"{RUN}/report", "viewer"),
    ("GET", f"{RUN}/logs/main/-1/1/stdout", "viewer"),
    ("GET", f"{RUN}/reports", "viewer"),
    ("HEAD", f"{RUN}/files/x", "viewer"),
    ("POST", f"{RUN}/stop", "user"),
    ("POST", f"{RUN}/again", "user"),
    ("GET", f"{RUN}/continue", "viewer"),
    ("POST", f"{RUN}/continue", "user"),
    ("GET", f"{RUN}/fix", "viewer"),
    ("POST", f"{RUN}/fix", "user"),
    ("GET", f"{RUN}/resources", "viewer"),
    ("PATCH", RUN, "user"),
    ("POST", "/inputs?name=x", "user"),
    ("POST", "/inputs/visible", "user"),
    ("GET", "/inputs/browse", "user"),
    ("POST", "/inputs/parts?name=x&size=1", "user"),
    ("GET", f"/inputs/parts/{NO_ID}", "user"),
    ("PUT", f"/inputs/parts/{NO_ID}?offset=0", "user"),
    ("DELETE", f"/inputs/parts/{NO_ID}", "user"),
    ("POST", "/inputs/stored?name=x&size=1", "user"),
    ("GET", f"/inputs/stored/{NO_ID}", "user"),
    ("POST", f"/inputs/stored/{NO_ID}/parts/1", "user"),
    ("PUT", f"/inputs/stored/{NO_ID}/parts/1", "user"),
    ("POST", f"/inputs/stored/{NO_ID}/complete", "user"),
    ("DELETE", f"/inputs/stored/{NO_ID}", "user"),
    ("GET", "/reports", "op"),
    ("GET", "/reports/waiting", "op"),
    ("POST", "/reports/test", "op"),
    ("POST", "/reports/retry", "op"),
    ("GET", "/retention", "op"),
    ("GET", "/retention/removable", "op"),
    ("POST", "/retention/clean", "op"),
    ("POST", "/retention/measure", "op"),
    ("POST", "/keys", "op"),
]
CHANGING = {("POST", f"{RUN}/stop"): 1, ("DELETE", "/workflows/{dag_id}"): 2}
"""Those that take from others what they are about."""
ROLES = ["viewer", "user", "op", "admin"]
OPEN = {"/api/v1/health", "/api/v1/service"}


def test_every_route_is_in_the_table(site: Any) -> None:
    """A new route without a permission would be open to all: it has to be named above."""
    from cwl_ui_plugin.api import rest

    known = {(method, API + path.partition("?")[0]) for method, path, _role in CALLS}
    unnamed = []
    for path, operations in rest.app().openapi()["paths"].items():
        for method in operations:
            if path not in OPEN:
                named = re.sub(r"\{(upload|batch|preset|choice)_id\}", NO_ID, f"/cwl{path}").replace("{path}", "x")
                named = named.replace("{task_id}/{map_index}/{try_number}/{stream}", "main/-1/1/stdout")
                named = named.replace("{number}", "1")
                unnamed += [f"{method} {path}"] if (method.upper(), named) not in known else []
    assert unnamed == []


def test_each_call_needs_its_role(client: Callable[..., Any], workflow: str, run_id: str, output: Path) -> None:
    """Of one run: what ends it, and what removes its workflow, is called last."""
    nobody, users = client(), {role: client(role) for role in ROLES}
    wrong = []
    for method, path, least in sorted(CALLS, key=lambda call: CHANGING.get(call[:2], 0)):
        url = API + path.format(dag_id=workflow, run_id=run_id)
        anonymous = nobody.request(method, url)
        if anonymous.status_code != 401 or (method != "HEAD" and anonymous.json()["problems"]):
            wrong.append(f"nobody: {method} {path}: {anonymous.status_code} {anonymous.text[:100]}")
        for role, user in users.items():
            status = user.request(method, url).status_code
            is_allowed = ROLES.index(role) >= ROLES.index(least)
            if status in (401, 403, 500) if is_allowed else status != 403:
                wrong.append(f"{role}: {method} {path}: {status}")
    assert wrong == []


def test_a_user_may_remove_runs_and_a_viewer_may_not(client: Callable[..., Any], workflow: str, run_id: str) -> None:
    url = f"{API}/workflows/{workflow}/runs/{run_id}/stop"
    assert client("viewer").post(url, json={"remove": True}).status_code == 403
    assert client("user").post(url, json={"remove": True}).status_code == 200


def test_garbage_is_no_login(client: Callable[..., Any], folders: Path) -> None:
    answer = client().get(f"{API}/workflows", headers={"Authorization": "Bearer garbage"})
    assert answer.status_code in (401, 403)
    assert answer.json()["problems"] == []


def test_health_needs_no_login(client: Callable[..., Any]) -> None:
    answer = client().get(f"{API}/health")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert answer.json()["version"]


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://testserver"}, True),
        ({"Origin": "http://evil.example.org"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, False),
    ],
)
def test_with_a_cookie_unsafe_calls_come_from_this_site_only(
    client: Callable[..., Any], workflow: str, headers: dict[str, str], allowed: bool
) -> None:
    body = {"run_id": f"r-{uuid.uuid4()}", "job": {"text": "x"}}
    url = f"{API}/workflows/{workflow}/runs"
    answer = client("admin", cookie=True).post(url, json=body, headers=headers)
    assert answer.status_code == (201 if allowed else 403), answer.text
    assert client("admin", cookie=True).get(f"{API}/workflows", headers=headers).status_code == 200
    other = {**body, "run_id": f"r-{uuid.uuid4()}"}
    assert client("admin").post(url, json=other, headers=headers).status_code == 201  # a token is proof enough


def test_in_all_admins_mode_the_injected_token_is_no_proof(
    client: Callable[..., Any], workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    url = f"{API}/workflows/{workflow}/runs"
    body = {"job": {"text": "x"}}
    assert client("admin").post(url, json=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client("admin").post(url, json=body).status_code == 201


def test_lists_have_what_the_user_may_read(
    client: Callable[..., Any], workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    assert client("viewer").get(f"{API}/workflows").json()["total"] == 1
    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", lambda *_arguments, **_options: False)
    assert client("viewer").get(f"{API}/workflows").json() == {"workflows": [], "total": 0}
    assert client("viewer").get(f"{API}/runs").json() == {"runs": [], "total": 0}
    assert client("viewer").get(f"{API}/runs", params={"dag_id": workflow}).status_code == 403
