"""What Airflow pays for reading Dag files: one of a large workflow, and a store of a thousand workflows."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import common
import servers
import workflows
from common import median, say, seconds
from servers import Airflow
from support.airflow_server import wait_for

STEPS = 25
MAX_SECONDS = 0.030
WATCHED_SECONDS = 330
"""Longer than it takes until ``standalone`` has each Dag file read that has not changed."""
ROUND_SECONDS = 3600
MAX_ROUND_SECONDS = 30
SETTLING_SECONDS = 30
MAX_CPU_SECONDS = 3
"""In a minute, with all workflows at rest."""
PATTERN = "pattern"
FORBIDDEN = ("cwltool", "schema_salad", "ruamel")
# Any Dag file imports these names; Airflow loads what is behind them when they are asked for, and much more with the
# first Dag of a process, which the Dag processor has behind it when it forks for a file.
ONE_PARSE = """
import json, runpy, sys, time
from airflow.sdk import DAG, BaseOperator, TaskGroup
if sys.argv[3] == "later":
    BaseOperator(task_id="first", dag=DAG("first", schedule=None))
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
        one = _one_file(Path(folder), options.repeat)
        many = _many_files(Path(folder), options.workflows)
    strict = one["first", "large.py"]
    rows = [
        [
            f"Dag file of a {STEPS}-step workflow, on top of importing `airflow.sdk`",
            seconds(strict),
            f"{seconds(MAX_SECONDS)}: {common.verdict(strict, MAX_SECONDS)}",
        ],
        [f"the same for {STEPS + 2} tasks that do nothing, without the plugin", seconds(one["first", "bare.py"]), ""],
        ["with the plugin, when the process has made a Dag before", seconds(one["later", "large.py"]), ""],
        ["without the plugin, when the process has made a Dag before", seconds(one["later", "bare.py"]), ""],
        ["modules of cwltool, schema_salad, ruamel that it imports", "none", "none: reached"],
        *many,
    ]
    text = common.table(["", "figure", "target"], rows)
    common.write_section(options.page, "parsing", text, options.repeat)


def _one_file(folder: Path, repeat: int) -> dict[tuple[str, str], float]:
    """Return how long Dag files take in a fresh process, as its first Dag or as a later one."""
    say(f"a Dag file of {STEPS} steps")
    workflows.write(folder, "large.cwl", workflows.chain_document(STEPS))
    workflows.write(folder, "large.py", CWL_DAG)
    workflows.write(folder, "bare.py", BARE_DAG.format(dag_id="bare", tasks=STEPS + 2, paused=False))
    kinds = [(when, name) for when in ("first", "later") for name in ("large.py", "bare.py")]
    _parse(folder, *kinds[0])  # compiles the document
    taken = [{kind: _parse(folder, *kind) for kind in kinds} for _ in range(repeat)]
    return {kind: median(times[kind] for times in taken) for kind in kinds}


def _parse(folder: Path, when: str, name: str) -> float:
    """Return how long a fresh process takes for a Dag file; raise if it imports what it must not."""
    command = [sys.executable, "-c", ONE_PARSE, folder / name, str(STEPS + 2), when]
    environment = {"AIRFLOW_HOME": str(folder / "airflow"), "PATH": "/usr/bin:/bin"}
    answer = json.loads(common.run(command, env=environment).splitlines()[-1])
    loaded = [module for module in answer["modules"] if module.split(".")[0] in FORBIDDEN]
    if loaded:
        raise RuntimeError(f"reading a Dag file imports {loaded[:5]}")
    return float(answer["seconds"])


def _many_files(folder: Path, count: int) -> list[list[str]]:
    with servers.airflow() as airflow:
        airflow.upload(workflows.write(folder, f"{PATTERN}.cwl", workflows.chain_document(5)))
        say(f"{count} workflows in the store")
        multiply(airflow.server.home / "cwl" / "workflows" / "workflows", count - 1)
        processor = airflow.process("dag-processor")
        before = servers.cpu_seconds(processor)
        first = common.timed(lambda: wait_for(lambda: known(airflow) >= count, ROUND_SECONDS, "the first round"))
        wait_for(lambda: not processor.children(), ROUND_SECONDS, "the end of the first round")
        of_round = servers.cpu_seconds(processor) - before
        time.sleep(SETTLING_SECONDS)
        say("all are at rest")
        before = servers.cpu_seconds(processor)
        time.sleep(WATCHED_SECONDS)
        idle = (servers.cpu_seconds(processor) - before) * 60 / WATCHED_SECONDS
        memory = common.peak_memory(processor.pid)
    what = f"Dag processor with {count} workflows"
    return [
        [
            f"{count} workflows put into the store at once: until Airflow knows all",
            seconds(first),
            f"{seconds(MAX_ROUND_SECONDS)}: {common.verdict(first, MAX_ROUND_SECONDS)}",
        ],
        [f"{what}: CPU seconds of that round", f"{of_round:.0f}", ""],
        [
            f"{what}, nothing changes, watched for {WATCHED_SECONDS} s: CPU seconds per minute",
            f"{idle:.1f}",
            f"{MAX_CPU_SECONDS}: {common.verdict(idle, MAX_CPU_SECONDS)}",
        ],
        [f"{what}: peak memory", common.megabytes(memory), ""],
    ]


def multiply(store: Path, more: int) -> None:
    """Put copies of the workflow that is there beside it, under names of their own."""
    for number in range(more):
        copy = store / f"{PATTERN}-{number:04}"
        shutil.copytree(store / PATTERN / "versions", copy / "versions")
        shutil.copy(store / PATTERN / "current", copy / "current")


def known(airflow: Airflow) -> int:
    """Return how many of the workflows Airflow knows."""
    return int(_ask(airflow, "count(*)"))


def _ask(airflow: Airflow, what: str) -> str:
    database = sqlite3.connect(f"file:{airflow.server.home / 'airflow.db'}?mode=ro", uri=True, timeout=60)
    try:
        row = database.execute(f"SELECT {what} FROM dag WHERE dag_id LIKE '{PATTERN}%'").fetchone()
    finally:
        database.close()
    return str(row[0])


if __name__ == "__main__":
    main()
