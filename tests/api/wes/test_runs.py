"""Runs of stored workflows by WES: started, listed, told of, canceled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

WES = "/ga4gh/wes/v1"


def test_the_service_tells_what_it_is_to_everybody(client: Callable[..., Any]) -> None:
    answer = client().get(f"{WES}/service-info")
    assert answer.status_code == 200
    info = answer.json()
    assert info["type"] == {"group": "org.ga4gh", "artifact": "wes", "version": "1.1.0"}
    assert info["workflow_type_versions"] == {"CWL": {"workflow_type_version": ["v1.0", "v1.1", "v1.2"]}}
    assert set(info["workflow_engine_versions"]) == {"cwl-ui-plugin", "cwltool", "apache-airflow"}
    assert {"QUEUED", "COMPLETE", "EXECUTOR_ERROR"} <= set(info["system_state_counts"])
    assert client().get(info["auth_instructions_url"]).text.startswith("A token")


def test_a_wrong_option_is_not_shown_to_everybody(client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", "s3://a_login:a_secret@bucket/../x")
    answer = client().get(f"{WES}/service-info")
    assert answer.status_code == 200, answer.text
    assert "s3" not in answer.json()["supported_filesystem_protocols"]
    assert "a_secret" not in answer.text


def test_addresses_behind_a_proxy_are_those_of_the_site(
    client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for site, expected in (("https://testserver/a/", "https://testserver/a"), ("https://other", "http://testserver")):
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", site)
        monkeypatch.setenv("AIRFLOW__CWL__ALLOWED_HOSTS", "*")
        info = client().get(f"{WES}/service-info").json()
        assert info["auth_instructions_url"] == f"{expected}{WES}/auth-instructions"


def test_a_stored_workflow_is_run(client: Callable[..., Any], post: Callable[..., Any], workflow: str) -> None:
    tags = {"project": "p-1", "ü": "ö, and more"}
    queued = client().get(f"{WES}/service-info").json()["system_state_counts"]["QUEUED"]
    answer = post(
        "user", url=workflow, params={"text": "hello"}, tags=tags, workflow_engine_parameters={"title": "Mine"}
    )
    assert answer.status_code == 200, answer.text
    run_id = answer.json()["run_id"]
    viewer = client("viewer")
    assert viewer.get(f"{WES}/runs/{run_id}/status").json() == {"run_id": run_id, "state": "QUEUED"}
    log = viewer.get(f"{WES}/runs/{run_id}").json()
    assert log["request"] == {
        "workflow_type": "CWL",
        "workflow_type_version": "v1.2",
        "workflow_url": workflow,
        "tags": tags,
        "workflow_params": {"text": "hello"},
        "workflow_engine_parameters": {"title": "Mine"},
    }
    assert log["state"] == "QUEUED"
    assert log["outputs"] == {}
    assert log["run_log"]["name"] == "Mine"
    tasks = viewer.get(log["task_logs_url"]).json()
    assert [task["id"] for task in tasks["task_logs"]] == ["say"]
    assert tasks["next_page_token"] == ""
    assert viewer.get(f"{WES}/runs/{run_id}/tasks/say").json() == tasks["task_logs"][0]
    assert {"run_id": run_id, "state": "QUEUED", "tags": tags} in viewer.get(f"{WES}/runs").json()["runs"]
    assert viewer.get(f"{WES}/service-info").json()["system_state_counts"]["QUEUED"] == queued + 1
