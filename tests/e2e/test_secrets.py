"""What a user gives as a secret is in the conf of the run and in the file of its secrets, and nowhere else."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e
SECRET = f"S3cret-{uuid.uuid4().hex}"
CONFS = {("dag_run", "conf")}
"""Where Airflow itself keeps what a run was started with, for those who may read the run there."""
TOOL: dict[str, Any] = {
    "class": "CommandLineTool",
    "requirements": {
        "InlineJavascriptRequirement": {},
        "InitialWorkDirRequirement": {"listing": [{"entryname": "key.txt", "entry": "$(inputs.password)"}]},
        "EnvVarRequirement": {"envDef": {"PASSWORD": "$(inputs.password)"}},
    },
    "inputs": {"password": "string", "code": "int"},
    "arguments": ["sh", "-c", 'wc -c < key.txt; printf %s "$PASSWORD" | wc -c; sleep 3; exit $0', "$(inputs.code)"],
    "outputs": {"length": "stdout"},
}
WORKFLOW: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "$namespaces": {"cwltool": "http://commonwl.org/cwltool#"},
    "class": "Workflow",
    "hints": {"cwltool:Secrets": {"secrets": ["password"]}},
    "requirements": {"ScatterFeatureRequirement": {}, "SubworkflowFeatureRequirement": {}},
    "inputs": {"password": "string", "codes": "int[]"},
    "outputs": {"length": {"type": "File[]", "outputSource": "measure/length"}},
    "steps": {
        "measure": {
            "run": TOOL,
            "scatter": "code",
            "in": {"password": "password", "code": "codes"},
            "out": ["length"],
        },
        "inner": {
            "run": {
                "class": "Workflow",
                "inputs": {"password": "string", "code": "int[]"},
                "outputs": [],
                "steps": {
                    "first": {
                        "run": TOOL,
                        "in": {"password": "password", "code": {"source": "code", "valueFrom": "$(self[0])"}},
                        "out": ["length"],
                    }
                },
                "requirements": {"StepInputExpressionRequirement": {}, "InlineJavascriptRequirement": {}},
            },
            "in": {"password": "password", "code": "codes"},
            "out": [],
        },
    },
}


def command_lines() -> str:
    """What ``ps`` shows of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue  # it has ended
    return "\n".join(found)


@pytest.fixture(scope="module")
def runs(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What ``ps`` has shown while each run was going on: one that succeeds, and one that fails."""
    document = tmp_path_factory.mktemp("secret") / "secretive.cwl"
    document.write_text(json.dumps(WORKFLOW))
    server.command("upload", document)
    seen = {}
    with server.client() as client:
        for run_id, code in (("good", 0), ("bad", 42)):
            body = {"run_id": run_id, "job": {"password": SECRET, "codes": [code, 0]}}
            client.post("/cwl/api/v1/workflows/secretive/runs", json=body).raise_for_status()
            wait_for(lambda: "wc -c < key.txt" in command_lines(), what="the command of the run")
            seen[run_id] = command_lines()
            ended = server.wait_for_run(client, "secretive", run_id)
            assert ended["state"] == ("success" if code == 0 else "failed"), ended
    return seen


def test_no_command_line_has_it(runs: dict[str, str]) -> None:
    assert all(SECRET not in seen for seen in runs.values())


def test_no_table_of_the_database_has_it_but_that_of_runs(server: Server, runs: dict[str, str]) -> None:
    assert set(_places(server.home / "airflow.db")) <= CONFS


def _places(database: Path) -> Iterator[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]:
                query = f'SELECT count(*) FROM "{table}" WHERE instr(CAST("{column}" AS TEXT), ?) > 0'
                if connection.execute(query, (SECRET,)).fetchone()[0]:
                    yield table, column


def test_no_file_has_it_but_that_of_secrets(server: Server, runs: dict[str, str]) -> None:
    folders = [path for path in server.home.iterdir() if path.is_dir()]
    found = {
        path.name
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()
    }
    # What the tool itself writes, of the run that failed: it is kept for a while, so that the run can go on.
    assert found <= {"secrets.json", "key.txt"}
    assert SECRET not in server.home.with_suffix(".log").read_text()


def test_no_page_and_no_answer_has_it(server: Server, runs: dict[str, str]) -> None:
    with server.client() as client:
        for path in _addresses(client):
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert SECRET not in answer.text, path


def _addresses(client: httpx.Client) -> Iterator[str]:
    yield "/pluginsv2/cwl/runs"
    yield "/pluginsv2/cwl/compare?run=secretive/good&run=secretive/bad"
    yield "/cwl/api/v1/runs"
    for run_id in runs_of_both():
        query = f"dag_id=secretive&run_id={run_id}"
        yield f"/pluginsv2/cwl/run?{query}"
        yield f"/pluginsv2/cwl/run/elements?{query}&task_id=measure"
        yield f"/pluginsv2/cwl/runs/secretive/{run_id}/reports"
        yield f"/pluginsv2/cwl/workflows/secretive/run?from_run={run_id}"
        yield f"/cwl/api/v1/workflows/secretive/runs/{run_id}"
        yield f"/cwl/api/v1/workflows/secretive/runs/{run_id}/reports"
        instances = client.get(f"/api/v2/dags/secretive/dagRuns/{run_id}/taskInstances?limit=100").json()
        for found in instances["task_instances"]:
            task_id, index = found["task_id"], found["map_index"]
            yield f"/pluginsv2/cwl/run/step?{query}&task_id={task_id}&map_index={index}"
            mapped = f"/{index}" if index >= 0 else ""
            yield f"/api/v2/dags/secretive/dagRuns/{run_id}/taskInstances/{task_id}{mapped}"
            entries = f"/api/v2/dags/secretive/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries?limit=100"
            yield entries
            for entry in client.get(entries).json()["xcom_entries"]:
                yield f"{entries.partition('?')[0]}/{entry['key']}?map_index={entry['map_index']}"


def runs_of_both() -> tuple[str, str]:
    return "good", "bad"
