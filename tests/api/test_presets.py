"""Presets by REST: who may, what is taken, what is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

JOB = {"text": "hello", "big": 2**70}
Client = Callable[..., Any]


@pytest.fixture
def address(workflow: str) -> str:
    return f"/cwl/api/v1/workflows/{workflow}/presets"


@pytest.fixture
def user(client: Client) -> Any:
    return client("user")


def test_saved_listed_changed_taken_away_and_deleted(address: str, user: Any) -> None:
    assert user.get(address).json() == {"presets": []}
    saved = user.post(address, json={"name": "My / usual\n inputs", "job": JOB})
    assert saved.status_code == 201, saved.text
    body = saved.json()
    assert (body["name"], body["job"], body["is_shared"], body["owner"]) == (
        "My / usual inputs",
        JOB,
        False,
        "the-user",
    )
    listed = user.get(address).json()["presets"]
    assert [item["id"] for item in listed] == [body["id"]]
    assert "job" not in listed[0]
    one = f"{address}/{body['id']}"
    shown = user.get(one).json()
    assert (shown["job"], shown["left_out"], shown["fitted_to"]) == (JOB, [], body["version"])
    changed = user.patch(one, json={"name": "Other", "revision": 1})
    assert (changed.status_code, changed.json()["name"], changed.json()["job"]) == (200, "Other", JOB)
    assert user.patch(one, json={"job": {}, "revision": 1}).status_code == 409
    as_json = user.get(f"{one}/job?format=json")
    assert (as_json.json(), as_json.headers["content-type"]) == (JOB, "application/json")
    as_yaml = user.get(f"{one}/job")
    assert yaml.safe_load(as_yaml.text) == JOB
    assert "filename*=UTF-8''Other.yml" in as_yaml.headers["content-disposition"]
    assert as_yaml.headers["x-content-type-options"] == "nosniff"
    assert user.delete(one).status_code == 204
    assert user.delete(one).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": 5}, 400, "name must be a text"),
        ({"name": "x", "more": 1}, 400, "not known: more"),
        ({"name": "x", "is_shared": "yes"}, 400, "true or false"),
        ({"name": "x", "job": []}, 400, "JSON object"),
        ({"name": "x", "job": {}, "from_run": "y"}, 400, "not both"),
        ({"name": "x", "from_run": "no-such-run"}, 404, "no run"),
        ({"name": "x", "version": "0" * 32}, 404, "version"),
        ({"name": "x", "version": "../../etc"}, 404, "version"),
        ({"name": "x\u202e"}, 400, "nobody sees"),
        ({"name": "x", "job": {"a": "y" * 1_000_001}}, 413, "at most"),
    ],
)
def test_what_is_wrong_is_said(address: str, user: Any, body: dict[str, Any], status: int, said: str) -> None:
    answer = user.post(address, json=body)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert user.get(address).json() == {"presets": []}


def test_the_job_of_a_run_is_kept(address: str, user: Any) -> None:
    assert user.post(address.replace("/presets", "/runs"), json={"run_id": "first", "job": {"text": "x"}}).is_success
    saved = user.post(address, json={"name": "First", "from_run": "first"})
    assert saved.json()["job"]["text"] == "x"


def test_who_may(address: str, client: Client) -> None:
    user, op, viewer = client("user"), client("op"), client("viewer")
    mine = user.post(address, json={"name": "Mine", "job": JOB}).json()
    shared = op.post(address, json={"name": "Shared", "job": JOB, "is_shared": True}).json()
    assert [item["name"] for item in user.get(address).json()["presets"]] == ["Mine", "Shared"]
    assert [item["name"] for item in op.get(address).json()["presets"]] == ["Shared"]
    for call in (op.get, op.delete):
        assert call(f"{address}/{mine['id']}").status_code == 404
    assert op.patch(f"{address}/{mine['id']}", json={"name": "Stolen"}).status_code == 404
    assert op.get(f"{address}/{mine['id']}/job").status_code == 404
    assert user.get(f"{address}/{shared['id']}").status_code == 200
    for call, path in ((viewer.get, ""), (viewer.get, f"/{shared['id']}"), (viewer.delete, f"/{shared['id']}")):
        assert call(address + path).status_code == 403
    assert viewer.post(address, json={"name": "x"}).status_code == 403
    assert client().get(address).status_code == 401
