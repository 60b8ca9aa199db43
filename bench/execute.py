"""From the start of ``execute`` to the start of the tool's process, for every step of a 22-step workflow.

Each step runs in a process forked from one that has preloaded cwltool, as Airflow's LocalExecutor does it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import analysis
import common
from common import median, say

MAX_SECONDS = 0.050
XCOM = "return_value"


class FakeTask:
    """What a task sees of its task instance: XComs in this process instead of requests to the API server."""

    def __init__(self, task_id: str, values: dict[str, Any]) -> None:
        self.dag_id, self.run_id, self.task_id = "analysis", "bench", task_id
        self.map_index, self.try_number = -1, 1
        self.values = values
        self.pushed: dict[str, Any] = {}

    def xcom_pull(self, task_ids: str) -> Any:
        return self.values.get(task_ids)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def main() -> None:
    options = common.options(__doc__)
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
        os.environ["AIRFLOW_HOME"] = folder
        os.environ["AIRFLOW__CWL__CONTAINER_ENGINE"] = "none"
        os.environ["AIRFLOW__CWL__INPUT_ROOTS"] = folder
        rounds = _rounds(Path(folder), options.repeat)
    medians = {name: median(taken[name] for taken in rounds) for name in rounds[0]}
    slowest = max(medians.values())
    rows = [[name, analysis.STEPS[name].about, f"{value * 1000:.0f} ms"] for name, value in medians.items()]
    text = (
        f"{len(medians)} steps, each in a process forked from one that has preloaded cwltool. Slowest step: "
        f"{slowest * 1000:.0f} ms (target {MAX_SECONDS * 1000:.0f} ms: {common.verdict(slowest, MAX_SECONDS)}); "
        f"median of the steps: {median(medians.values()) * 1000:.0f} ms.\n\n"
        + common.table(["step", "what is in it", "`execute` to the tool's start"], rows)
    )
    common.write_section(options.page, "execute", text, options.repeat)


def _rounds(folder: Path, repeat: int) -> list[dict[str, float]]:
    document = analysis.write(folder)
    from cwl_ui_plugin import CWLDAG
    from cwl_ui_plugin.cwl.engine.run_settings import preload

    dag = CWLDAG(workflow=document, dag_id="analysis")
    preload()
    with _watched_start():
        return [_round(dag, number) for number in range(repeat)]


def _round(dag: Any, number: int) -> dict[str, float]:
    """Run all tasks in order; return the seconds until each step's tool started."""
    say(f"round {number + 1}")
    values: dict[str, Any] = {}
    taken: dict[str, float] = {}
    for task in dag.topological_sort():
        result = _forked(task, FakeTask(task.task_id, values))
        values[task.task_id] = result["value"]
        if task.task_id in analysis.STEPS:
            taken[task.task_id] = result["started"]
    return taken


def _forked(task: Any, instance: FakeTask) -> dict[str, Any]:
    """Execute a task in a child process; return its value and when its tool's process had started."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        _child(task, instance, write)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        raise RuntimeError(f"{instance.task_id} failed")
    result: dict[str, Any] = json.loads(text)
    return result


def _child(task: Any, instance: FakeTask, write: int) -> None:
    code = 1
    try:
        run = types.SimpleNamespace(
            dag_id=instance.dag_id,
            run_id=instance.run_id,
            run_after=datetime.now(timezone.utc),
            conf={"job": analysis.job(Path(os.environ["AIRFLOW_HOME"]))},
        )
        execute = _as_in_a_task(task)
        _STARTS.clear()
        began = time.perf_counter()
        value = execute({"ti": instance, "dag_run": run})
        started = _STARTS[0] - began if _STARTS else 0.0
        with os.fdopen(write, "w") as pipe:
            json.dump({"value": value, "started": started}, pipe)
        code = 0
    except Exception as error:
        print(f"{instance.task_id}: {error}", file=sys.stderr)
    finally:
        os._exit(code)


def _as_in_a_task(task: Any) -> Callable[[Any], Any]:
    """Set up what Airflow's task process has at that moment: its log (here into nothing), and leave to execute."""
    from airflow.sdk.bases.operator import ExecutorSafeguard
    from airflow.sdk.log import configure_logging, reset_logging

    reset_logging()
    configure_logging(json_output=True, output=open(os.devnull, "wb", buffering=0), sending_to_supervisor=True)  # noqa: SIM115, PTH123
    allowed = {f"{type(task).__name__}__sentinel": ExecutorSafeguard.sentinel_value}
    return partial(task.execute, **allowed)


_STARTS: list[float] = []


@contextmanager
def _watched_start() -> Iterator[None]:
    """Note when cwltool has started a tool: Popen returns when the new program has replaced the fork."""
    import subprocess

    import cwltool.job

    def popen(*args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(*args, **kwargs)
        _STARTS.append(time.perf_counter())
        return process

    cwltool.job.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": popen})  # type: ignore
    try:
        yield
    finally:
        cwltool.job.subprocess = subprocess  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
