"""The schedule of a workflow by REST: who may, what is taken, what is answered."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.plan import Parameter

CRON: dict[str, Any] = {"kind": "cron", "settings": {"cron": "0 6 * * *"}, "job": {"text": "{{ ds }}"}}


@pytest.fixture
def address(workflow: str) -> str:
    """The address of the schedule of a workflow that needs ``text``."""
    return f"/cwl/api/v1/workflows/{workflow}/schedule"


@pytest.fixture
def user(client: Callable[..., Any]) -> Any:
    return client("user")


def test_saved_shown_paused_and_removed(address: str, user: Any) -> None:
    assert user.get(address).status_code == 404
    saved = user.put(address, json={**CRON, "timezone": "Europe/Berlin", "max_active_runs": 2})
    assert saved.status_code == 200, saved.text
    body = saved.json()
    assert (body["kind"], body["settings"], body["job"]) == ("cron", CRON["settings"], CRON["job"])
    assert (body["description"], body["timezone"]) == ("At 06:00 (Europe/Berlin)", "Europe/Berlin")
    assert (body["starts"], body["problem"], body["saved_by"]) == (True, None, "the-user")
    assert len(body["next_times"]) == 3
    assert "grant" not in body
    assert user.get(address).json() == body
    assert user.get(address.removesuffix("/schedule")).json()["schedule"] == "0 6 * * *"
    assert user.post(f"{address}/pause", json={"is_paused": True}).json()["starts"] is False
    assert user.delete(address).status_code == 204
    assert user.delete(address).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"kind": "moon"}, 400, "no kind of schedule"),
        ({"settings": None}, 400, "settings must be an object"),
        ({"settings": {"cron": "every day"}}, 400, "five fields"),
        ({"timezone": "Mars/Base"}, 400, "no time zone"),
        ({"timezone": 5}, 400, "timezone must be a text"),
        ({"catchup": "yes"}, 400, "true or false"),
        ({"catchup": True}, 400, "start date"),
        ({"more": 1}, 400, "not known: more"),
        ({"job": []}, 400, "JSON object"),
        ({"job": {"text": "x"}, "from_run": "y"}, 400, "not both"),
        ({"job": None, "from_run": "no-such-run"}, 404, "no run"),
        ({"job": {}}, 422, "text"),
        ({"job": {"text": 5}}, 422, "expected string"),
        ({"job": {"text": "{{ nope }}"}}, 422, "'nope' is undefined"),
        ({"job": {"text": "\0"}}, 400, "null character"),
        ({"max_active_runs": 1.5}, 400, "number"),
    ],
)
def test_what_is_wrong_is_said(address: str, user: Any, change: dict[str, Any], status: int, said: str) -> None:
    answer = user.put(address, json={**CRON, **change})
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert user.get(address).status_code == 404


def test_the_job_of_a_run_is_taken_as_it_was(address: str, user: Any) -> None:
    runs = address.replace("/schedule", "/runs")
    text = "not a {{ template }}"
    assert user.post(runs, json={"run_id": "first", "job": {"text": text}}).status_code == 201
    saved = user.put(address, json={**CRON, "job": None, "from_run": "first"})
    assert saved.status_code == 200, saved.text
    assert saved.json()["job"]["text"] != text  # written so that it is one text for each run

    from cwl_ui_plugin.dags.job_templates import rendered

    assert rendered(saved.json()["job"], {})["text"] == text


def test_a_viewer_sees_it_and_changes_nothing(address: str, user: Any, client: Callable[..., Any]) -> None:
    viewer = client("viewer")
    user.put(address, json=CRON)
    assert viewer.get(address).status_code == 200
    for answer in (
        viewer.put(address, json=CRON),
        viewer.delete(address),
        viewer.post(f"{address}/pause", json={"is_paused": True}),
    ):
        assert answer.status_code == 403
    assert client(None).get(address).status_code == 401
    assert user.get(address).json()["is_paused"] is False


FOLDER: dict[str, Any] = {"files": {"file": "{s}.txt"}, "names": {"text": "s"}}


def test_a_watched_folder_is_previewed_saved_and_shown(
    add: Callable[..., Any], user: Any, client: Callable[..., Any], folders: Path
) -> None:
    from cwl_ui_plugin.services.watching.rounds import WatchRound

    dag_id = f"watch-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=(Parameter("file", "File"), Parameter("text", "string")))
    address = f"/cwl/api/v1/workflows/{dag_id}/schedule"
    incoming = folders / "inputs/incoming"
    incoming.mkdir(parents=True)
    (incoming / "a.txt").touch()
    settings = {**FOLDER, "folder": str(incoming)}
    found = user.post(f"{address}/folder/preview", json=settings)
    assert found.status_code == 200, found.text
    (one,) = found.json()["sets"]
    assert (one["name"], one["state"], one["given"]) == ("a", "complete", {"file": ["a.txt"], "text": ["a"]})
    assert user.post(f"{address}/folder/preview", json={**settings, "folder": "/etc"}).status_code == 422
    assert user.get(f"{address}/folder").status_code == 404
    saved = user.put(address, json={"kind": "folder", "settings": settings, "job": {}})
    assert saved.status_code == 200, saved.text
    WatchRound()()
    assert user.get(f"{address}/folder").json()["counts"] == {"changing": 1}
    assert client("viewer").post(f"{address}/folder/preview", json=settings).status_code == 403
    assert user.post(f"{address}/folder/again", json={"run_id": "none"}).status_code == 404
