"""Grants are the server's: nobody brings one, nobody is shown one; and whoever is refused a run is in the audit log."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.services.triggering import refusals, triggers

Client = Callable[..., Any]
API = "/cwl/api/v1"


@pytest.fixture
def guarded(site: Any, portal: Any) -> Iterator[tuple[Any, list[bytes]]]:
    """A client of an app behind the guard, and the bodies that came through."""
    from fastapi.testclient import TestClient

    from cwl_ui_plugin.api.grant_guard import GrantGuard

    came: list[bytes] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        body, is_more = b"", True
        while is_more:
            message = await receive()
            body, is_more = body + message.get("body", b""), message.get("more_body", False)
        came.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    made = TestClient(GrantGuard(app))
    made.portal = portal
    yield made, came


CREATING = [
    "/api/v2/dags/d/dagRuns",
    "/api/v2/dags/d/dagRuns/",
    "/api/v2/backfills",
    "/api/v2/backfills/dry_run",
    "/api/v2/assets/1/materialize",
    "/execution/dag-runs/d/r",
]
BRINGING = [
    {"conf": {GRANT: "a.b.c"}},
    {"dag_run_conf": {GRANT: None}},
    {"conf": {"job": {}, GRANT: {}}, "note": "x"},
]


@pytest.mark.parametrize("path", CREATING)
def test_what_creates_runs_takes_no_grant(guarded: Any, path: str) -> None:
    client, came = guarded
    for body in BRINGING:
        answer = client.post(path, json=body)
        assert (answer.status_code, GRANT in answer.json()["detail"]) == (400, True)
    assert came == []
    sent = json.dumps({"conf": {"job": {"text": f"{GRANT} ä"}}}).encode()
    assert client.post(path, content=sent).status_code == 200
    assert client.post(path, content=iter([b"{", b'"conf": 1', b"}"])).status_code == 200
    assert came == [sent, b'{"conf": 1}']


@pytest.mark.parametrize("path", ["/a/api/v2/dags/d/dagRuns", "/api/v2/dags/d/dagRuns"])
def test_a_site_that_is_served_below_a_prefix_takes_none_either(path: str) -> None:
    """A proxy may take the prefix away, or leave it; Starlette routes both."""
    from fastapi.testclient import TestClient

    from cwl_ui_plugin.api.grant_guard import GrantGuard

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError(scope["path"])

    client = TestClient(GrantGuard(app), root_path="/a")
    assert client.post(path, json={"conf": {GRANT: "x"}}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"conf": {"cwl\\u005fgrant": "x"}}',
        b'{"conf": {"cwl_grant": "x"}, "conf": {}}',
        b'{"conf": {}, "conf": {"cwl_grant": "x"}}',
        '{"conf": {"cwl_grant": "x"}}'.encode("utf-16"),
        b'\xef\xbb\xbf{"conf": {"cwl_grant": "x"}}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b', "conf": {"cwl_grant": "x"}}',
    ],
)
def test_a_grant_does_not_come_in_disguise(guarded: Any, body: bytes) -> None:
    client, came = guarded
    answer = client.post(CREATING[0], content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 or came == [body]
    if came:  # what Python's reader does not take, Airflow's does not either
        with pytest.raises(ValueError, match=r".*"):
            json.loads(body)


def test_what_is_nested_too_deeply_is_called_that(guarded: Any) -> None:
    client, came = guarded
    answer = client.post(CREATING[0], content=b'{"conf": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert (answer.status_code, "nested too deeply" in answer.text, came) == (400, True, [])


def test_other_calls_and_what_is_no_json_go_through(guarded: Any) -> None:
    client, came = guarded
    assert client.post(CREATING[0], content=b"no json").status_code == 200
    assert client.post("/api/v2/variables", json={"key": GRANT, "value": "x"}).status_code == 200
    assert client.get(CREATING[0]).status_code == 200
    assert len(came) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_what_tasks_hand_on_is_not_changed_from_outside(guarded: Any, workflow: str, method: str) -> None:
    """An XCom names files, which the next task reads as the worker's user."""
    client, came = guarded
    for end in ("", "/", "/return_value", "/a/b"):
        path = f"/dagRuns/r/taskInstances/t/xcomEntries{end}"
        refused = client.request(method, f"/api/v2/dags/{workflow}{path}", json={"value": 1})
        assert (refused.status_code, "XCom" in refused.json()["detail"]) == (403, True), end
        assert came == []
    assert client.request(method, f"/api/v2/dags/not-cwl{path}", json={"value": 1}).status_code == 200
    assert client.get(f"/api/v2/dags/{workflow}{path}").status_code == 200
    assert len(came) == 2


