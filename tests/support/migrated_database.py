"""A migrated SQLite database of Airflow with the plugin's tables, made once for each set of versions."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"


@functools.cache
def migrated_database() -> Path:
    """Return it, to be copied."""
    versions = [importlib.metadata.version(name) for name in ("apache-airflow-core", "apache-airflow-providers-fab")]
    migrations = sorted((ROOT / "cwl_ui_plugin" / "reports").glob("**/*.py"))
    content = repr(versions).encode() + b"".join(path.read_bytes() for path in migrations)
    template = BUILD / f"airflow-{hashlib.sha256(content).hexdigest()[:16]}.db"
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "database.lock").open("w") as lock:  # of several test processes one makes it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            _migrate(template)
    return template


def _migrate(template: Path) -> None:
    building = template.with_suffix(f".{os.getpid()}")
    environment = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{building}"}
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    building.replace(template)
