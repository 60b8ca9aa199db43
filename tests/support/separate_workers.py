"""Celery workers that share no folder with anything: each sees the file system of this machine without the site's.

A worker is started in a mount namespace of its own, in which the folder of the whole cluster is an empty file system in
memory, and has its Airflow home somewhere in that. What it has in common with the API server is the installed code,
HTTP, and what Celery itself needs: Redis, and PostgreSQL for results.

``Worker.path`` leads into the file system of a worker, from outside.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.airflow_server import START_SECONDS, Server, wait_for
from support.buckets import Buckets, buckets
from support.scale_out import (
    Daemon,
    free_port,
    is_ready,
    machine,
    postgresql_server,
    redis,
    start_airflow,
    start_api_server,
)

from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.home import Home

CONNECTION, BUCKET = "the_intermediate_store", "intermediate"
"""The Connection by which all machines reach the bucket that files go by."""
OUTPUTS = "outputs"
CONFORMANCE = Path(__file__).resolve().parents[1] / "conformance"
"""A part of the project, which all machines have: inputs may come from it."""
NAMES = ("worker-a", "worker-b")


RULES = json.dumps([{"when": {"step": f"*_on_{name[-1]}"}, "set": {"queue": name}} for name in NAMES])
"""A step whose name ends with ``_on_a`` runs on the first worker, one with ``_on_b`` on the second."""


def has_machines() -> bool:
    """Whether processes may have namespaces here; where they must be able to and can't, fail."""
    allowed = bool(machine("test"))
    assert allowed or os.environ.get("CI") != "true", "unshare is not permitted, and CI needs it"
    return allowed


@dataclass
class Worker:
    """A Celery worker on a machine of its own."""

    name: str
    home: Path
    process: subprocess.Popen[bytes]

    def path(self, inner: Path | str = "") -> Path:
        """Return where something of the worker's file system is for this process; relative to its Airflow home."""
        return Path(f"/proc/{self._inside()}/root") / (self.home / inner).relative_to("/")

    def _inside(self) -> int:
        """Return a process that is in the namespace: ``unshare`` itself is not."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])


@dataclass
class SeparateWorkers:
    """Airflow whose workers have file systems of their own."""

    server: Server
    components: Components
    port: int
    folder: Path
    store: Buckets
    environment: dict[str, str]
    daemons: dict[str, Daemon] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)

    def start_worker(self, name: str, concurrency: int = 2) -> Worker:
        """Start a Celery worker; its file system is empty, also if one of that name was there before."""
        home = self.folder / "machines" / name
        airflow = str(Path(sys.executable).with_name("airflow"))
        options = ["--concurrency", str(concurrency), "--skip-serve-logs", "--without-mingle", "--without-gossip"]
        options += ["--queues", f"default,{name}"]
        command = [airflow, "celery", "worker", "--celery-hostname", name, "--pid", f"{home}/worker.pid", *options]
        settings = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": f"{home}/bundles",
            "TMPDIR": f"{home}/scratch",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nonexistent/no-database-here.db",
        }
        script = (
            f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(self.folder))} && "
            f'mkdir -p {shlex.quote(str(home))}/scratch && cd {shlex.quote(str(home))} && exec "$@"'
        )
        words = [f"{variable}={value}" for variable, value in settings.items()]
        process = self.components.start(name, [*machine(name), "sh", "-c", script, "sh", "env", *words, *command])
        self.workers[name] = Worker(name, home, process)
        return self.workers[name]

    def kill_worker(self, name: str) -> None:
        """Kill a worker, and all that runs on its machine: its file system goes with it."""
        self.workers[name].process.kill()
        self.workers[name].process.wait()

    def kill_api_server(self) -> None:
        """Kill the API server; :meth:`start_api_server` starts it again at the same address."""
        process = self.components._running["api-server"].process
        process.kill()
        process.wait()

    def start_api_server(self) -> None:
        """Start the API server anew, and wait until it answers."""
        start_api_server(self.components, "api-server", self.port)
        wait_for(lambda: is_ready(self.components, self.server, len(self.workers)), START_SECONDS, "the API server")


@contextmanager
def separate_cluster(folder: Path, **variables: str) -> Iterator[SeparateWorkers]:
    """Start Airflow on PostgreSQL and Redis with two such workers; yield it once a run can be triggered."""
    if not has_machines():
        pytest.skip("processes may not have namespaces here")
    home = Home(folder / "home", "simple")
    with buckets() as store, postgresql_server(folder / "postgresql") as database, redis(folder / "redis") as broker:
        for bucket in (BUCKET, OUTPUTS):
            store.client.create_bucket(Bucket=bucket)
        port = free_port()
        environment = {
            **home.prepare("127.0.0.1", port, []),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database.address}",
            "AIRFLOW__CELERY__BROKER_URL": broker.address,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{database.address}",
            "AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME": "15",
            "AIRFLOW__CWL__STOP_GRACE": "2",
            "AIRFLOW__CWL__CONTAINER_ENGINE": "none",
            "AIRFLOW__CWL__INTERMEDIATE_STORAGE": f"s3://{CONNECTION}@{BUCKET}/runs",
            "AIRFLOW__CWL__TASK_RULES": RULES,
            "AIRFLOW__CWL__OUTPUTS_FOLDER": f"s3://{CONNECTION}@{OUTPUTS}/delivered",
            "AIRFLOW__CWL__INPUT_ROOTS": str(CONFORMANCE),
            f"AIRFLOW_CONN_{CONNECTION.upper()}": store.connection(),
            **variables,
        }
        components = Components(home.logs, environment)
        try:
            start_airflow(components, port)
            server = Server(f"http://127.0.0.1:{port}", home.user, home.password, os.getpid(), home.folder, "simple")
            daemons = {"postgresql": database, "redis": broker}
            cluster = SeparateWorkers(server, components, port, folder, store, environment, daemons)
            for name in NAMES:
                cluster.start_worker(name)
            wait_for(lambda: is_ready(components, server, len(NAMES)), START_SECONDS, f"the cluster in {folder}")
            yield cluster
        finally:
            components.stop()
