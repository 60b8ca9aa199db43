"""A batch of thousands of rows: how long it takes to check and keep it, and what other calls notice of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import common
import psutil
import servers
from common import megabytes, percentile, say, seconds

DOCUMENT = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs: {reads: {type: "File[]", inputBinding: {}}, level: {type: int, default: 1}}
outputs: {joined: stdout}
stdout: joined.txt
"""
PAUSE_SECONDS = 0.05
IDLE_SECONDS = 10.0
CREATING_SECONDS = 30.0
MOST_ACTIVE = 1000
SLOWER = 3.0


def main() -> None:
    options = common.options(__doc__, rows=(5000, "rows of the sheet"))
    with servers.airflow() as airflow:
        document = airflow.server.home / "cat.cwl"
        document.write_text(DOCUMENT, encoding="utf-8")
        dag_id = airflow.upload(document)
        # The Dag is paused, so that its runs stay queued and the executor does not disturb.
        airflow.client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": True}).raise_for_status()
        _files(airflow, options.rows)
        text = _measure(airflow, dag_id, options.rows)
    common.write_section(options.page, "batches", text, 1)


def _files(airflow: servers.Airflow, rows: int) -> None:
    folder = airflow.server.home / "cwl" / "inputs" / "samples"
    folder.mkdir()
    for number in range(rows):
        for read in (1, 2):
            (folder / f"s{number}_{read}.fq").write_text("x")


@dataclass(frozen=True)
class _Measured:
    """What a sheet took, in seconds, and bytes of memory; ``waits`` are those of another client's calls meanwhile."""

    waits: dict[str, list[float]]
    kept: float
    created: int
    shown: float
    table: float
    memory: float


def _measure(airflow: servers.Airflow, dag_id: str, rows: int) -> str:
    server = psutil.Process(airflow.server.pid)
    waits: dict[str, list[float]] = {}
    say("what other calls take while nothing else happens")
    with _others(airflow, dag_id) as waits["nothing else"]:
        time.sleep(IDLE_SECONDS)
    say(f"a sheet of {rows} rows")
    with _others(airflow, dag_id) as waits["the sheet is checked and kept"]:
        address, kept = _send(airflow, dag_id, rows)
    before = airflow.client.get(address).json()["counts"]
    with _others(airflow, dag_id) as waits["its runs are created"]:
        time.sleep(CREATING_SECONDS)
    counts = airflow.client.get(address).json()["counts"]
    created = counts.get("queued", 0) - before.get("queued", 0)
    shown = min(common.timed(lambda: airflow.client.get(address).raise_for_status()) for _ in range(5))
    table = common.timed(lambda: airflow.client.get(f"{address}/outputs?format=csv").raise_for_status())
    memory = max(common.peak_memory(child.pid) for child in (server, *server.children(recursive=True)))
    airflow.client.post(f"{address}/stop", params={"wait": False}).raise_for_status()
    return _text(rows, _Measured(waits, kept, created, shown, table, memory))


def _send(airflow: servers.Airflow, dag_id: str, rows: int) -> tuple[str, float]:
    """Make a batch; return its address, and how long it took until all rows were checked and kept."""
    lines = [f"S{number},s{number}_1.fq,s{number}_2.fq,{number}" for number in range(rows)]
    sheet = "\n".join(["sample,fastq_1,fastq_2,level", *lines]).encode()
    batches = f"/cwl/api/v1/workflows/{dag_id}/batches"
    form = {"start": "all", "folder": "samples", "max_active": str(MOST_ACTIVE)}
    began = time.perf_counter()
    answer = airflow.client.post(batches, data=form, files={"sheet": ("samples.csv", sheet)}, timeout=300)
    kept = time.perf_counter() - began
    answer.raise_for_status()
    return f"{batches}/{answer.json()['batch_id']}", kept


def _text(rows: int, measured: _Measured) -> str:
    usual = percentile(measured.waits["nothing else"], 50)
    ratio = percentile(measured.waits["its runs are created"], 50) / usual
    return (
        f"A sheet of {rows:,} rows with two files each (CSV), on SQLite, one API server process; the Dag is paused, "
        "so that its runs stay queued and no task disturbs. Another client asks for the workflow all the time. Target: "
        f"while runs are created its calls take less than {SLOWER:.0f} times as long as usual (p50): "
        f"{ratio:.1f} times ({common.verdict(ratio, SLOWER)}).\n\n"
        + common.table(
            ["meanwhile", "other calls: p50", "p95", "longest"],
            [
                [name, seconds(percentile(found, 50)), seconds(percentile(found, 95)), seconds(max(found))]
                for name, found in measured.waits.items()
            ],
        )
        + "\n\n"
        + common.table(
            ["", ""],
            [
                ["sheet sent, all rows checked and kept", seconds(measured.kept)],
                ["runs created", f"{measured.created / CREATING_SECONDS:.1f} per second"],
                ["the batch with 100 of its rows", seconds(measured.shown)],
                ["the outputs of all rows as CSV", seconds(measured.table)],
                ["most memory of a process of the server", megabytes(measured.memory)],
            ],
        )
    )


@contextmanager
def _others(airflow: servers.Airflow, dag_id: str) -> Iterator[list[float]]:
    """Have another client ask for something all the time; yield what its calls take."""
    ending, waits = threading.Event(), list[float]()

    def ask() -> None:
        with airflow.server.client() as client:
            call: Callable[[], object] = lambda: client.get(f"/cwl/api/v1/workflows/{dag_id}").raise_for_status()  # noqa: E731
            call()
            while not ending.is_set():
                waits.append(common.timed(call))
                ending.wait(PAUSE_SECONDS)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        ending.set()
        thread.join()


if __name__ == "__main__":
    main()
