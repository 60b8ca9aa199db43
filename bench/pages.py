"""The pages of workflows, with many of them and many runs: the first byte, until they can be used, queries.

The plugin's Flask app is served alone, with Airflow's database and the store filled: a thousand Dags would keep
Airflow's other processes busy on this machine, which is not what is measured.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import browser
import common
from common import ROOT, median, say, seconds

FIRST = "bench-0"
EXAMPLE = ROOT / "examples" / "gc-content"
BUNDLES = '[{"name": "cwl", "classpath": "cwl_ui_plugin.dags.bundle.CwlDagBundle", "kwargs": {}}]'
LONG_STEPS = 300
FORM_INPUTS = 300
KINDS = ["File", "File[]", "string", "int?", "boolean?", "string[]", "File?", "double?"]


def main() -> None:
    options = common.options(
        __doc__, workflows=(1000, "workflows in the store"), runs=(100_000, "runs in the database")
    )
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
        home = Path(folder)
        _prepare(home)
        app = _app()
        _upload(FIRST, EXAMPLE, "gc-content.cwl")
        _upload("bench-long", _long(home / "long"), "long.cwl")
        _upload("bench-form", _form(home / "form"), "form.cwl")
        say(f"filling the store with {options.workflows} workflows and the database with {options.runs} runs")
        _multiply(home, options.workflows, options.runs)
        with _served(app) as address:
            rows = _measure(app, address, options.repeat)
    text = (
        f"With {options.workflows:,} workflows in the store and {options.runs:,} runs in the database (SQLite). The "
        "first byte is that of the plugin's own answer, with the login checked. Usable is when Chromium, which has the "
        "scripts and styles already, shows what the page is for. The first of all requests is in a row of its own.\n\n"
        + common.table(["page", "first byte", "size", "queries", "usable"], rows)
    )
    common.write_section(options.page, "pages", text, options.repeat)


def _prepare(home: Path) -> None:
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": BUNDLES,
        **{
            f"AIRFLOW__CWL__{name.upper()}_FOLDER": str(home / name)
            for name in ("workflows", "inputs", "outputs", "tmp")
        },
    }
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)


def _app() -> Any:
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.providers.fab.www.app import create_app

    init_auth_manager()
    return create_app(enable_plugins=True)


def _long(folder: Path) -> Path:
    """Write a workflow of many steps, each of which reads from the one before it."""
    tool = {
        "class": "CommandLineTool",
        "baseCommand": "echo",
        "inputs": {"text": "string", "after": "File?"},
        "outputs": {"out": "stdout"},
    }
    steps = {}
    for number in range(LONG_STEPS):
        sources = {"text": "text"} | ({"after": f"s{number - 7}/out"} if number >= 7 else {})
        steps[f"s{number}"] = {"run": "tool.cwl", "in": sources, "out": ["out"]}
    folder.mkdir()
    (folder / "tool.cwl").write_text(json.dumps({"cwlVersion": "v1.2", **tool}))
    document = {"cwlVersion": "v1.2", "class": "Workflow", "inputs": {"text": "string"}, "outputs": {}, "steps": steps}
    (folder / "long.cwl").write_text(json.dumps(document, indent=1))
    return folder


def _form(folder: Path) -> Path:
    """Write a tool of many inputs of all kinds, a record among every ten of them."""
    record = {"type": "record", "fields": {"x": "File", "y": "int?"}}
    inputs = {
        f"input_{number}": {
            "type": {**record, "name": f"r{number}"} if number % 10 == 9 else KINDS[number % 10 % len(KINDS)],
            "label": f"Input {number}",
            "doc": f"What *number {number}* is for: a sentence or two, as people write them.",
        }
        for number in range(FORM_INPUTS)
    }
    folder.mkdir()
    document = {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "baseCommand": "true",
        "inputs": inputs,
        "outputs": {},
    }
    (folder / "form.cwl").write_text(json.dumps(document))
    return folder


def _upload(dag_id: str, folder: Path, main: str) -> None:
    from cwl_ui_plugin.services.workflow_models import UploadRights
    from cwl_ui_plugin.services.workflows import uploads

    everything = UploadRights(may_see=lambda _dag_id: True, may_change=lambda _dag_id: True)
    files = [
        uploads.UploadedFile(path.relative_to(folder).as_posix(), path.open("rb")) for path in folder.rglob("*.cwl")
    ]
    started = uploads.start_upload(files, user="bench", rights=everything, dag_id=dag_id, main=main)
    uploads.wait_upload(started.id)


def _multiply(home: Path, workflows: int, runs: int) -> None:
    from cwl_ui_plugin.services.triggering import triggers

    genome = {"class": "File", "contents": ">a\nACGT\n", "basename": "genome.fa"}
    triggers.trigger(FIRST, conf={"job": {"genome": genome}}, run_id="r", user="bench", via=triggers.REST)
    for number in range(1, workflows):
        shutil.copytree(home / "workflows/workflows" / FIRST, home / f"workflows/workflows/bench-{number}")
    with closing(sqlite3.connect(home / "airflow.db", timeout=60)) as database:
        _copy(database, "dag", workflows - 1, dag_id="'bench-' || n")
        _copy(database, "dag_tag", workflows - 1, dag_id="'bench-' || n")
        states = "CASE WHEN n % 7 = 0 THEN 'failed' ELSE 'success' END"
        changed = {"dag_id": f"'bench-' || (n % {workflows})", "run_id": "'copy-' || n", "state": states}
        times = {"logical_date": "NULL", "start_date": "dag_run.queued_at", "end_date": "dag_run.queued_at"}
        _copy(database, "dag_run", runs, id="1000 + n", **changed, **times)
        database.commit()


def _copy(database: sqlite3.Connection, table: str, count: int, **changed: str) -> None:
    """Copy the row of the first workflow so often; ``changed`` are expressions with the number ``n`` of the copy."""
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(name, f"{table}.{name}") for name in columns)
    database.execute(
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, numbers WHERE dag_id = '{FIRST}'"
    )


@contextmanager
def _served(app: Any) -> Iterator[str]:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_arguments: Any, **_more: Any) -> None:
            """Say nothing."""

    server = make_server("localhost", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.port}"
    server.shutdown()
    thread.join()


def _measure(app: Any, address: str, repeat: int) -> list[list[str]]:
    token = browser.admin_token()
    client = app.test_client()
    client.set_cookie("_token", token)
    one, long = f"/cwl/workflows/{FIRST}", "/cwl/workflows/bench-long"
    pages = {
        "workflows": ("/cwl/workflows", "tbody tr"),
        "workflows, the last page": ("/cwl/workflows?offset=950", "tbody tr"),
        "workflows, by text, newest first": ("/cwl/workflows?search=bench-9&sort=-uploaded", "tbody tr"),
        "a workflow of 5 steps": (one, "#graph svg .node"),
        f"a workflow of {LONG_STEPS} steps": (long, "#graph svg .node"),
        "its graph as JSON": (f"{long}/graph", ""),
        "its source": (f"{long}/source", "pre.source .line"),
        "its versions": (f"{long}/versions", "tbody tr"),
        f"the form of a workflow of {FORM_INPUTS} inputs": (
            "/cwl/workflows/bench-form/run",
            f"#in-{FORM_INPUTS - 1}, [id^='in-{FORM_INPUTS - 1}-']",
        ),
    }
    began = time.perf_counter()
    client.get("/cwl/workflows").get_data()
    rows = [["workflows, read for the first time", seconds(time.perf_counter() - began), "", "", ""]]
    # Before there is a browser: Playwright's event loop is in the way of the one that checks a login.
    answered = {name: _first_byte(client, path, repeat) for name, (path, _) in pages.items()}
    with browser.logged_in(address, token) as page:
        for name, (path, selector) in pages.items():
            say(name)
            first, size, queries = answered[name]
            usable = seconds(browser.usable(page, address + path, selector, repeat)) if selector else ""
            rows.append([name, seconds(first), f"{size / 1000:.0f} kB", str(queries), usable])
    return rows


def _first_byte(client: Any, path: str, repeat: int) -> tuple[float, int, int]:
    with _counted() as counted:
        answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} was answered with {answer.status_code}")
    return median([common.timed(client.get, path) for _ in range(repeat)]), len(answer.get_data()), counted()


@contextmanager
def _counted() -> Iterator[Callable[[], int]]:
    """Count the queries of all connections."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield lambda: len(statements)
    finally:
        event.remove(Engine, "before_cursor_execute", count)


if __name__ == "__main__":
    main()