def test_a_body_has_a_bound(guarded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "max_call_size", lambda: 100)
    client, came = guarded
    assert client.post(CREATING[0], json={"conf": {"x": "y" * 100}}).status_code == 413
    assert client.post(CREATING[0], content=iter([b"x" * 60, b"x" * 60])).status_code == 413
    assert came == []


def test_a_mistake_in_an_option_holds_up_no_dag(guarded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", "large")
    client, came = guarded
    assert client.post(CREATING[0], json={"conf": {}}).status_code == 200
    assert len(came) == 1


def test_the_guard_stands_around_airflow(airflow_home: Any) -> None:
    from cwl_ui_plugin.api.grant_guard import GrantGuard
    from cwl_ui_plugin.plugin import CwlUiPlugin

    assert GrantGuard in [entry["middleware"] for entry in CwlUiPlugin().fastapi_root_middlewares]


def entries(dag_id: str) -> list[Any]:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(Log).where(Log.event == refusals.EVENT, Log.dag_id == dag_id)).all()
        return [(entry.owner, entry.run_id, json.loads(entry.extra)["reason"]) for entry in found]


def test_who_brings_a_grant_is_in_the_audit_log(
    guarded: Any, token: Callable[[str], str], client: Client, workflow: str
) -> None:
    guard, _came = guarded
    guard.post(f"/api/v2/dags/{workflow}/dagRuns", json=BRINGING[0], headers={"Authorization": f"Bearer {token('op')}"})
    guard.post(f"/api/v2/dags/{workflow}/dagRuns", json=BRINGING[0])
    assert [(owner, GRANT in reason) for owner, _run_id, reason in entries(workflow)] == [("the-op", True)]


@pytest.mark.parametrize("path", [f"{API}/workflows/{{}}/runs", "/api/experimental/dags/{}/dag_runs"])
def test_our_own_calls_take_no_grant(client: Client, workflow: str, path: str) -> None:
    body = {"run_id": f"r-{uuid.uuid4()}", "conf": {"job": {"text": "x"}, GRANT: "a.b.c"}}
    answer = client("user").post(path.format(workflow), json=body)
    assert (answer.status_code, GRANT in answer.json()["detail"]) == (400, True)
    assert client("admin").get(f"{API}/runs", params={"dag_id": workflow}).json()["total"] == 0
    assert [(owner, run_id) for owner, run_id, _reason in entries(workflow)] == [("the-user", body["run_id"])]


@pytest.mark.parametrize("path", [f"{API}/workflows/{{}}/runs", "/api/experimental/dags/{}/dag_runs"])
def test_whoever_is_refused_is_in_the_audit_log_without_values(client: Client, workflow: str, path: str) -> None:
    job = {"text": ["a secret"]}
    for _ in range(3):
        assert client("user").post(path.format(workflow), json={"run_id": "r", "conf": {"job": job}}).status_code == 422
    assert client("viewer").post(path.format(workflow), json={"conf": {"job": job}}).status_code == 403
    assert client().post(path.format(workflow), json={"conf": {"job": job}}).status_code == 401
    found = entries(workflow)
    assert [owner for owner, _run_id, _reason in found] == ["the-user", "the-viewer"]
    assert "(text)" in found[0][2]
    assert "secret" not in str(found)


def test_the_log_of_refusals_has_a_bound(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_recent", refusals._Recent())
    for number in range(refusals.MAX_IN_PERIOD + 50):
        refusals.record(workflow, "r" * 999, None, f"{number} " + "x" * 9999)
    found = entries(workflow)
    assert len(found) == refusals.MAX_IN_PERIOD
    assert {len(reason) for _owner, _run_id, reason in found} == {refusals.MAX_REASON}


def test_a_log_that_can_not_be_written_changes_no_answer(
    client: Client, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError("no database")

    monkeypatch.setattr(refusals, "_write", fail)
    assert client("user").post(f"{API}/workflows/{workflow}/runs", json={"job": {"text": 1}}).status_code == 422


def test_nobody_is_shown_a_grant(client: Client, workflow: str) -> None:
    run_id = f"r-{uuid.uuid4()}"
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    for path in (f"{API}/workflows/{workflow}/runs/{run_id}", f"{API}/runs?dag_id={workflow}"):
        assert GRANT not in client("admin").get(path).text
    old = client("admin").get(f"/api/experimental/dags/{workflow}/dag_runs")
    assert GRANT not in old.text
