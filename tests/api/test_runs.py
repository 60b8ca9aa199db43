"""What REST tells of runs besides Airflow's words, and how they are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.stored import BEGAN

from cwl_ui_plugin.services.monitoring import end_waiting, queries
from cwl_ui_plugin.services.stopping import stops

API = "/cwl/api/v1"


@pytest.fixture
def run_url(workflow: str, run_id: str) -> str:
    return f"{API}/workflows/{workflow}/runs/{run_id}"


def test_a_run_is_named_and_found(client: Callable[..., Any], workflow: str, run_id: str, run_url: str) -> None:
    user = client("user")
    named = user.patch(run_url, json={"title": "Liver", "tags": ["mouse", "third"], "note": "Look at the peaks."})
    assert named.status_code == 200, named.text
    told = (named.json()["title"], named.json()["tags"], named.json()["note"])
    assert told == ("Liver", ["mouse", "third"], "Look at the peaks.")
    for query in ({"text": "liver peaks"}, {"tag": "mouse"}, {"shown_state": "queued"}, {"text": run_id[:13]}):
        (listed,) = user.get(f"{API}/runs", params={"dag_id": workflow, **query}).json()["runs"]
        assert (listed["run_id"], listed["title"]) == (run_id, "Liver")
    for query in ({"text": "liver valleys"}, {"tag": "mou"}, {"shown_state": "failed"}):
        assert user.get(f"{API}/runs", params={"dag_id": workflow, **query}).json()["total"] == 0
    kept = user.patch(run_url, json={"tags": [], "note": None}).json()
    assert (kept["title"], kept["tags"], kept["note"]) == ("Liver", [], "Look at the peaks.")
    gone = user.patch(run_url, json={"title": "", "note": ""}).json()
    assert (gone["title"], gone["note"]) == (None, None)


def test_a_call_may_wait_for_the_end_of_a_run_within_bounds(
    client: Callable[..., Any], run_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = client("user")
    waited: list[float] = []

    async def wait(_ends: object, _dag_id: str, _run_id: str, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(end_waiting.RunEnds, "wait", wait)
    assert [user.get(run_url, params=params).status_code for params in ({}, {"wait": "0.5"}, {"wait": "5"})] == [
        200
    ] * 3
    assert waited == [0.5, 5]
    for wrong in ("6", "-1", "x"):
        assert user.get(run_url, params={"wait": wrong}).status_code in (400, 422)
    client().get(run_url, params={"wait": "1"})
    assert waited == [0.5, 5], "not before it is known who asks"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"title": "x" * 201}, 400),
        ({"tags": ["a,b"]}, 400),
        ({"note": "x" * 1001}, 400),
        ({"tags": "mouse"}, 422),
        ({"titel": "Liver"}, 422),
    ],
)
def test_what_is_no_name_is_refused_and_nothing_changes(
    client: Callable[..., Any], run_url: str, body: dict[str, Any], status: int
) -> None:
    admin = client("admin")
    admin.patch(run_url, json={"title": "Liver"})
    answer = admin.patch(run_url, json={"title": "Other", **body})
    assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)
    assert admin.get(run_url).json()["title"] == "Liver"
    assert admin.patch(f"{run_url}-gone", json={"title": "x"}).status_code == 404


@pytest.mark.usefixtures("no_supervisors")
def test_a_stopped_run_is_told_as_stopped_and_failed_to_airflow(
    client: Callable[..., Any], workflow: str, run_id: str, run_url: str, airflow: Any
) -> None:
    first = queries.get_run(workflow, run_id).steps[0].task_id
    airflow.set_task(workflow, run_id, first, state="running", start_date=BEGAN)
    stops.stop_run(workflow, run_id, user="eve")
    run = client("viewer").get(run_url).json()
    assert (run["state"], run["shown_state"], run["stopped_by"]) == ("failed", "stopped", "eve")
    assert run["stopped_at"]
    assert {step["state"] for step in run["steps"]} == {"failed"}
    assert [step["shown_state"] for step in run["steps"][:2]] == ["stopped", "not_run"]
    assert (run["waits"], run["waiting_tasks"]) == (None, {})


def test_what_a_run_waits_for_is_said(client: Callable[..., Any], run_url: str) -> None:
    assert "No scheduler of Airflow is running" in client("viewer").get(run_url).json()["waits"]


@pytest.mark.parametrize("part", ["", "/outputs"])
def test_outputs_that_are_no_unicode_are_told_with_another_character(
    client: Callable[..., Any], workflow: str, run_id: str, run_url: str, airflow: Any, part: str
) -> None:
    location = f"file:///x/{run_id}/a%FFb"
    value = {"said": "a\ud800b", "file": {"class": "File", "location": location, "basename": "a\udcffb"}}
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    airflow.set_run(workflow, run_id, "success")
    answer = client("viewer").get(f"{run_url}{part}")
    assert (answer.status_code, "a?b" in answer.text) == (200, True)
