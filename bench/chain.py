"""A chain of five trivial tools against a bare Airflow Dag of as many empty tasks, on the same server, in turns."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import common
import servers
import workflows
from common import median, say, seconds
from servers import Airflow, Run

STEPS = 5
TASKS = STEPS + 2  # the dispatcher and the gatherer are tasks, too
MAX_RATIO = 1.15
EMPTY = "empty"


def main() -> None:
    options = common.options(__doc__)
    rows = [_measure(database, options.repeat) for database in servers.DATABASES]
    header = [
        "",
        f"{TASKS} empty tasks",
        f"chain of {STEPS} tools",
        "ratio",
        f"target {MAX_RATIO}",
        "answer to end: ratio",
    ]
    text = (
        f"A chain of {STEPS} tools (`cat`) is {TASKS} tasks with the plugin. Beside it a Dag of {TASKS} tasks that do "
        "nothing, on the same server with the same settings (LocalExecutor, those of `cwl-ui-plugin standalone`), in "
        "turns. Times are from the run's start to its end in Airflow's database; the last column counts from the "
        f"answer to the trigger to the end.\n\n{common.table(header, rows)}"
    )
    common.write_section(options.page, "chain", text, options.repeat)


def _measure(database: str, repeat: int) -> list[str]:
    say(f"chain on {database}")
    empty = {"empty.py": servers.EMPTY_DAG.format(dag_id=EMPTY, tasks=TASKS, paused=False)}
    with tempfile.TemporaryDirectory() as folder, servers.airflow(database, empty) as airflow:
        document, job_file = workflows.chain(Path(folder), STEPS)
        job = json.loads(job_file.read_text())
        job["file"]["path"] = str(Path(folder) / job["file"]["path"])
        dag_id = airflow.upload(document)
        airflow.wait_for_dag(EMPTY)
        _in_turns(airflow, dag_id, job, 1)  # warms up
        pairs = _in_turns(airflow, dag_id, job, repeat)
    bare = median(empty.seconds for empty, _chain in pairs)
    ours = median(chain.seconds for _empty, chain in pairs)
    ratio = ours / bare
    wall = median(chain.wall for _empty, chain in pairs) / median(empty.wall for empty, _chain in pairs)
    return [
        database,
        seconds(bare),
        seconds(ours),
        f"{ratio:.2f}",
        common.verdict(ratio, MAX_RATIO),
        f"{wall:.2f}",
    ]


def _in_turns(airflow: Airflow, dag_id: str, job: dict[str, object], times: int) -> list[tuple[Run, Run]]:
    return [(airflow.run(EMPTY), airflow.run(dag_id, job)) for _ in range(times)]


if __name__ == "__main__":
    main()
