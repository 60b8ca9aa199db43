"""The peak memory of the processes of a server that runs a workflow."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import common
import servers
import workflows
from common import median, megabytes

EMPTY = "empty"
# A task of Airflow that only tells its own memory.
EMPTY_DAG = '''"""A task that does nothing but to tell its memory."""

from pathlib import Path

from airflow.sdk import DAG, BaseOperator


class Memory(BaseOperator):
    def execute(self, context):
        return Path("/proc/self/status").read_text() + Path("/proc/self/smaps_rollup").read_text()


with DAG("empty", schedule=None, is_paused_upon_creation=False):
    Memory(task_id="memory")
'''
# A tool that tells the memory of the process that started it: of the task.
TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, "cat /proc/$PPID/status /proc/$PPID/smaps_rollup"]
inputs: {}
outputs:
  memory:
    type: string
    outputBinding: {glob: memory.txt, loadContents: true, outputEval: "$(self[0].contents)"}
stdout: memory.txt
"""


def main() -> None:
    options = common.options(__doc__)
    dags = {"empty.py": EMPTY_DAG}
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as name, servers.airflow(dags=dags) as airflow:
        rows = _measure(airflow, Path(name), options.repeat)
    text = (
        "Peak of the resident memory of a process, and what of it is not shared with the process that it was forked "
        "from. The Dag processor with 1,000 workflows is in the first table.\n\n"
        + common.table(["process", "peak", "not shared"], rows)
    )
    common.write_section(options.page, "memory", text, options.repeat)


def _measure(airflow: servers.Airflow, folder: Path, repeat: int) -> list[list[str]]:
    airflow.wait_for_dag(EMPTY)
    dag_id = airflow.upload(workflows.write(folder, "memory.cwl", TOOL))
    rows = [
        ["task process of a step, when its tool runs", *_of_task(airflow, dag_id, repeat)],
        ["task process of a task of Airflow that does nothing", *_of_task(airflow, EMPTY, repeat)],
    ]
    document, job_file = workflows.scatter(folder, 100)
    airflow.run(airflow.upload(document), json.loads(job_file.read_text()))
    for component, what in (("api-server", "API server"), ("scheduler", "scheduler, which has cwltool preloaded")):
        peak = common.peak_memory(airflow.process(component).pid)
        rows.append([f"{what}, after some uploads and runs", megabytes(peak), ""])
    return rows


def _of_task(airflow: servers.Airflow, dag_id: str, repeat: int) -> list[str]:
    """Return peak and private memory of a Dag's task that tells them as its value."""
    found = [_told(airflow, airflow.run(dag_id)) for _ in range(repeat)]
    peak, private = (median(values) for values in zip(*found, strict=True))
    return [megabytes(peak), megabytes(private)]


def _told(airflow: servers.Airflow, run: servers.Run) -> tuple[float, float]:
    for task in airflow.tasks(run.path):
        path = f"{run.path}/taskInstances/{task['task_id']}/xcomEntries/return_value"
        text = airflow.client.get(path).text.replace("\\n", "\n").replace("\\t", "\t")
        if "VmHWM" in text:
            return common.kilobytes("VmHWM", text), common.kilobytes("Private_(?:Clean|Dirty)", text)
    raise RuntimeError(f"no task of {run.path} told its memory")


if __name__ == "__main__":
    main()
