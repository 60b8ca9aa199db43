"""A real Airflow with the plugin, on SQLite or PostgreSQL, and how the benchmarks talk to it.

As a program it is ``cwl-ui-plugin standalone`` with other settings of Airflow on top, those in BENCH_SETTINGS, and as
many workers of the API server as BENCH_API_WORKERS says.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import common  # noqa: F401 - finds tests/support
import psutil
from support.airflow_server import Server, wait_for
from support.scale_out import postgresql

LOG_CHARACTERS = 3000
SETTINGS = "BENCH_SETTINGS"
API_WORKERS = "BENCH_API_WORKERS"
DATABASES = ("SQLite", "PostgreSQL")
EMPTY_DAG = '''"""As many empty tasks, one after the other, as Airflow runs for a workflow."""

from airflow.sdk import DAG, BaseOperator, chain


class Nothing(BaseOperator):
    """Does nothing, in a process of its own as every task."""

    def execute(self, context):
        return None


with DAG("{dag_id}", schedule=None, is_paused_upon_creation={paused}):
    tasks = [Nothing(task_id=f"task{{number}}") for number in range({tasks})]
    chain(*tasks)
'''


class Airflow:
    """A running server, and a client that is logged in."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database
        """The address of Airflow's database."""
        self.client = server.client()

    def upload(self, document: Path) -> str:
        """Upload a document; return its dag_id."""
        self.server.command("upload", document, "--dag-id", document.stem, "--replace")
        self.wait_for_dag(document.stem)
        return document.stem

    def wait_for_dag(self, dag_id: str, seconds: float = 120) -> None:
        wait_for(lambda: self.client.get(f"/api/v2/dags/{dag_id}").status_code == 200, seconds, f"the Dag {dag_id}")

    def start(self, dag_id: str, job: dict[str, Any] | None = None) -> str:
        """Trigger a run through Airflow's own API; return its id."""
        body = {"dag_run_id": f"bench-{uuid.uuid4()}", "logical_date": None, "conf": {"job": job} if job else {}}
        answer = self.client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        answer.raise_for_status()
        return str(answer.json()["dag_run_id"])

    def run(self, dag_id: str, job: dict[str, Any] | None = None, seconds: float = 600) -> Run:
        """Run a Dag; return its times, as Airflow's database has them."""
        return self.ended(dag_id, self.start(dag_id, job), seconds)

    def ended(self, dag_id: str, run_id: str, seconds: float = 600) -> Run:
        """Wait for a run that was just started; return its times."""
        answered = time.time()
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"

        def ended() -> dict[str, Any] | None:
            data: dict[str, Any] = self.client.get(path).json()
            return data if data["state"] in ("success", "failed") else None

        data = wait_for(ended, seconds, f"the end of {dag_id} {run_id}")
        if data["state"] == "failed":
            raise RuntimeError(f"{dag_id} {run_id} failed: {self._complaints(path)}")
        return Run(path, answered, moment(data["start_date"]), moment(data["end_date"]))

    def tasks(self, path: str) -> list[dict[str, Any]]:
        """Return the task instances of a run (the first thousand)."""
        found: list[dict[str, Any]] = self.client.get(f"{path}/taskInstances", params={"limit": 1000}).json()[
            "task_instances"
        ]
        return found

    def instances(self, dag_id: str, run_id: str) -> int:
        """Return how many task instances a run has."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return int(self.client.get(path, params={"limit": 1}).json()["total_entries"])

    def _complaints(self, path: str) -> str:
        """Return what the failed tasks of a run wrote last into their logs."""
        failed = [task for task in self.tasks(path) if task["state"] == "failed"]
        logs = [
            self.client.get(f"{path}/taskInstances/{task['task_id']}/logs/{task['try_number']}").text for task in failed
        ]
        return "\n".join(log[-LOG_CHARACTERS:] for log in logs)

    def process(self, component: str) -> psutil.Process:
        """Return the process of a component (``scheduler``, ``dag-processor``, ``api-server``)."""
        children = psutil.Process(self.server.pid).children()
        return next(child for child in children if component in _title(child))


def cpu_seconds(process: psutil.Process) -> float:
    """Return what a process and its children took, those that have ended included."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def all_cpu_seconds(process: psutil.Process) -> float:
    """Return what a process and all that it has started took, those that go on included."""
    return cpu_seconds(process) + sum(cpu_seconds(child) for child in process.children(recursive=True))


def _title(process: psutil.Process) -> str:
    """Return the command line of a process; Airflow's components rewrite theirs."""
    return " ".join(process.cmdline()).replace("_", "-").replace("dag processor", "dag-processor")


class Run:
    """When a run was asked for, started and ended, in seconds since the epoch."""

    def __init__(self, path: str, answered: float, started: float, ended: float) -> None:
        self.path = path
        self.seconds = ended - started
        self.wall = ended - answered


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@contextmanager
def airflow(
    database: str = "SQLite", dags: dict[str, str] | None = None, *, api_workers: int = 1, **settings: str
) -> Iterator[Airflow]:
    """Start a server with Dag files and more settings; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder, _database(database) as connection:
        home = Path(folder) / "home"
        for name, text in (dags or {}).items():
            path = home / "dags" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        with _started(home, {**connection, **settings}, api_workers) as server:
            address = connection.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{home / 'airflow.db'}")
            yield Airflow(server, address)


@contextmanager
def _database(name: str) -> Iterator[dict[str, str]]:
    if name == "SQLite":
        yield {}
        return
    prefix = "cwl-bench-postgresql-"
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, postgresql(Path(folder) / "server") as address:
        yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{address}"}


@contextmanager
def _started(home: Path, settings: dict[str, str], api_workers: int) -> Iterator[Server]:
    ready, log = home.with_suffix(".ready.json"), home.with_suffix(".log")
    left_out = ("AIRFLOW", "PYTHONDONTWRITEBYTECODE")  # an installed plugin is compiled
    environment = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    environment |= {SETTINGS: json.dumps(settings), API_WORKERS: str(api_workers)}
    command = [sys.executable, __file__, "standalone", "--port", "0", "--home", str(home)]
    command += ["--ready-file", str(ready), "--input-root", "/"]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: ready.exists() or process.poll() is not None, 300, "the start of the server")
        if not ready.exists():
            raise RuntimeError(f"The server did not start:\n{log.read_text()[-4000:]}")
        data = json.loads(ready.read_text())
        yield Server(home=home, auth="simple", **{key: data[key] for key in ("url", "user", "password", "pid")})
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)


def _main() -> int:
    """Be ``cwl-ui-plugin`` with a home whose environment has the settings on top, and some API workers."""
    from cwl_ui_plugin.cli import main, standalone
    from cwl_ui_plugin.cli.components import Components
    from cwl_ui_plugin.cli.home import Home

    class BenchHome(Home):
        def prepare(self, host: str, port: int, input_roots: list[Path]) -> dict[str, str]:
            return {**super().prepare(host, port, input_roots), **json.loads(os.environ[SETTINGS])}

    class BenchComponents(Components):
        def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
            if name == "api-server":
                place = command.index("--workers") + 1
                command = [*command[:place], os.environ[API_WORKERS], *command[place + 1 :]]
            return super().start(name, command)

    standalone.Home = BenchHome  # type: ignore[misc]
    standalone.Components = BenchComponents  # type: ignore[misc]
    return main.main()


if __name__ == "__main__":
    sys.exit(_main())
