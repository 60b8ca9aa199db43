"""A workflow that an ordinary Dag file names."""

from __future__ import annotations

import uuid

import httpx
import pytest
from support.airflow_server import DAG_FILE_ID, Server, wait_for

pytestmark = pytest.mark.e2e


def test_it_runs_like_one_that_was_uploaded(server: Server, client: httpx.Client) -> None:
    wait_for(lambda: client.get(f"/api/v2/dags/{DAG_FILE_ID}").status_code == 200, 60, "the Dag of the Dag file")
    run_id = f"dag-file-{uuid.uuid4()}"
    conf = {"job": {"name": "world"}}
    answer = client.post(
        f"/api/v2/dags/{DAG_FILE_ID}/dagRuns", json={"dag_run_id": run_id, "logical_date": None, "conf": conf}
    )
    assert answer.status_code == 200, answer.text
    run = server.wait_for_run(client, DAG_FILE_ID, run_id)
    assert run["state"] == "success", run
    outputs = client.get(f"/cwl/api/v1/workflows/{DAG_FILE_ID}/runs/{run_id}/outputs").json()
    answer = client.get(f"/cwl/api/v1/workflows/{DAG_FILE_ID}/runs/{run_id}/files/{outputs['greeting']['basename']}")
    assert answer.text == "Hello world\n"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
