"""What was there comes back by the REST API: an earlier version, a deleted workflow, a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.stored import set_run

WORKFLOWS = "/cwl/api/v1/workflows"


def test_another_version_becomes_the_current_one(client: Callable[..., Any], workflow: str) -> None:
    digest = client("op").get(f"{WORKFLOWS}/{workflow}").json()["digest"]
    answer = client("op").post(f"{WORKFLOWS}/{workflow}/current", json={"version": digest})
    assert (answer.status_code, answer.json()["digest"]) == (200, digest)
    missing = client("op").post(f"{WORKFLOWS}/{workflow}/current", json={"version": "0" * 32})
    assert missing.status_code == 404


def test_a_deleted_workflow_comes_back(client: Callable[..., Any], workflow: str) -> None:
    there = client("op").post(f"{WORKFLOWS}/{workflow}/restore")
    assert there.status_code == 404, "it was not deleted"
    assert client("op").delete(f"{WORKFLOWS}/{workflow}").status_code == 204
    assert client("op").get(f"{WORKFLOWS}/{workflow}").status_code == 404
    answer = client("op").post(f"{WORKFLOWS}/{workflow}/restore")
    assert (answer.status_code, answer.json()["dag_id"]) == (200, workflow)
    assert client("op").get(f"{WORKFLOWS}/{workflow}").status_code == 200


def test_a_run_is_started_again_with_its_job(client: Callable[..., Any], workflow: str, run_id: str) -> None:
    set_run(workflow, run_id, "success")
    runs = f"{WORKFLOWS}/{workflow}/runs"
    answer = client("user").post(f"{runs}/{run_id}/again")
    assert answer.status_code == 201, answer.text
    again = answer.json()["run_id"]
    assert again != run_id
    earlier, later = (client("user").get(f"{runs}/{name}").json() for name in (run_id, again))
    assert (earlier["job"], earlier["version"]) == (later["job"], later["version"])
    assert client("user").post(f"{runs}/no-such-run/again").status_code == 404
