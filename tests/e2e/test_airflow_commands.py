"""Airflow's own command (`airflow`) with CWL Dags, by the settings of a standalone server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import DAG_FILE, DAG_FILE_DOCUMENT, DAG_FILE_ID, LEGACY, Server
from support.command_forks import Call, commands
from support.migrated_database import migrated_database

from cwl_ui_plugin.cli.airflow import settings_of
from cwl_ui_plugin.cli.home import Home

pytestmark = pytest.mark.e2e
SECONDS = 300
BEGIN = """
from airflow.__main__ import main
from airflow.cli import cli_parser
from airflow.cli.commands import dag_command, db_command, task_command
from airflow.dag_processing import dagbag
cli_parser.get_parser()
"""


def airflow(home: Path, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    """Call ``cwl-ui-plugin airflow`` for the server in a home."""
    command = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "airflow", "--home", str(home), *words]
    environment = os.environ | LEGACY
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)
    assert (result.returncode == 0) is ok, f"{words}: {result.stdout}\n{result.stderr}"
    return result


@pytest.fixture(scope="module")
def again(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Call ``airflow`` for the shared server, once it is known that the plugin's command becomes that."""
    environment = settings_of(server.home) | LEGACY
    with commands("airflow", BEGIN, environment, tmp_path_factory.mktemp("airflow")) as started:

        def call(*words: str) -> subprocess.CompletedProcess[str]:
            result = started(*words)
            assert result.returncode == 0, f"{words}: {result.stdout}\n{result.stderr}"
            return result

        yield call


def rows(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return what was printed as JSON; before it, Airflow may warn."""
    found: list[dict[str, Any]] = json.loads(result.stdout[result.stdout.index("[{") :])
    return found


def test_a_running_server_knows_its_workflows_before_and_after(server: Server, again: Call) -> None:
    before = {dag["dag_id"]: dag for dag in rows(airflow(server.home, "dags", "list", "-o", "json"))}
    assert before[DAG_FILE_ID]["bundle_name"] == "dags-folder"
    assert before["clean_dag_run"]["bundle_name"] == "cwl"
    again("dags", "reserialize")
    after = {dag["dag_id"] for dag in rows(again("dags", "list", "-o", "json"))}
    assert before.keys() <= after
    assert not any(name.startswith("example_") for name in after)
    assert "No data found" in again("dags", "list-import-errors").stdout
    names = again("tasks", "list", DAG_FILE_ID).stdout.split()
    assert {"CWLJobDispatcher", "CWLJobGatherer", DAG_FILE_ID} <= set(names)
    again("db", "check-migrations", "--migration-wait-timeout", "0")


def test_a_run_that_is_started_with_a_conf_runs(server: Server, client: httpx.Client) -> None:
    conf = json.dumps({"job": {"name": "command"}})
    airflow(server.home, "dags", "trigger", DAG_FILE_ID, "--run-id", "by-command", "--conf", conf)
    try:
        assert server.wait_for_run(client, DAG_FILE_ID, "by-command")["state"] == "success"
    finally:
        server.remove(client, f"/api/v2/dags/{DAG_FILE_ID}/dagRuns/by-command")


def test_a_whole_workflow_is_tested_in_one_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "greet.py").write_text(DAG_FILE)
    (home / "dags" / "greet.cwl").write_text(DAG_FILE_DOCUMENT)
    environment = Home(home, "simple").prepare("127.0.0.1", 8080, [])
    shutil.copy(migrated_database(), home / "airflow.db")
    migrate = [sys.executable, "-m", "cwl_ui_plugin.cli.migrate", "simple"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True, timeout=SECONDS)
    airflow(home, "dags", "reserialize")
    airflow(home, "dags", "test", DAG_FILE_ID, "--conf", json.dumps({"job": {"name": "test"}}))
    (greeting,) = (home / "cwl" / "outputs" / DAG_FILE_ID).rglob("greeting.txt")
    assert greeting.read_text() == "Hello test\n"
    refused = airflow(home, "dags", "test", DAG_FILE_ID, "--conf", json.dumps({"job": {"name": 3}}), ok=False)
    assert re.search(r"\bname\b.*(expected|not of type)", refused.stdout + refused.stderr)
