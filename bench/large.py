"""Large things, one row each: lists, elements, jobs, workflows, logs and files, on a server of their own.

``--only files --size 10000`` runs one row at another size, which the row says. Rows that were not run stay as they are.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
import psutil
import servers
import workflows
from common import megabytes, say, seconds

from cwl_ui_plugin.dags.names import GATHERER

WATCH_SECONDS = 0.2
MAX_SECONDS = 6 * 3600
GIGABYTE = 10**9
PAGES = "/pluginsv2/cwl"
HEADER = ("what", "wall", "CPU", "largest process", "most on the disk", "besides")
SETTINGS = {"AIRFLOW__CWL__COMPILE_TIMEOUT": "3600", "AIRFLOW__CWL__MAX_JOB_SIZE": str(256 * 1024 * 1024)}
"""For the sizes here; all others are the site's defaults."""
MAKE_FILES = "import sys\nfor n in range(int(sys.argv[1])):\n    open(f'{n:07}.txt', 'w').write(str(n))"
MAKE_LOG = (
    "import sys\nline = b'x' * 999 + b'\\n'\nfor n in range(int(sys.argv[1])):\n    sys.stderr.buffer.write(line)"
)
HEAD: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "class": "Workflow",
    "requirements": {"ScatterFeatureRequirement": {}, "InlineJavascriptRequirement": {}},
}


