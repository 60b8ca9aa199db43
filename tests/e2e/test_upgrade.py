"""A server whose store was written by an earlier version of the plugin: nothing has to be done by hand."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e
GREET = Path(__file__).parents[1] / "library" / "stores" / "format-1" / "workflows" / "greet"
JOB = {"names": ["Ada", "Joan"], "loud": True}


@pytest.fixture
def old(server: Server, client: httpx.Client, tmp_path: Path) -> Iterator[Path]:
    """The folder of a workflow that comes into the store as an earlier version of the plugin has left it."""
    prepared = Path(shutil.copytree(GREET, tmp_path / f"greet-{uuid.uuid4().hex[:8]}"))
    yield prepared
    server.remove(client, f"/cwl/api/v1/workflows/{prepared.name}")


def put_into_store(server: Server, client: httpx.Client, prepared: Path) -> str:
    """Let a server find a workflow in its store; return its dag_id."""
    target = server.home / "cwl" / "workflows" / "workflows" / prepared.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(prepared, target)
    wait_for(lambda: client.get(f"/api/v2/dags/{prepared.name}").status_code == 200, 60, "the Dag of an old workflow")
    return prepared.name


def run(server: Server, client: httpx.Client, dag_id: str) -> dict[str, object]:
    """Run a workflow; return its outputs."""
    run_id = f"run-{uuid.uuid4()}"
    answer = client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json={"run_id": run_id, "job": JOB})
    assert answer.status_code == 201, answer.text
    ended = server.wait_for_run(client, dag_id, run_id)
    assert ended["state"] == "success", ended
    return dict(client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/outputs").json())


def compilation(client: httpx.Client, dag_id: str) -> dict[str, str]:
    return dict(client.get(f"/cwl/api/v1/workflows/{dag_id}").json()["compilation"])


def test_it_is_compiled_again_and_runs(server: Server, client: httpx.Client, old: Path) -> None:
    dag_id = put_into_store(server, client, old)
    first = run(server, client, dag_id)
    said = server.command("recompile", dag_id)
    assert said.stdout.startswith(f"{dag_id}\tcwltool ")
    found = compilation(client, dag_id)
    assert (found["state"], found["message"]) == ("current", "")
    assert run(server, client, dag_id)["total"] == first["total"] == 2
    assert "data-compilation" not in client.get(f"/pluginsv2/cwl/workflows/{dag_id}").text


def test_a_source_that_does_not_compile_any_more_needs_a_new_upload_and_runs(
    server: Server, client: httpx.Client, old: Path
) -> None:
    (document,) = old.glob("versions/*/source/tally.cwl")
    document.write_text(document.read_text().replace("ExpressionTool", "ImpressionTool"))
    dag_id = put_into_store(server, client, old)
    said = server.command("recompile", dag_id, check=False)
    assert said.returncode == 1
    assert "needs a new upload" in said.stdout
    assert "tally.cwl:" in said.stdout
    assert compilation(client, dag_id)["state"] == "failed"
    page = client.get(f"/pluginsv2/cwl/workflows/{dag_id}").text
    assert 'data-compilation="failed"' in page
    assert "needs a new upload" in page
    assert run(server, client, dag_id)["shouted"] == "HELLO!"
