"""Airflow's remote command (airflowctl) with CWL Dags: what works, and what it says about what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from support.airflow_server import Server, wait_for
from support.command_forks import commands

pytestmark = pytest.mark.e2e
Ctl = Callable[..., subprocess.CompletedProcess[str]]
SECONDS = 300


@pytest.fixture(scope="module")
def ctl(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ctl]:
    """Call airflowctl as the server's administrator; it keeps the address in a folder of its own."""
    home = tmp_path_factory.mktemp("airflowctl")
    environment = {"AIRFLOW_HOME": str(home), "AIRFLOW_CLI_TOKEN": server.token(), "COLUMNS": "1000"}
    # Where no keyring is, it keeps the address and ends with 1: the token comes from the environment.
    environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    program = Path(sys.executable).with_name("airflowctl")
    login = [program, "auth", "login", "--api-url", server.url]
    subprocess.run(login, env=os.environ | environment, check=True, capture_output=True, timeout=SECONDS)
    with commands("airflowctl", "from airflowctl.__main__ import main", environment, home) as started:

        def call(*words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
            result = started(*words)
            assert (result.returncode == 0) is ok, f"{words}: {result.stdout}\n{result.stderr}"
            return result

        yield call


def rows(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.fixture
def workflow(server: Server, client: httpx.Client, tmp_path: Path) -> Iterator[str]:
    """A workflow whose one input has a default, so that a run needs no conf."""
    dag_id = f"ctl-{uuid4().hex[:8]}"
    document = tmp_path / f"{dag_id}.cwl"
    document.write_text(
        "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: [echo, Hello]\n"
        "inputs: {name: {type: string, default: world, inputBinding: {}}}\n"
        "outputs: {greeting: stdout}\nstdout: greeting.txt\n"
    )
    server.command("upload", document)
    yield dag_id
    server.remove(client, f"/cwl/api/v1/workflows/{dag_id}", f"/api/v2/dags/{dag_id}")


def test_it_lists_pauses_and_starts_a_workflow(server: Server, client: httpx.Client, ctl: Ctl, workflow: str) -> None:
    assert workflow in {dag["dag_id"] for dag in rows(ctl("dags", "list"))}
    (dag,) = rows(ctl("dags", "get-details", workflow))
    assert "CWL v1.2 CommandLineTool" in dag["doc_md"]
    assert [version["version_number"] for version in rows(ctl("dags", "list-version", workflow))] == ["1"]
    assert rows(ctl("dags", "list-import-errors")) == []
    ctl("dags", "pause", workflow)
    assert client.get(f"/api/v2/dags/{workflow}").json()["is_paused"] is True
    ctl("dags", "unpause", workflow)
    assert client.get(f"/api/v2/dags/{workflow}").json()["is_paused"] is False
    ctl("dags", "trigger", workflow, "--dag-run-id", "by-ctl")
    assert server.wait_for_run(client, workflow, "by-ctl")["state"] == "success"
    listed = ctl("dagrun", "list", "--dag-id", workflow, "--limit", "10").stdout
    assert "by-ctl" in listed
    assert "success" in listed
    (run,) = rows(ctl("dagrun", "get", workflow, "by-ctl"))
    assert run["triggering_user_name"] == server.user
    keys = {entry["key"] for entry in rows(ctl("xcom", "list", workflow, "by-ctl", "CWLJobGatherer"))}
    assert "return_value" in keys


def test_what_is_wrong_is_refused_in_words(client: httpx.Client, ctl: Ctl, workflow: str) -> None:
    ctl("dags", "trigger", workflow, "--dag-run-id", "once")
    assert "Unique constraint" in ctl("dags", "trigger", workflow, "--dag-run-id", "once", ok=False).stdout
    wait_for(lambda: client.get(f"/api/v2/dags/{workflow}/dagRuns/once").json()["state"] == "success", 120, "the run")
    assert "not found" in ctl("dags", "trigger", "no-such-workflow", ok=False).stdout
    # Who may edit an XCom could name any file of the worker as an output.
    edited = ctl("xcom", "edit", workflow, "once", "CWLJobGatherer", "return_value", "3", ok=False)
    assert "CWL" in edited.stdout


def test_its_client_starts_a_run_with_a_conf(server: Server, client: httpx.Client, workflow: str) -> None:
    """``--conf`` of airflowctl 0.1 takes no JSON; its Python client does."""
    code = (
        "import sys; from airflowctl.api.client import Client, ClientKind; "
        "from airflowctl.api.datamodels.generated import TriggerDAGRunPostBody as Body; "
        "client = Client(base_url=sys.argv[1], token=sys.argv[2], kind=ClientKind.CLI); "
        "body = Body(dag_run_id='conf', conf={'job': {'name': 'Ada'}}); "
        "print(client.dags.trigger(sys.argv[3], body).dag_run_id)"
    )
    command = [sys.executable, "-c", code, server.url, server.token(), workflow]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert result.stdout.split() == ["conf"], result.stderr
    run = server.wait_for_run(client, workflow, "conf")
    assert run["state"] == "success"
    outputs = client.get(f"/cwl/api/v1/workflows/{workflow}/runs/conf/outputs").json()
    assert Path(outputs["greeting"]["location"].removeprefix("file://")).read_text() == "Hello Ada\n"


def test_connection_and_variables_of_reports_and_signatures(client: httpx.Client, ctl: Ctl) -> None:
    name = f"ctl_{uuid4().hex[:8]}"
    ctl("variables", "create", "--key", name, "--value", "RS256")
    try:
        assert [row["value"] for row in rows(ctl("variables", "get", name))] == ["RS256"]
        assert name in {row["key"] for row in rows(ctl("variables", "list"))}
    finally:
        ctl("variables", "delete", name)
    receiver = ["--conn-type", "http", "--host", "127.0.0.1", "--port", "9", "--extra", '{"endpoint": "satellite/v1/"}']
    ctl("connections", "create", "--connection-id", name, *receiver)
    try:
        (found,) = rows(ctl("connections", "get", name))
        assert json.loads(found["extra"]) == {"endpoint": "satellite/v1/"}
    finally:
        ctl("connections", "delete", name)
    assert client.get(f"/api/v2/connections/{name}").status_code == 404


def test_assets_plugins_and_providers(ctl: Ctl) -> None:
    ctl("assets", "list")
    assert "cwl_ui_plugin" in {plugin["name"] for plugin in rows(ctl("plugins", "list"))}
    assert "cwl-ui-plugin" in {provider["package_name"] for provider in rows(ctl("providers", "list"))}


def test_a_token_that_is_wrong_gets_nothing(ctl: Ctl) -> None:
    refused = ctl("dags", "list", "--api-token", "not-a-token", ok=False)
    assert "Traceback" not in refused.stdout + refused.stderr
