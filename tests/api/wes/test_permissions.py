"""Who may do what by WES: what the auth manager says, asked for each Dag; and how callers say who they are."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from cwl_ui_plugin.services.wes.run_ids import run_id_of

WES = "/ga4gh/wes/v1"
READS = ("", "/status", "/tasks", "/tasks/say", "/stdout", "/stderr", "/tasks/say/stderr", "/ro-crate")


@pytest.fixture
def run(workflow: str, run_id: str) -> str:
    return f"{WES}/runs/{run_id_of(workflow, run_id)}"


def test_nobody_sees_anything(client: Callable[..., Any], run: str) -> None:
    for path in (f"{WES}/runs", *(run + end for end in READS)):
        answer = client().get(path)
        assert (answer.status_code, answer.json()["status_code"]) == (401, 401), path
    assert client().post(f"{WES}/runs", files={"tags": (None, "{}")}).status_code == 401
    assert client().post(f"{run}/cancel").status_code == 401


def test_viewers_look_and_no_more(
    client: Callable[..., Any], post: Callable[..., Any], run: str, workflow: str
) -> None:
    for end in ("", "/status", "/tasks", "/tasks/say", "/stdout", "/stderr", "/tasks/say/stderr"):
        assert client("viewer").get(run + end).status_code == 200, end
    assert post("viewer", url=workflow, params={"text": "x"}).status_code == 403
    assert client("viewer").post(f"{run}/cancel").json()["status_code"] == 403
    assert client("viewer").get(f"{run}/status").json()["state"] == "QUEUED"


def test_runs_of_dags_that_one_may_not_read_are_not_there(
    client: Callable[..., Any], run: str, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.auth import permissions

    monkeypatch.setattr(permissions, "may_read", lambda _user, dag_id: dag_id != workflow)
    monkeypatch.setattr(permissions, "readable_dag_ids", lambda _user: set())
    user = client("user")
    assert user.get(f"{WES}/runs").json() == {"runs": [], "next_page_token": ""}
    assert set(user.get(f"{WES}/service-info").json()["system_state_counts"].values()) == {0}
    for end in (*READS, "/outputs/x"):
        assert user.get(run + end).status_code == 403, end


def test_whoever_may_stop_runs_cancels_them(client: Callable[..., Any], run: str) -> None:
    for _ in range(2):
        answer = client("user").post(f"{run}/cancel")
        assert (answer.status_code, answer.json()) == (200, {"run_id": run.rpartition("/")[2]})
        assert client("user").get(f"{run}/status").json()["state"] == "CANCELED"


def test_a_token_may_be_a_password(client: Callable[..., Any], token: Callable[[str], str], run: str) -> None:
    def call(text: str) -> int:
        header = {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
        return int(client().get(f"{run}/status", headers=header).status_code)

    assert call(f"anybody:{token('viewer')}") == 200
    assert call("anybody:secret") == 403  # as Airflow answers a token that is none
    assert call("anybody") == 401
    assert client().get(f"{run}/status", headers={"Authorization": "Basic ???"}).status_code == 401


def test_pages_of_other_sites_start_and_cancel_nothing(
    client: Callable[..., Any], token: Callable[[str], str], run: str, workflow: str
) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    form = {"workflow_url": (None, workflow), "workflow_type": (None, "CWL")}
    basic = {"Authorization": f"Basic {base64.b64encode(('x:' + token('admin')).encode()).decode()}"}
    for caller, headers in ((client("admin", cookie=True), foreign), (client(), {**foreign, **basic})):
        for answer in (
            caller.post(f"{WES}/runs", files=form, headers=headers),
            caller.post(f"{run}/cancel", headers=headers),
        ):
            assert answer.status_code == 403
            assert "another site" in answer.json()["msg"]
    assert client("admin").get(f"{run}/status").json()["state"] == "QUEUED"


def test_a_name_that_is_taken_is_a_bad_request(post: Callable[..., Any], workflow: str) -> None:
    parameters = {"run_id": f"mine-{uuid.uuid4()}"}
    given = {"url": workflow, "params": {"text": "x"}, "workflow_engine_parameters": parameters}
    assert post("user", **given).status_code == 200
    again = post("user", **given)
    assert (again.status_code, again.json()["status_code"]) == (400, 400)


def test_only_signed_runs_are_only_signed_runs(
    post: Callable[..., Any], workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    assert post("admin", url=workflow, params={"text": "x"}).status_code == 403


def test_an_earlier_version_can_be_named(post: Callable[..., Any], workflow: str) -> None:
    answer = post("user", url=f"{workflow}@{'0' * 32}", params={"text": "x"})
    assert answer.status_code == 400
    assert "version" in answer.json()["msg"]


def test_a_dag_that_is_not_cwl_is_not_run(post: Callable[..., Any], other_dag: str) -> None:
    answer = post("admin", url=other_dag)
    assert answer.status_code == 400
    assert "no CWL workflow" in answer.json()["msg"]
