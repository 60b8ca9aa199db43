"""A workflow that an ordinary Dag file names."""

from __future__ import annotations

import uuid

import httpx
import pytest
from support.airflow_server import DAG_FILE_ID, OLD_DAG_FILES, Server, wait_for

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("dag_id", [DAG_FILE_ID, *OLD_DAG_FILES])
def test_it_runs_like_one_that_was_uploaded(server: Server, client: httpx.Client, dag_id: str) -> None:
    """Also those of the predecessors, with the modules of ``cwl-ui-plugin-legacy``."""
    wait_for(lambda: client.get(f"/api/v2/dags/{dag_id}").status_code == 200, 60, "the Dag of the Dag file")
    run_id = f"dag-file-{uuid.uuid4()}"
    conf = {"job": {"name": "world"}}
    answer = client.post(
        f"/api/v2/dags/{dag_id}/dagRuns", json={"dag_run_id": run_id, "logical_date": None, "conf": conf}
    )
    assert answer.status_code == 200, answer.text
    run = server.wait_for_run(client, dag_id, run_id)
    assert run["state"] == "success", run
    outputs = client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/outputs").json()
    answer = client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/files/{outputs['greeting']['basename']}")
    assert answer.text == "Hello world\n"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
