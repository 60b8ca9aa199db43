"""Airflow as it scales out: PostgreSQL, Redis, and Celery workers, all started here on free ports."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import START_SECONDS, Server, wait_for

from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.home import Home

POSTGRES_USER = "postgres"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def program(name: str) -> str:
    """Return the path of a program of PostgreSQL or Redis; Debian keeps the former out of the PATH."""
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))]
    path = found[-1] if found else shutil.which(name)
    if path is None and os.environ.get("CI") != "true":
        pytest.skip(f"there is no {name}; see tests/system-packages.sh")
    assert path, f"{name} is not installed"
    return path


@dataclass
class Daemon:
    """PostgreSQL or Redis: it can be ended in any way, and be started again as it was."""

    address: str
    command: list[str]
    is_ready: Callable[[], bool]
    options: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, **self.options)
        wait_for(self.is_ready, 60, self.command[0])

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(timeout=60)


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Have a server run; end it at the end."""
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Start PostgreSQL; yield the address of an empty database."""
    with postgresql_server(folder) as server:
        yield server.address


@contextmanager
def postgresql_server(folder: Path) -> Iterator[Daemon]:
    """Start PostgreSQL with an empty database; its log is in ``folder``.

    Its data are elsewhere: PostgreSQL does not run as root, and pytest closes its own folders to other users, again and
    again where several run.
    """
    folder.mkdir()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="postgresql-") as place, (folder / "log").open("w") as log:
        options: dict[str, Any] = {"cwd": place, "stderr": log}
        if os.geteuid() == 0:
            user = pwd.getpwnam(POSTGRES_USER)
            options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            shutil.chown(place, POSTGRES_USER, POSTGRES_USER)
        data, address = f"{place}/data", ["-h", "127.0.0.1", "-p", str(port)]
        initdb = [program("initdb"), "--auth=trust", "--username=airflow", "-D", data]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **options)
        server = Daemon(
            f"airflow@127.0.0.1:{port}/airflow",
            [program("postgres"), "-D", data, *address, "-k", place, "-N", "200"],
            lambda: subprocess.run([program("pg_isready"), *address], capture_output=True).returncode == 0,
            options,
        )
        with running(server):
            create = [program("createdb"), *address, "-U", "airflow", "airflow"]
            subprocess.run(create, check=True, capture_output=True)
            yield server


@contextmanager
def redis(folder: Path) -> Iterator[Daemon]:
    """Start Redis, which keeps nothing on disk."""
    folder.mkdir()
    port = free_port()
    place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with running(
        Daemon(
            f"redis://127.0.0.1:{port}/0",
            [program("redis-server"), *place, "--save", ""],
            lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0,
        )
    ) as server:
        yield server


def machine(name: str) -> list[str]:
    """Return what starts a command as on a machine of its own: it sees no other processes, and has a name.

    Nothing where this machine does not allow it: the command then runs beside the others.
    """
    words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
    script = ["sh", "-c", 'hostname "$0" && exec "$@"', name]
    try:
        allowed = subprocess.run([*words, *script, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    return [*words, *script] if allowed else []


@dataclass(frozen=True)
class Cluster:
    """Airflow with Celery workers, each on a machine of its own, where that is allowed."""

    server: Server
    components: Components
    database: str
    are_machines: bool
    daemons: dict[str, Daemon] = field(default_factory=dict)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def kill_worker(self, name: str) -> None:
        """Kill a worker, and all that runs on its machine."""
        self.workers[name].kill()
        self.workers[name].wait()

    def start_worker(self, name: str) -> None:
        """Start a Celery worker on the machine of its name."""
        airflow = str(Path(sys.executable).with_name("airflow"))
        options = ["--concurrency", "2", "--skip-serve-logs", "--without-mingle", "--without-gossip"]
        self.pidfile(name).unlink(missing_ok=True)
        command = [airflow, "celery", "worker", "--celery-hostname", name, "--pid", str(self.pidfile(name)), *options]
        self.workers[name] = self.components.start(name, [*machine(name), *command])

    def keep_running(self) -> None:
        """Start what has died anew. A worker may not find the pid of the one before: on its machine it has the same."""
        for name in self.workers:
            if not self.components.is_running(name):
                self.pidfile(name).unlink(missing_ok=True)
        self.components.keep_running()

    def pidfile(self, name: str) -> Path:
        return self.components.logs / f"{name}.pid"


@contextmanager
def celery_cluster(folder: Path, workers: tuple[str, ...], **variables: str) -> Iterator[Cluster]:
    """Start Airflow on PostgreSQL and Redis with a Celery worker of each name; yield it once a run can be triggered."""
    home = Home(folder / "home", "simple")
    with postgresql_server(folder / "postgresql") as database, redis(folder / "redis") as broker:
        port = free_port()
        environment = {
            **home.prepare("127.0.0.1", port, []),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database.address}",
            "AIRFLOW__CELERY__BROKER_URL": broker.address,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{database.address}",
            "AIRFLOW__CWL__CONTAINER_ENGINE": "none",
            **variables,
        }
        components = Components(home.logs, environment)
        try:
            start_airflow(components, port)
            server = Server(f"http://127.0.0.1:{port}", home.user, home.password, os.getpid(), home.folder, "simple")
            daemons = {"postgresql": database, "redis": broker}
            cluster = Cluster(server, components, database.address, bool(machine("test")), daemons)
            for name in workers:
                cluster.start_worker(name)
            wait_for(lambda: is_ready(components, server, len(workers)), START_SECONDS, f"the cluster in {folder}")
            yield cluster
        finally:
            components.stop()


def start_airflow(components: Components, port: int) -> subprocess.Popen[bytes]:
    """Start all but workers; return the scheduler."""
    migrate = [sys.executable, "-m", "cwl_ui_plugin.cli.migrate", "simple"]
    components.finish("migrate", migrate, lambda: False)
    start_api_server(components, "api-server", port)
    airflow = str(Path(sys.executable).with_name("airflow"))
    components.start("dag-processor", [airflow, "dag-processor"])
    return components.start("scheduler", [airflow, "scheduler"])


def start_api_server(components: Components, name: str, port: int) -> None:
    """Start an API server on the machine of its name."""
    airflow = str(Path(sys.executable).with_name("airflow"))
    components.start(name, [*machine(name), airflow, "api-server", "--host", "127.0.0.1", "--port", str(port)])


def is_ready(components: Components, server: Server, workers: int) -> bool:
    for name in ("api-server", "scheduler", "dag-processor"):
        assert components.is_running(name), name
    try:
        ours = httpx.get(f"{server.url}/cwl/api/v1/health", trust_env=False).json()
        health = httpx.get(f"{server.url}/api/v2/monitor/health", trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        time.sleep(0.2)
        return False
    up = sum("ready." in path.read_text(errors="replace") for path in components.logs.glob("worker*.log"))
    parts = (health[name]["status"] == "healthy" for name in ("scheduler", "dag_processor"))
    return bool(ours.get("ready")) and all(parts) and up == workers
