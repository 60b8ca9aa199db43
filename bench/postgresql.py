"""A PostgreSQL server of its own, on a free port of the loopback interface, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import PEERS, run, say

SYSTEM_USER = "postgres"
DRIVERS = ("psycopg2-binary", "asyncpg")
START_SECONDS = 60
# Figures of a server as distributions set it up, but for the folder of its socket.
_OPTIONS = ("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200")


def drivers() -> Path:
    """Return the folder with the drivers that Airflow needs for PostgreSQL, beside the environment of the plugin."""
    folder = PEERS / "postgresql-drivers"
    if not (folder / "asyncpg").is_dir():
        say("installing the drivers for PostgreSQL")
        run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *DRIVERS])
    return folder


@contextmanager
def running() -> Iterator[str]:
    """Start PostgreSQL; yield the URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="cwl-bench-postgresql-"))
    user: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        user = {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []}
        shutil.chown(folder, SYSTEM_USER, SYSTEM_USER)
    data, port = folder / "data", _free_port()
    run([_program("initdb"), "--auth=trust", "--username=airflow", "-D", data], cwd=folder, **user)
    with (folder / "log").open("w") as log:
        command = [_program("postgres"), "-D", data, "-p", str(port), "-k", folder, *_OPTIONS]
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **user)
    try:
        _wait(port, server, folder / "log")
        run([_program("createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "airflow", "airflow"], cwd=folder)
        yield f"postgresql+psycopg2://airflow@127.0.0.1:{port}/airflow"
    finally:
        server.terminate()
        server.wait(timeout=START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = found[-1] if found else shutil.which(name)
    if not path:
        raise RuntimeError(f"{name} is not there: install PostgreSQL (Debian: apt-get install postgresql)")
    return Path(path)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    ready = [str(_program("pg_isready")), "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, capture_output=True).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)
