"""The pages of runs: time to the first byte and until they can be used, with many runs, elements and output files."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import browser
import common
import servers
from common import median, say, seconds

SMALL, MANY, FULL = "small", "elements", "files"
DOCUMENT = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {names: 'string[]'}
outputs: {said: {type: 'File[]', outputSource: say/said}}
steps:
  say:
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs: {name: {type: string, inputBinding: {}}}
      outputs: {said: stdout}
      stdout: said.txt
    scatter: name
    in: {name: names}
    out: [said]
"""


def main() -> None:
    options = common.options(
        __doc__,
        runs=(100_000, "runs in the database"),
        elements=(1000, "task instances of the scattered step"),
        files=(10_000, "output files"),
    )
    with servers.airflow() as airflow:
        document = airflow.server.home / "pages.cwl"
        document.write_text(DOCUMENT, encoding="utf-8")
        dag_id = airflow.upload(document)
        for run_id in (SMALL, MANY, FULL):
            _run(airflow, dag_id, run_id)
        say(f"filling the database with {options.runs} runs")
        with closing(sqlite3.connect(airflow.server.home / "airflow.db", timeout=120)) as database:
            _multiply_elements(database, options.elements)
            _multiply_files(database, airflow.server.home, dag_id, options.files)
            _multiply_runs(database, options.runs)
        rows = _measure(airflow, dag_id, options.repeat)
    text = (
        f"With {options.runs:,} runs of a workflow in the database (SQLite), among them one whose step has "
        f"{options.elements:,} task instances, and one with {options.files:,} output files. The first byte and the "
        "size are those of the API server's answer, with the login checked. Usable is when Chromium, which has the "
        "scripts and styles already, shows what the page is for. The first of all requests is not counted.\n\n"
        + common.table(["page", "first byte", "size", "usable"], rows)
    )
    common.write_section(options.page, "pages-runs", text, options.repeat)


def _run(airflow: servers.Airflow, dag_id: str, run_id: str) -> None:
    body = {"run_id": run_id, "job": {"names": ["ada", "bob"]}}
    airflow.client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json=body).raise_for_status()
    airflow.server.wait_for_run(airflow.client, dag_id, run_id)


def _copy(database: sqlite3.Connection, table: str, count: int, where: str, **changed: str) -> None:
    """Copy a row of a table so often; ``changed`` are expressions of SQL with the number ``n`` of the copy."""
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(name, f"{table}.{name}") for name in columns)
    database.execute(
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, numbers WHERE {where}"
    )


_NEW_ID = "lower(hex(randomblob(16)))"


def _multiply_runs(database: sqlite3.Connection, count: int) -> None:
    where = f"dag_run.run_id = '{SMALL}'"
    (first,) = database.execute("SELECT max(id) FROM dag_run").fetchone()
    _copy(database, "dag_run", count, where, id=f"{first} + n", run_id="'copy-' || n", logical_date="NULL")
    where = f"task_instance.run_id = '{SMALL}' AND task_instance.task_id = 'CWLJobGatherer'"
    _copy(database, "task_instance", count, where, id=_NEW_ID, run_id="'copy-' || n")
    database.commit()


def _multiply_elements(database: sqlite3.Connection, count: int) -> None:
    where = f"run_id = '{MANY}' AND task_id = 'say' AND map_index = 1"
    number = {"map_index": "1 + n", "rendered_map_index": "'element ' || n"}
    _copy(database, "task_instance", count - 2, where, id=_NEW_ID, **number)
    _copy(database, "xcom", count - 2, where, map_index="1 + n")
    database.commit()


def _multiply_files(database: sqlite3.Connection, home: Path, dag_id: str, count: int) -> None:
    folder = home / "cwl" / "outputs" / dag_id / FULL
    files = []
    for number in range(count):
        path = folder / f"file-{number}.txt"
        path.write_text("x", encoding="ascii")
        said = {"location": path.as_uri(), "basename": path.name, "size": 1, "checksum": f"sha1${number:040x}"}
        files.append({"class": "File", **said})
    chosen = f"run_id = '{FULL}' AND task_id = 'CWLJobGatherer' AND key = 'return_value'"
    database.execute(f"UPDATE xcom SET value = ? WHERE {chosen}", [json.dumps({"said": files})])
    database.commit()


def _measure(airflow: servers.Airflow, dag_id: str, repeat: int) -> list[list[str]]:
    def run(page: str, run_id: str, **more: str) -> str:
        query = "&".join(f"{key}={quote(value)}" for key, value in {"dag_id": dag_id, "run_id": run_id, **more}.items())
        return f"/pluginsv2/cwl/{page}?{query}"

    pages = {
        "runs, all": ("/pluginsv2/cwl/runs", "text=copy-"),
        "runs, the last page": ("/pluginsv2/cwl/runs?offset=99950", "text=copy-"),
        "runs, by text and state": ("/pluginsv2/cwl/runs?text=copy-5&state=success", "text=copy-5"),
        "run, small": (run("run", SMALL), "#graph svg"),
        "run, 1,000 elements": (run("run", MANY), "#graph svg"),
        "its elements": (run("run/elements", MANY, task_id="say"), "table"),
        "its CPU and memory": (run("run/usage", MANY), "figure"),
        "run, 10,000 files": (run("run", FULL), "#graph svg"),
        "a hundred of its files": (run("run/outputs", FULL, place="said", offset="9900"), "text=file-9999.txt"),
        "preview of one": (run("run/preview", FULL, path="file-9999.txt"), "pre"),
        "a step": (run("run/step", SMALL, task_id="CWLJobGatherer"), "h2"),
        "compare two runs": (f"/pluginsv2/cwl/compare?run={dag_id}/{SMALL}&run={dag_id}/{MANY}", "table"),
    }
    rows = []
    with browser.logged_in(airflow.server.url, airflow.server.token()) as page:
        for name, (path, selector) in pages.items():
            say(name)
            first, size = _first_byte(airflow, path, repeat)
            usable = browser.usable(page, airflow.server.url + path, selector, repeat)
            rows.append([name, seconds(first), f"{size / 1000:.0f} kB", seconds(usable)])
    for name, run_id in (("news of a run, nothing new", SMALL), ("the same, 1,000 elements", MANY)):
        headers = {"X-Requested-With": "XMLHttpRequest"}
        headers["If-None-Match"] = airflow.client.get(run("run", run_id), headers=headers).headers["ETag"]
        first, size = _first_byte(airflow, run("run", run_id), repeat, headers)
        rows.append([name, seconds(first), f"{size / 1000:.0f} kB", ""])
    return rows


def _first_byte(
    airflow: servers.Airflow, path: str, repeat: int, headers: dict[str, str] | None = None
) -> tuple[float, int]:
    """Return the seconds until the head of an answer is there, and its size in bytes."""
    found, size = [], 0
    for _ in range(repeat + 1):
        began = time.perf_counter()
        with airflow.client.stream("GET", path, headers=headers) as answer:
            found.append(time.perf_counter() - began)
            size = len(answer.read())
        if answer.status_code not in (200, 304):
            raise RuntimeError(f"{path} was answered with {answer.status_code}")
    return median(found[1:]), size


if __name__ == "__main__":
    main()
