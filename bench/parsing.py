"""What Airflow pays for reading Dag files: one of a large workflow, and a store of a thousand workflows."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import common
import psutil
import servers
import workflows
from airflow_server import wait_for
from common import median, say, seconds
from servers import Airflow

STEPS = 25
MOST_SECONDS = 0.030
WATCHED_SECONDS = 60
ROUND_SECONDS = 3600
PATTERN = "pattern"
FORBIDDEN = ("cwltool", "schema_salad", "ruamel")
# Any Dag file imports these names; Airflow loads what is behind them when they are asked for.
ONE_PARSE = """
import json, runpy, sys, time
from airflow.sdk import DAG, BaseOperator, TaskGroup
began = time.perf_counter()
dag = runpy.run_path(sys.argv[1])["dag"]
took = time.perf_counter() - began
assert len(dag.tasks) == int(sys.argv[2]), len(dag.tasks)
print(json.dumps({"seconds": took, "modules": sorted(sys.modules)}))
"""
CWL_DAG = """\
from cwl_ui_plugin import CWLDAG

dag = CWLDAG(workflow="large.cwl", dag_id="large")
"""
BARE_DAG = servers.EMPTY_DAG + "\ndag = tasks[0].dag\n"


def main() -> None:
    options = common.options(__doc__, workflows=(1000, "how many workflows the store has"))
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
        ours, bare = _one_file(Path(folder), options.repeat)
        many = _many_files(Path(folder), options.workflows)
    rows = [
        [
            f"Dag file of a {STEPS}-step workflow, on top of importing `airflow.sdk`",
            seconds(ours),
            f"{seconds(MOST_SECONDS)}: {common.verdict(ours, MOST_SECONDS)}",
        ],
        [f"the same for a Dag file of {STEPS + 2} tasks that do nothing, without the plugin", seconds(bare), ""],
        ["modules of cwltool, schema_salad, ruamel that it imports", "none", "none: reached"],
        *many,
    ]
    text = common.table(["", "figure", "target"], rows)
    common.write_section(options.page, "parsing", text, options.repeat)


def _one_file(folder: Path, repeat: int) -> tuple[float, float]:
    """Return how long the Dag file takes in a fresh process, and how long one of empty tasks takes."""
    say(f"a Dag file of {STEPS} steps")
    workflows.write(folder, "large.cwl", workflows.chain_document(STEPS))
    ours = workflows.write(folder, "large.py", CWL_DAG)
    bare = workflows.write(folder, "bare.py", BARE_DAG.format(dag_id="bare", tasks=STEPS + 2, paused=False))
    home = {"AIRFLOW_HOME": str(folder / "airflow"), "PATH": "/usr/bin:/bin"}

    def parse(dag_file: Path) -> float:
        command = [sys.executable, "-c", ONE_PARSE, dag_file, str(STEPS + 2)]
        answer = json.loads(common.run(command, env=home).splitlines()[-1])
        loaded = [name for name in answer["modules"] if name.split(".")[0] in FORBIDDEN]
        if loaded:
            raise RuntimeError(f"reading a Dag file imports {loaded[:5]}")
        return float(answer["seconds"])

    parse(ours)  # compiles the document
    pairs = [(parse(ours), parse(bare)) for _ in range(repeat)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def _many_files(folder: Path, count: int) -> list[list[str]]:
    with servers.airflow() as airflow:
        airflow.upload(workflows.write(folder, f"{PATTERN}.cwl", workflows.chain_document(5)))
        say(f"{count} workflows in the store")
        _multiply(airflow.server.home / "cwl" / "workflows" / "workflows", count - 1)
        first = common.timed(lambda: wait_for(lambda: _known(airflow) >= count, ROUND_SECONDS, "the first round"))
        again = common.timed(_next_round, airflow)
        processor = airflow.process("dag-processor")
        before = _cpu_seconds(processor)
        time.sleep(WATCHED_SECONDS)
        cpu = (_cpu_seconds(processor) - before) * 60 / WATCHED_SECONDS
        memory = common.peak_memory(processor.pid)
    what = f"Dag processor with {count} workflows"
    return [
        [f"{count} workflows put into the store at once: until Airflow knows all", seconds(first), ""],
        [f"{what}: until it has read each again", seconds(again), ""],
        [f"{what}, nothing changes: CPU seconds per minute", f"{cpu:.1f}", ""],
        [f"{what}: peak memory", common.megabytes(memory), ""],
    ]


def _multiply(store: Path, more: int) -> None:
    """Put copies of the workflow that is there beside it, under names of their own."""
    for number in range(more):
        copy = store / f"{PATTERN}-{number:04}"
        shutil.copytree(store / PATTERN / "versions", copy / "versions")
        shutil.copy(store / PATTERN / "current", copy / "current")


def _known(airflow: Airflow) -> int:
    """Return how many of the workflows Airflow knows."""
    return int(_ask(airflow, "count(*)"))


def _next_round(airflow: Airflow) -> None:
    """Wait until each workflow has been read after now."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    wait_for(lambda: _ask(airflow, "min(last_parsed_time)") > now, ROUND_SECONDS, "the next round")


def _ask(airflow: Airflow, what: str) -> str:
    database = sqlite3.connect(f"file:{airflow.server.home / 'airflow.db'}?mode=ro", uri=True, timeout=60)
    try:
        row = database.execute(f"SELECT {what} FROM dag WHERE dag_id LIKE '{PATTERN}%'").fetchone()
    finally:
        database.close()
    return str(row[0])


def _cpu_seconds(process: psutil.Process) -> float:
    """Return what a process and its children that have ended took."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
