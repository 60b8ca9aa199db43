"""CWL-Airflow 1.2.11, the predecessor, in an environment of its own: Airflow 2.1.4 with its defaults."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import common
from support.airflow_server import wait_for

# It asks for any version of these; only old ones go together with Airflow 2.1.4.
REQUIREMENTS = (
    "cwl-airflow==1.2.11",
    "apache-airflow-providers-ftp<2.1",
    "apache-airflow-providers-http<2.1",
    "apache-airflow-providers-imap<2.1",
    "apache-airflow-providers-sqlite<2.1",
    "sqlalchemy<1.4",
    "sqlalchemy-utils<0.39",
    "alembic<1.9",
    "flask-appbuilder==3.3.2",
    "flask-sqlalchemy<3",
    "flask-session<0.4",
    "connexion[swagger-ui]<2.8",
    "swagger-ui-bundle<0.1",
    "openapi-spec-validator<0.4",
    "apispec<4",
    "marshmallow<4",
    "wtforms<3",
    "email-validator<2",
    "importlib-metadata<5",
    "pyjwt<2",
    "pluggy<1.1",
    "docker<7",
    "requests<2.32",
    "urllib3<2",
)
FIRST = ("pip<24.1", "setuptools<66", "wheel")  # some of them are built with what is gone by now
END_SECONDS = 600
_DAG_FILE = (
    "from cwl_airflow.extensions.cwldag import CWLDAG\n\ndag = CWLDAG(workflow={document!r}, dag_id={dag_id!r})\n"
)


class CwlAirflow:
    """A running scheduler of CWL-Airflow."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder, self.home = programs, folder, folder / "home"
        self.pid = 0
        """The process that has started all others, while it runs."""
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.home),
            "HOME": str(folder),
            "PYTHONWARNINGS": "ignore",
        }

    def command(self, *words: str) -> None:
        common.run([self.programs / words[0], *words[1:]], env=self.environment, cwd=self.folder)

    def add(self, document: Path) -> None:
        """Make a Dag file of a document."""
        text = _DAG_FILE.format(document=str(document), dag_id=document.stem)
        (self.home / "dags").mkdir(exist_ok=True)
        (self.home / "dags" / f"{document.stem}.py").write_text(text)

    def wait_for_dag(self, dag_id: str) -> None:
        wait_for(lambda: self.ask("SELECT 1 FROM serialized_dag WHERE dag_id = ?", dag_id), END_SECONDS, dag_id)

    def run(self, dag_id: str, job: dict[str, Any]) -> float:
        """Run a workflow; return the seconds from when its run is there to its end."""
        run_id = f"bench-{time.time_ns()}"
        command = ["airflow", "dags", "trigger", "-r", run_id, "-c", json.dumps({"job": job}), dag_id]
        trigger = subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self.ask("SELECT 1 FROM dag_run WHERE run_id = ?", run_id):
            if trigger.poll():
                raise RuntimeError(f"{dag_id} was not triggered")
            time.sleep(0.02)
        began = time.time()
        ending = "SELECT state, end_date FROM dag_run WHERE run_id = ? AND state IN ('success', 'failed')"
        state, ended = wait_for(lambda: self.ask(ending, run_id), END_SECONDS, f"the end of {dag_id}")
        trigger.wait()
        if state == "failed":
            raise RuntimeError(f"{dag_id} failed in CWL-Airflow")
        return datetime.fromisoformat(ended).replace(tzinfo=timezone.utc).timestamp() - began

    def ask(self, query: str, *values: str) -> Any:
        database = sqlite3.connect(self.home / "airflow.db", timeout=60)
        try:
            return database.execute(query, values).fetchone()
        finally:
            database.close()


@contextmanager
def running(folder: Path, documents: list[Path]) -> Iterator[CwlAirflow]:
    """Start a scheduler that knows some documents; stop it at the end."""
    airflow = CwlAirflow(common.peer("cwl-airflow", *REQUIREMENTS, first=FIRST), folder)
    airflow.command("cwl-airflow", "init", "--home", str(airflow.home))
    for document in documents:
        airflow.add(document)
    with (folder / "scheduler.log").open("w") as log:
        scheduler = subprocess.Popen(
            ["airflow", "scheduler"],
            env=airflow.environment,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    airflow.pid = scheduler.pid
    try:
        for document in documents:
            airflow.wait_for_dag(document.stem)
        yield airflow
    finally:
        os.killpg(scheduler.pid, signal.SIGTERM)
        scheduler.wait(timeout=120)
