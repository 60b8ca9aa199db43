"""A scatter of a thousand trivial elements against ``cwltool --parallel``, and one of ten thousand."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common
import psutil
import servers
import workflows
from common import median, megabytes, say, seconds

MAX_RATIO = 1.5
FEW = 20
MAX_RATIO_OF_FEW = 1.3
WATCH_SECONDS = 0.2
MAX_SECONDS = 3600


class Watch:
    """The largest memory of one process among the descendants of a server's scheduler (supervisors and tasks)."""

    def __init__(self, scheduler: psutil.Process) -> None:
        self.scheduler = scheduler
        self.most = 0
        self._over = threading.Event()

    def look(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            for process in self.scheduler.children(recursive=True):
                try:
                    self.most = max(self.most, process.memory_info().rss)
                except psutil.Error:
                    continue  # it has ended meanwhile

    def stop(self) -> None:
        self._over.set()


@contextmanager
def watched(scheduler: psutil.Process) -> Iterator[Watch]:
    """Watch the memory of tasks meanwhile."""
    watch = Watch(scheduler)
    thread = threading.Thread(target=watch.look)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def main() -> None:
    options = common.options(
        __doc__,
        elements=(1000, "elements of the scatter that is compared"),
        many=(10_000, "elements of the large one"),
    )
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as name, servers.airflow() as airflow:
        folder = Path(name)
        document, job_file = workflows.scatter(folder, options.elements)
        job = json.loads(job_file.read_text())
        dag_id = airflow.upload(document)
        airflow.run(dag_id, {"texts": ["warm"]})
        few = _few(airflow, folder, options.repeat)
        ours, peers = [], []
        for number in range(options.repeat):
            say(f"{options.elements} elements, {number + 1}")
            ours.append(airflow.run(dag_id, job, MAX_SECONDS))
            peers.append(common.timed(_cwltool, folder, document, job_file))
        instances = _mapped(airflow, ours[-1])
        say(f"{options.many} elements")
        many_job = json.loads(workflows.scatter(folder, options.many)[1].read_text())
        with watched(airflow.process("scheduler")) as watch:
            many = airflow.run(dag_id, many_job, MAX_SECONDS)
        many_instances = _mapped(airflow, many)
    wall, peer = median(run.wall for run in ours), median(peers)
    ratio = wall / peer
    what = f"{options.elements} elements (`echo`)"
    rows = [
        *few,
        [
            f"{what}: the plugin, from the answer to the trigger to the end",
            f"{seconds(wall)} in {instances} task instances",
        ],
        [f"{what}: `cwltool --parallel`", seconds(peer)],
        ["ratio", f"{ratio:.2f} (target {MAX_RATIO}: {common.verdict(ratio, MAX_RATIO)})"],
        [f"{options.many} elements: the plugin, once", f"{seconds(many.wall)} in {many_instances} task instances"],
        [f"{options.many} elements: largest task process", megabytes(watch.most)],
    ]
    common.write_section(options.page, "scatter", common.table(["", "figure"], rows), options.repeat)


def _few(airflow: servers.Airflow, folder: Path, repeat: int) -> list[list[str]]:
    """Measure a scatter of few short elements: the first run of a step, and the second, which knows how long they are.

    Each first one is that of another step: its document has a label of its own.
    """
    times: dict[str, list[float]] = {"first": [], "second": [], "peer": []}
    _document, job_file = workflows.scatter(folder, FEW)
    job = json.loads(job_file.read_text())
    for number in range(repeat):
        say(f"{FEW} elements, {number + 1}")
        text = workflows.SCATTER.replace("baseCommand: echo", f"label: echo {number}\n      baseCommand: echo")
        document = workflows.write(folder, f"few-{number}.cwl", text)
        dag_id = airflow.upload(document)
        times["first"].append(airflow.run(dag_id, job).wall)
        times["peer"].append(common.timed(_cwltool, folder, document, job_file))
        times["second"].append(airflow.run(dag_id, job).wall)
    peer = median(times["peer"])
    what = f"{FEW} elements (`echo`)"
    rows = [[f"{what}: `cwltool --parallel`", seconds(peer)]]
    for name in ("first", "second"):
        ratio = median(times[name]) / peer
        told = f"ratio {ratio:.2f} (target {MAX_RATIO_OF_FEW}: {common.verdict(ratio, MAX_RATIO_OF_FEW)})"
        rows.append([f"{what}: the plugin, {name} run of the step", f"{seconds(median(times[name]))}, {told}"])
    return rows


def _cwltool(folder: Path, document: Path, job: Path) -> None:
    program = Path(sys.executable).with_name("cwltool")
    common.run([program, "--quiet", "--parallel", "--outdir", folder / "out", document, job])


def _mapped(airflow: servers.Airflow, run: servers.Run) -> int:
    """Return how many task instances the elements were divided among."""
    return sum(task["map_index"] >= 0 for task in airflow.tasks(run.path))


if __name__ == "__main__":
    main()