@dataclass
class Costs:
    """What something took: seconds, CPU seconds of all processes of the server, and bytes of memory and disk."""

    wall: float = 0.0
    cpu: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)
    """By the name of a process, its peak."""
    disk: int = 0
    told: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the figures of a row."""
        name = max(self.memory, key=lambda found: self.memory[found], default="")
        largest = f"{megabytes(self.memory[name])} ({name})" if name else ""
        return [seconds(self.wall), seconds(self.cpu), largest, megabytes(self.disk), "; ".join(self.told)]


@contextmanager
def measured(airflow: servers.Airflow) -> Iterator[Costs]:
    """Watch all processes of a server."""
    server, costs, over = psutil.Process(airflow.server.pid), Costs(), threading.Event()
    free = shutil.disk_usage(airflow.server.home).free

    def look() -> None:
        while not over.wait(WATCH_SECONDS):
            for process in server.children(recursive=True):
                with suppress(psutil.Error):
                    name, rss = _name(process), process.memory_info().rss
                    costs.memory[name] = max(costs.memory.get(name, 0), rss)
            costs.disk = max(costs.disk, free - shutil.disk_usage(airflow.server.home).free)

    thread = threading.Thread(target=look)
    thread.start()
    began, before = time.monotonic(), servers.all_cpu_seconds(server)
    try:
        yield costs
    finally:
        costs.wall, costs.cpu = time.monotonic() - began, servers.all_cpu_seconds(server) - before
        over.set()
        thread.join()


def _name(process: psutil.Process) -> str:
    """Return what a process is: a component of Airflow, a task, or a command."""
    title = " ".join(process.cmdline()).replace("_", "-").replace("dag processor", "dag-processor")
    for name in ("api-server", "dag-processor", "triggerer", "compile-process", "janitor"):
        if name in title:
            return name
    if "task" in title or "worker" in title or "supervisor" in title:
        return "task"
    return "scheduler, or a task" if "scheduler" in title else "command"


def files(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """A list of Files from a tool to the outputs, and what shows it then."""
    make = _tool(MAKE_FILES, {"type": "File[]", "outputBinding": {"glob": "*.txt"}})
    count = {
        "class": "ExpressionTool",
        "inputs": {"files": "File[]"},
        "outputs": {"count": "int"},
        "expression": "$({count: inputs.files.length})",
    }
    document = {
        **HEAD,
        "inputs": {"size": "int"},
        "outputs": {
            "files": {"type": "File[]", "outputSource": "make/out"},
            "count": {"type": "int", "outputSource": "count/count"},
        },
        "steps": {
            "make": {"run": make, "in": {"size": "size"}, "out": ["out"]},
            "count": {"run": count, "in": {"files": "make/out"}, "out": ["count"]},
        },
    }
    dag_id = airflow.upload(workflows.write(folder, "large-files.cwl", document))
    with measured(airflow) as costs:
        run = airflow.run(dag_id, {"size": size}, MAX_SECONDS)
        costs.told += _tasks(airflow, run)
        costs.told += _looks(airflow, dag_id, run, f"{size - 1:07}.txt")
    return costs


def elements(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """A scatter over texts, each by a command, and over the Files that these have made."""
    document = {
        **HEAD,
        "inputs": {"texts": "string[]"},
        "outputs": {"names": {"type": "string[]", "outputSource": "name/name"}},
        "steps": {
            "say": {
                "scatter": "text",
                "run": {
                    "class": "CommandLineTool",
                    "baseCommand": "echo",
                    "inputs": {"text": {"type": "string", "inputBinding": {}}},
                    "outputs": {"line": "stdout"},
                    "stdout": "line.txt",
                },
                "in": {"text": "texts"},
                "out": ["line"],
            },
            "name": {
                "scatter": "file",
                "run": {
                    "class": "ExpressionTool",
                    "inputs": {"file": "File"},
                    "outputs": {"name": "string"},
                    "expression": "$({name: inputs.file.basename})",
                },
                "in": {"file": "say/line"},
                "out": ["name"],
            },
        },
    }
    dag_id = airflow.upload(workflows.write(folder, "large-elements.cwl", document))
    with measured(airflow) as costs:
        run = airflow.run(dag_id, {"texts": [f"text{number}" for number in range(size)]}, MAX_SECONDS)
        costs.told += _tasks(airflow, run)
    return costs


def job(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """A job of many Files, sent to the REST API, run, and shown by the form to start it again."""
    inputs = folder / "inputs"
    inputs.mkdir()
    for number in range(size):
        (inputs / f"{number:06}.txt").touch()
    document = {
        **HEAD,
        "inputs": {"files": "File[]"},
        "outputs": {"count": {"type": "int", "outputSource": "count/count"}},
        "steps": {
            "count": {
                "run": {
                    "class": "ExpressionTool",
                    "inputs": {"files": "File[]"},
                    "outputs": {"count": "int"},
                    "expression": "$({count: inputs.files.length})",
                },
                "in": {"files": "files"},
                "out": ["count"],
            }
        },
    }
    dag_id = airflow.upload(workflows.write(folder, "large-job.cwl", document))
    given = {"files": [{"class": "File", "location": (inputs / f"{n:06}.txt").as_uri()} for n in range(size)]}
    with measured(airflow) as costs:
        began = time.monotonic()
        answer = airflow.client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json={"job": given}, timeout=600)
        answer.raise_for_status()
        costs.told.append(f"REST answered after {seconds(time.monotonic() - began)}")
        run_id = str(answer.json()["run_id"])
        run = airflow.ended(dag_id, run_id, MAX_SECONDS)
        costs.told += _tasks(airflow, run)
        costs.told.append(_asked(airflow, "form", f"{PAGES}/workflows/{dag_id}/run?from_run={run_id}"))
        costs.told.append(_asked(airflow, "page", _page(dag_id, run_id)))
    shutil.rmtree(inputs)
    return costs


def steps(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """Uploading a workflow of many steps until its Dag is known, and pages that show it; it is not run."""
    document = workflows.write(folder, "large-steps.cwl", workflows.chain_document(size))
    with measured(airflow) as costs:
        began = time.monotonic()
        _upload(airflow, document)
        costs.told.append(f"uploaded after {seconds(time.monotonic() - began)}")
        airflow.wait_for_dag(document.stem, MAX_SECONDS)
        costs.told.append(f"Dag known after {seconds(time.monotonic() - began)}")
        costs.told.append(_asked(airflow, "page", f"{PAGES}/workflows/{document.stem}"))
        costs.told.append(_asked(airflow, "REST", f"/cwl/api/v1/workflows/{document.stem}"))
    return costs


def run_of_steps(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """A run of steps that do not wait for each other, from its start to its end."""
    tool = {
        "class": "ExpressionTool",
        "inputs": {"n": "int"},
        "outputs": {"n": "int"},
        "expression": "$({n: inputs.n})",
    }
    inner = {f"step{n}": {"run": tool, "in": {"n": "n"}, "out": ["n"]} for n in range(size)}
    document = {**HEAD, "inputs": {"n": "int"}, "outputs": {}, "steps": inner}
    path = workflows.write(folder, "large-run.cwl", document)
    _upload(airflow, path)
    airflow.wait_for_dag(path.stem, MAX_SECONDS)
    with measured(airflow) as costs:
        run = airflow.run(path.stem, {"n": 1}, MAX_SECONDS)
        costs.told.append(f"run {seconds(run.seconds)}")
        costs.told.append(_asked(airflow, "page", _page(path.stem, run.path.rpartition("/")[2])))
    return costs


def log(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """A command that prints gigabytes to its standard error, in lines of a kilobyte."""
    tool = {"cwlVersion": "v1.2", **_tool(MAKE_LOG, {"type": "stdout"}, "size"), "stdout": "out.txt"}
    dag_id = airflow.upload(workflows.write(folder, "large-log.cwl", tool))
    with measured(airflow) as costs:
        run = airflow.run(dag_id, {"size": size * GIGABYTE // 1000}, MAX_SECONDS)
        costs.told += _tasks(airflow, run)
        run_id = run.path.rpartition("/")[2]
        costs.told.append(_asked(airflow, "page", _page(dag_id, run_id)))
        task = next(task for task in airflow.tasks(run.path) if not task["task_id"].startswith("CWL"))
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/1"
        costs.told.append(_asked(airflow, "Airflow's log", path))
    return costs


def sparse(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """A sparse file: an input of one step, which makes one as large, which the next one reads and the run delivers."""
    given = folder / "given.bin"
    with given.open("wb") as file:
        file.truncate(size * GIGABYTE)
    make = {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-ec", 'test -f "$1"; truncate -s "$2" out.bin', "sh"],
        "inputs": {
            "file": {"type": "File", "inputBinding": {"position": 1}},
            "size": {"type": "long", "inputBinding": {"position": 2}},
        },
        "outputs": {"out": {"type": "File", "outputBinding": {"glob": "out.bin"}}},
    }
    look = {
        "class": "CommandLineTool",
        "baseCommand": ["stat", "-L", "-c", "%s"],
        "inputs": {"file": {"type": "File", "inputBinding": {}}},
        "outputs": {"size": "stdout"},
        "stdout": "size.txt",
    }
    document = {
        **HEAD,
        "inputs": {"file": "File", "size": "long"},
        "outputs": {
            "out": {"type": "File", "outputSource": "make/out"},
            "size": {"type": "File", "outputSource": "look/size"},
        },
        "steps": {
            "make": {"run": make, "in": {"file": "file", "size": "size"}, "out": ["out"]},
            "look": {"run": look, "in": {"file": "make/out"}, "out": ["size"]},
        },
    }
    dag_id = airflow.upload(workflows.write(folder, "large-sparse.cwl", document))
    value = {"file": {"class": "File", "location": given.as_uri()}, "size": size * GIGABYTE}
    with measured(airflow) as costs:
        run = airflow.run(dag_id, value, MAX_SECONDS)
        costs.told += _tasks(airflow, run)
    given.unlink()
    return costs


def stored(airflow: servers.Airflow, folder: Path, size: int) -> Costs:
    """A store of many workflows, put there at once, until Airflow knows all; and a minute of rest."""
    from parsing import PATTERN, known, multiply

    airflow.upload(workflows.write(folder, f"{PATTERN}.cwl", workflows.chain_document(5)))
    with measured(airflow) as costs:
        began = time.monotonic()
        multiply(airflow.server.home / "cwl/workflows/workflows", size - 1)
        servers.wait_for(lambda: known(airflow) >= size, MAX_SECONDS, "all Dags")
        costs.told.append(f"all known after {seconds(time.monotonic() - began)}")
        costs.told.append(_asked(airflow, "list", f"{PAGES}/workflows"))
        costs.told.append(_asked(airflow, "REST", "/cwl/api/v1/workflows?limit=100"))
        processor = airflow.process("dag-processor")
        before = servers.all_cpu_seconds(processor)
        time.sleep(60)
        costs.told.append(f"Dag processor: {servers.all_cpu_seconds(processor) - before:.1f} CPU s in a minute of rest")
    return costs


@dataclass(frozen=True)
class Row:
    """What is measured: ``what`` names it with its size."""

    what: str
    size: int
    measure: Callable[[servers.Airflow, Path, int], Costs]


ROWS = {
    "files": Row("a list of {:,} Files, made by a tool, read by a step, delivered", 1_000_000, files),
    "elements": Row("a scatter over {:,} texts (`echo`), and over its Files", 100_000, elements),
    "job": Row("a job of {:,} Files, by REST", 100_000, job),
    "steps": Row("a workflow of {:,} steps, uploaded", 10_000, steps),
    "run-of-steps": Row("a run of {:,} steps", 10_000, run_of_steps),
    "log": Row("a command that prints {:,} GB", 1, log),
    "sparse": Row("files of {:,} GB, sparse: an input, an output, read by a step, delivered", 50, sparse),
    "stored": Row("{:,} workflows in the store", 10_000, stored),
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(1))  # stops the server, as Ctrl-C does
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=ROWS, action="append", help="a row to run; may be given several times")
    parser.add_argument("--size", type=int, help="another size than the row's own")
    parser.add_argument("--page", type=Path, default=common.PAGE, help="the page whose section is written")
    parser.add_argument("--repeat", type=int, help="nothing: each row is run once")
    options = parser.parse_args()
    known = _known_rows(options.page)
    for name in options.only or ROWS:
        row = ROWS[name]
        size = options.size or row.size
        say(f"{name} at {size}")
        with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder, servers.airflow(**SETTINGS) as airflow:
            costs = row.measure(airflow, Path(folder), size)
        known[name] = [row.what.format(size), *costs.cells()]
        print(known[name], flush=True)
        _write(options.page, known)


def _write(page: Path, rows: dict[str, list[str]]) -> None:
    found = [[f"<!-- {name} -->{rows[name][0]}", *rows[name][1:]] for name in ROWS if name in rows]
    text = (
        "Each row once, on a server of its own (SQLite, LocalExecutor). CPU seconds and memory are those of all "
        "processes of the server, the last column but one what the disk lost meanwhile.\n\n"
        + common.table(HEADER, found)
    )
    common.write_section(page, "large", text, 1)


def _known_rows(page: Path) -> dict[str, list[str]]:
    """Return the rows of the page, which other runs have measured."""
    lines = re.findall(r"^\| <!-- ([a-z-]+) -->(.*) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in lines if name in ROWS}


def _tool(script: str, output: dict[str, Any], name: str = "size") -> dict[str, Any]:
    return {
        "class": "CommandLineTool",
        "baseCommand": [sys.executable, "-c", script],
        "inputs": {name: {"type": "int", "inputBinding": {}}},
        "outputs": {"out": output},
    }


def _tasks(airflow: servers.Airflow, run: servers.Run) -> list[str]:
    """Return how long the run took, and each of its tasks; of mapped ones how many there were, and the sum."""
    found: dict[str, list[float]] = {}
    for task in airflow.tasks(run.path):
        found.setdefault(str(task["task_id"]), []).append(float(task["duration"] or 0))
    named = {"CWLJobDispatcher": "first task", GATHERER: "last task"}
    told = [
        f"{named.get(name, name)} {f'{len(took)} of ' if len(took) > 1 else ''}{seconds(sum(took) / len(took))}"
        for name, took in found.items()
    ]
    return [f"run {seconds(run.seconds)}: {', '.join(told)}"]


def _upload(airflow: servers.Airflow, document: Path) -> None:
    """Upload a document, however long it takes to compile."""
    command = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "upload", document, "--dag-id", document.stem]
    common.run(command, env={**os.environ, "CWL_UI_URL": airflow.server.url, "CWL_UI_TOKEN": airflow.server.token()})


def _page(dag_id: str, run_id: str) -> str:
    return f"{PAGES}/run?dag_id={dag_id}&run_id={run_id}"


def _looks(airflow: servers.Airflow, dag_id: str, run: servers.Run, name: str) -> list[str]:
    run_id = run.path.rpartition("/")[2]
    base = f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}"
    return [
        _asked(airflow, "page", _page(dag_id, run_id)),
        _asked(airflow, "REST files", f"{base}/files?limit=100&offset=500"),
        _asked(airflow, "one file", f"{base}/files/{name}"),
        _asked(airflow, "output object", f"{base}/outputs"),
    ]


def _asked(airflow: servers.Airflow, what: str, path: str) -> str:
    """Return how long an answer took, and how much it was."""
    began, size = time.monotonic(), 0
    headers = {"Cookie": f"_token={airflow.server.token()}"} if path.startswith(PAGES) else {}
    with airflow.client.stream("GET", path, timeout=600, headers=headers) as answer:
        for part in answer.iter_bytes():
            size += len(part)
        status = "" if answer.status_code == 200 else f" (status {answer.status_code})"
    return f"{what} {seconds(time.monotonic() - began)}, {size / 1e6:.1f} MB{status}"


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
