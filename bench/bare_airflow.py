"""Airflow alone, of the same version, in an environment of its own: nothing of the plugin is installed there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import common
import httpx
import psutil
from servers import Airflow
from support.airflow_server import Server, wait_for

from cwl_ui_plugin.cli.airflow_settings import recommended

USER = PASSWORD = "bench"
START_SECONDS = 300
OURS = ("dag_bundle_config_list", "dag_bundle_storage_path", "might_contain_dag_callable")
"""The plugin's settings that mean nothing without it."""


@contextmanager
def running(folder: Path, dag_files: dict[str, str]) -> Iterator[tuple[Airflow, psutil.Process]]:
    """Start one with SQLite, LocalExecutor and the settings that ``standalone`` has; stop it at the end."""
    programs = common.peer(
        "airflow",
        f"apache-airflow=={version('apache-airflow')}",
        f"apache-airflow-providers-standard=={version('apache-airflow-providers-standard')}",
        constraints=common.ROOT / "constraints.txt",
    )
    home = folder / "bare"
    for dag_id, text in dag_files.items():
        path = home / "dags" / f"{dag_id}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (home / "passwords.json").write_text(json.dumps({USER: PASSWORD}))
    port = _free_port()
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)} | _settings(home, port)
    with (folder / "bare.log").open("w") as log:
        process = subprocess.Popen(
            [programs / "airflow", "standalone"], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: process.poll() is not None or _healthy(url), START_SECONDS, "the start of a bare Airflow")
        server = Server(url=url, user=USER, password=PASSWORD, pid=process.pid, home=home, auth="simple")
        airflow = Airflow(server, f"sqlite:///{home / 'airflow.db'}")
        for dag_id in dag_files:
            airflow.wait_for_dag(dag_id)
        yield airflow, psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # each of its components stops by itself
        process.wait(timeout=120)


def _settings(home: Path, port: int) -> dict[str, str]:
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(max(4, 2 * (os.cpu_count() or 1))),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
    }
    same = {setting.variable: setting.value for setting in recommended("", "") if setting.name not in OURS}
    return settings | same


def _healthy(url: str) -> bool:
    try:
        health = httpx.get(f"{url}/api/v2/monitor/health", trust_env=False, timeout=60).json()
    except (httpx.HTTPError, ValueError):
        return False
    return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
