"""A real Airflow, started as users start it, and how tests talk to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from support.migrated_database import migrated_database

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 480
DAG_FILE_ID = "greet"
DAG_FILE = """
from cwl_ui_plugin import CWLDAG

dag = CWLDAG(workflow="greet.cwl", dag_id="greet")
"""
OLD_DAG_FILES = {
    "greet_parser": """
from cwl_airflow_parser import CWLDAG, CWLJobDispatcher, CWLJobGatherer

def cwl_workflow(workflow_file):
    dag = CWLDAG(cwl_workflow=workflow_file, dag_id="greet_parser", default_args={"owner": "airflow", "retries": 1})
    dag.create()
    dag.add(CWLJobDispatcher(dag=dag), to='top')
    dag.add(CWLJobGatherer(dag=dag), to='bottom')
    return dag

dag = cwl_workflow("greet.cwl")
""",
    "greet_cwl_airflow": """
from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(workflow="greet.cwl", dag_id="greet_cwl_airflow", default_args={"cwl": {"debug": True}})
""",
}
"""Dag files of the predecessors, by the dag_id in each; their modules are in ``legacy/``."""
DAG_FILE_DOCUMENT = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo, Hello]
inputs: {name: {type: string, inputBinding: {}}}
outputs: {greeting: stdout}
stdout: greeting.txt
"""
PLAIN_DAG_ID = "plain"
PLAIN_DAG_FILE = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("plain", schedule=None, is_paused_upon_creation=False):
    BashOperator(task_id="sleep", bash_command="sleep {{ dag_run.conf['seconds'] }}")
"""
LISTENER_DAG_ID = "listener"
LISTENED_DAG_ID = "listened"
LISTENER_DAG_FILE = """
from airflow.sdk import DAG, Asset, task

with DAG("listener", schedule=Asset("cwl://listened/counts"), is_paused_upon_creation=False):

    @task
    def told(triggering_asset_events=None):
        return [
            [asset.uri, event.source_dag_id, event.source_run_id, event.source_task_id, event.extra]
            for asset, events in triggering_asset_events.items()
            for event in events
        ]

    told()
"""
TRIGGERING_DAG_ID = "triggering"
TRIGGERING_DAG_FILE = """
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG

with DAG("triggering", schedule=None, is_paused_upon_creation=False):
    TriggerDagRunOperator(
        task_id="start",
        trigger_dag_id="{{ dag_run.conf['dag_id'] }}",
        trigger_run_id="{{ dag_run.conf['run_id'] }}",
        conf="{{ dag_run.conf['conf'] | tojson }}",
    )
"""
LEGACY = {"PYTHONPATH": str(ROOT / "legacy")}
"""What lets processes of Airflow find the modules that ``OLD_DAG_FILES`` import."""
STOP_SECONDS = 60
BUSY_SECONDS = 60
T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], seconds: float = 120, what: str = "the condition") -> T:
    """Return the first true value of ``condition``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    pytest.fail(f"{what} did not come true within {seconds} seconds")


class PatientTransport(httpx.HTTPTransport):
    """Asks Airflow's own API again where SQLite was busy.

    Airflow's audit log, which a request writes first, and a running task's request may block each other until one of
    them gives up; what it had written is rolled back, and Airflow answers 500. On PostgreSQL there is nothing of it.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            response = super().handle_request(request)
            ours = not request.url.path.startswith("/api/v2/")
            if response.status_code != 500 or ours or time.monotonic() > deadline:
                return response
            if b"Database error" not in response.read():
                return response
            response.close()


@dataclass(frozen=True)
class Server:
    """A running server and how to talk to it."""

    url: str
    user: str
    password: str
    pid: int
    home: Path
    auth: str
    passwords: dict[str, str] = field(default_factory=dict)
    """Of all users by name, where ``--add-user`` was given."""

    def token(self) -> str:
        answer = httpx.post(f"{self.url}/auth/token", json={"username": self.user, "password": self.password})
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token()}"},
            timeout=120,
            trust_env=False,
            transport=PatientTransport(),
        )

    def command(self, *arguments: str | Path, check: bool = True, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run ``cwl-ui-plugin`` against this server."""
        result = subprocess.run(
            [sys.executable, "-m", "cwl_ui_plugin.cli.main", *map(str, arguments)],
            env={**os.environ, "CWL_UI_URL": self.url, "CWL_UI_TOKEN": self.token()},
            capture_output=True,
            text=True,
            timeout=300,
            **kwargs,
        )
        if check and result.returncode:
            pytest.fail(f"{arguments} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
        return result

    def remove(self, client: httpx.Client, *paths: str) -> None:
        """Delete things of Airflow; on SQLite its audit log and a running task's request may block each other."""
        for path in paths:
            wait_for(lambda path=path: client.delete(path).status_code in (204, 404), 60, f"the removal of {path}")

    def wait_for_run(self, client: httpx.Client, dag_id: str, run_id: str, seconds: float = 180) -> dict[str, Any]:
        """Return the run once it has ended."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}").json()
            return run if run["state"] in ("success", "failed") else None

        return wait_for(ended, seconds, f"the end of {dag_id} {run_id}")


@contextmanager
def standalone(home: Path, auth: str, *arguments: str, **variables: str) -> Iterator[Server]:
    """Start ``cwl-ui-plugin standalone`` on a free port; stop it at the end, and see that it stops.

    ``variables`` go into its environment. Without them it runs no containers, whatever is installed on the machine.
    """
    ready = home.with_suffix(".ready.json")
    log = home.with_suffix(".log")
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "greet.py").write_text(DAG_FILE)
    (home / "dags" / "plain.py").write_text(PLAIN_DAG_FILE)
    (home / "dags" / "listener.py").write_text(LISTENER_DAG_FILE)
    (home / "dags" / "triggering.py").write_text(TRIGGERING_DAG_FILE)
    for name, text in OLD_DAG_FILES.items():
        (home / "dags" / f"{name}.py").write_text(text)
    (home / "dags" / "greet.cwl").write_text(DAG_FILE_DOCUMENT)
    shutil.copy(migrated_database(), home / "airflow.db")  # which it migrates again: there is nothing to do
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    environment |= {"AIRFLOW__CWL__CONTAINER_ENGINE": "none"} | LEGACY | variables
    command = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "standalone", "--port", "0", "--home", str(home)]
    command += ["--auth", auth, "--ready-file", str(ready), *arguments]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(
            lambda: ready.exists() or process.poll() is not None, START_SECONDS, f"standalone --auth {auth} (see {log})"
        )
        if not ready.exists():
            pytest.fail(f"standalone ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        data = json.loads(ready.read_text())
        yield Server(home=home, auth=auth, **data)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=STOP_SECONDS)
