"""CWL runs on a real Slurm: two nodes on this machine, Airflow with a LocalExecutor for what helps, and Slurm for steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import wait_for
from support.slurm import Site, slurm_site

pytestmark = pytest.mark.e2e
RULES = json.dumps(
    [
        {"when": {"dag_id": "alone"}, "set": {"executor": "SlurmExecutor"}},
        {"when": {"step": "*"}, "set": {"executor": "SlurmExecutor"}},
        {"when": {"user": "nobody"}, "set": {"slurm_account": "theirs"}},
        {"when": {"dag_id": "refused"}, "set": {"slurm_partition": "nowhere"}},
        {"when": {"tool": "short"}, "set": {"slurm_partition": "short", "slurm_time": 120}},
    ]
)
ECHO = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'echo "$SLURM_JOB_ID $SLURM_CPUS_ON_NODE $SLURM_MEM_PER_NODE $(tr "\\\\0" "\\\\n" < /proc/$PPID/environ | grep -c eyJ)"']
requirements: {ResourceRequirement: {coresMin: 2, ramMin: 300}}
inputs: {}
outputs: {said: stdout}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = {"AIRFLOW__CWL__RETRIES": "1", "AIRFLOW__CWL__RETRY_DELAY": "1", "AIRFLOW__CWL__STOP_GRACE": "2"}
    with slurm_site(tmp_path_factory.mktemp("site"), RULES, **settings) as made:
        yield made


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.server.client() as opened:
        yield opened


def start(site: Site, client: httpx.Client, folder: Path, dag_id: str, text: str, job: dict[str, Any]) -> None:
    document = folder / f"{dag_id}.cwl"
    document.write_text(text)
    site.server.command("upload", document)
    body = {"run_id": "r", "job": job}
    client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json=body).raise_for_status()


def test_a_run_whose_tasks_are_all_jobs(site: Site, client: httpx.Client, tmp_path: Path) -> None:
    start(site, client, tmp_path, "alone", ECHO, {})
    run = site.server.wait_for_run(client, "alone", "r")
    assert run["state"] == "success", run
    print(run["outputs"])
    print(open(run["outputs"]["said"]["location"].removeprefix("file://")).read())
