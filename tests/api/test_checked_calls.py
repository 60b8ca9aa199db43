"""Runs that Airflow's own API creates are checked as ours are, before they exist, and only for who may create them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.airflow_routes import Core

from cwl_ui_plugin.api import grant_guard
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.monitoring import queries


@pytest.fixture
def core(site: Any) -> Core:
    return Core()


@pytest.fixture
def api(core: Core, token: Callable[[str], str], portal: Any) -> Iterator[TestClient]:
    """A client of Airflow's routes behind the guard, logged in as an Op."""
    made = TestClient(grant_guard.GrantGuard(core), raise_server_exceptions=False, follow_redirects=False)
    made.portal = portal
    made.headers["Authorization"] = f"Bearer {token('op')}"
    yield made


def post(api: TestClient, dag_id: str, conf: Any, **headers: str) -> tuple[int, str, str]:
    """Return status and detail of the answer, and the run_id that was asked for."""
    run_id = f"r-{uuid.uuid4()}"
    body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
    answer = api.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body, headers=headers)
    return answer.status_code, str(answer.json().get("detail")), run_id


def test_flat_keys_and_a_job_start_a_run(api: TestClient, workflow: str) -> None:
    for conf in ({"text": "x"}, {"job": {"text": "x"}}, {"text": None, "job": {"text": "x"}}):
        status, detail, run_id = post(api, workflow, conf)
        assert status == 200, detail
        assert queries.get_run(workflow, run_id).job == {"text": "x"}


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"text": 5}, "text: expected string, but got the number 5"),
        ({"text": "x", "txet": 1}, "txet: the workflow has no such input; did you mean 'text'"),
        ({"job": {"text": ["x"]}}, "text: expected string, but got a list"),
        ({}, "text: this input is required; give it a value of type string"),
        (None, "text: this input is required"),
        ({"text": None}, "text: this input is required"),
        ({"job": "x"}, 'The conf must be {"job"'),
        ({"text": "x", "output_folder": "here"}, "The job names output_folder"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_input(
    api: TestClient, core: Core, workflow: str, conf: Any, words: str
) -> None:
    status, detail, run_id = post(api, workflow, conf)
    assert status == 422
    assert words in detail
    assert core.calls == 0
    with pytest.raises(NotFound):
        queries.get_run(workflow, run_id)


def test_who_may_not_start_a_run_learns_nothing_of_its_inputs(
    api: TestClient, core: Core, workflow: str, token: Callable[[str], str]
) -> None:
    for header in (f"Bearer {token('viewer')}", "Bearer x", ""):
        status, detail, _ = post(api, workflow, {"nothing": 1}, Authorization=header)
        assert status in (401, 403)
        assert "text" not in detail
    assert core.calls == 3, "Airflow answers"


def test_a_backfill_is_checked_but_may_leave_to_the_schedule_what_that_gives(
    api: TestClient, core: Core, workflow: str
) -> None:
    body = {"dag_id": workflow, "from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-03T00:00:00Z"}
    wrong = api.post("/api/v2/backfills", json={**body, "dag_run_conf": {"text": 5}})
    assert (wrong.status_code, core.calls) == (422, 0)
    assert "text: expected string" in wrong.json()["detail"]
    api.post("/api/v2/backfills", json={**body, "dag_run_conf": {}})
    assert core.calls == 1, "Airflow has decided"


def test_other_dags_are_left_to_airflow(api: TestClient, core: Core) -> None:
    status, _, _ = post(api, "no-such-dag", {"anything": 1})
    assert (status, core.calls) == (404, 1)


@pytest.mark.parametrize(("answer", "is_checked"), [(404, True), (200, True), (403, False), (401, False), (405, False)])
def test_a_task_that_airflow_lets_in_is_told_what_is_wrong(
    site: Any, workflow: str, answer: int, is_checked: bool
) -> None:
    came: list[str] = []

    async def airflow(scope: Any, _receive: Any, send: Any) -> None:
        came.append(scope["method"])
        status = answer if scope["method"] == "GET" else 418
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    client = TestClient(grant_guard.GrantGuard(airflow))
    told = client.post(f"/execution/dag-runs/{workflow}/r", json={"conf": {"text": 5}})
    assert told.status_code == (422 if is_checked else 418)
    assert came == (["GET"] if is_checked else ["GET", "POST"])
    if is_checked:
        assert "- text: expected string, but got the number 5" in told.json()["detail"]
    came.clear()
    assert client.post(f"/execution/dag-runs/{workflow}/r", json={"conf": {"text": "x"}}).status_code == 418
    assert came == ["POST"]
