"""How much of the disk runs need: a chain whose steps hand on large files, a scatter of many, delivering outputs."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
import servers
import workflows
from common import say, seconds, timed

from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.dags.names import GATHERER

LOOK_SECONDS = 0.05
MEGABYTE = 1_000_000
COPY = "cat $(inputs.file ? inputs.file.path : '/dev/null') >/dev/null; head -c $(inputs.size) /dev/zero"
TOOL: dict[str, Any] = {
    "class": "CommandLineTool",
    "arguments": [{"shellQuote": False, "valueFrom": COPY}],
    "inputs": {"size": "long", "file": "File?"},
    "outputs": {"out": "stdout"},
    "stdout": "out.bin",
}
HEAD: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "class": "Workflow",
    "requirements": {"ScatterFeatureRequirement": {}, "ShellCommandRequirement": {}, "InlineJavascriptRequirement": {}},
}
COUNT = {
    "class": "CommandLineTool",
    "baseCommand": ["sh", "-c", 'cat "$@" | wc -c', "sh"],
    "inputs": {"files": {"type": "File[]", "inputBinding": {"position": 1}}},
    "outputs": {"out": "stdout"},
    "stdout": "bytes.txt",
}
Figures = tuple[int, float, float | None]
"""Peak of the disk in bytes, seconds of the run, seconds of the last task."""


def main() -> None:
    options = common.options(
        __doc__,
        steps=(20, "steps of the chain"),
        step_megabytes=(200, "what each of them makes"),
        elements=(200, "elements of the scatter"),
        element_megabytes=(10, "what each of them makes"),
    )
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
        documents = {
            f"chain of {options.steps} steps of {options.step_megabytes} MB each": _write(
                Path(folder), "chain.cwl", _chain(options.steps, options.step_megabytes * MEGABYTE)
            ),
            f"scatter of {options.elements} over another's outputs of {options.element_megabytes} MB each": _write(
                Path(folder), "scatter.cwl", _scatter(options.elements, options.element_megabytes * MEGABYTE)
            ),
        }
        figures = {
            "[cwl] keep_intermediate = True": _by_plugin(documents, AIRFLOW__CWL__KEEP_INTERMEDIATE="True"),
            "the plugin": _by_plugin(documents),
            "cwltool --parallel": {name: _by_cwltool(document) for name, document in documents.items()},
        }
        deliveries = _deliveries(Path(folder) / "delivered", options.elements, options.element_megabytes * MEGABYTE)
    text = (
        "The peak of what lies on the disk, looked up every 50 ms: intermediate files and outputs of the run, each "
        "file once, however many names it has. The first row is what the plugin needed before it removed intermediate "
        "files of runs that go on. The last task delivers the outputs. The runs of a column wrote the same.\n\n"
        f"{_table(documents, figures)}\n\n"
        "Delivering outputs alone, of a folder with as many files, whose checksums are known: files that only the run "
        f"has get a second name, all others are copied.\n\n{deliveries}"
    )
    common.write_section(options.page, "disk", text, 1)


def _write(folder: Path, name: str, document: dict[str, Any]) -> Path:
    return workflows.write(folder, name, document)


def _chain(steps: int, size: int) -> dict[str, Any]:
    inner = {
        f"step{number}": {
            "run": TOOL,
            "in": {"size": {"default": size}, **({"file": f"step{number - 1}/out"} if number > 1 else {})},
            "out": ["out"],
        }
        for number in range(1, steps + 1)
    }
    return {
        **HEAD,
        "inputs": {},
        "outputs": {"out": {"type": "File", "outputSource": f"step{steps}/out"}},
        "steps": inner,
    }


def _scatter(elements: int, size: int) -> dict[str, Any]:
    steps = {
        "make": {"run": TOOL, "scatter": "size", "in": {"size": {"default": [size] * elements}}, "out": ["out"]},
        "change": {
            "run": TOOL,
            "scatter": "file",
            "in": {"size": {"default": size}, "file": "make/out"},
            "out": ["out"],
        },
        "count": {"run": COUNT, "in": {"files": "change/out"}, "out": ["out"]},
    }
    return {**HEAD, "inputs": {}, "outputs": {"out": {"type": "File", "outputSource": "count/out"}}, "steps": steps}


def _by_plugin(documents: dict[str, Path], **settings: str) -> dict[str, Figures]:
    with servers.airflow(**settings) as airflow:
        found = {}
        for name, document in documents.items():
            say(f"{name}, {settings or 'by default'}")
            dag_id = airflow.upload(document)
            with _watched(airflow.server.home / "cwl") as peak:
                run = airflow.run(dag_id, seconds=1800)
            last = next(task for task in airflow.tasks(run.path) if task["task_id"] == GATHERER)
            found[name] = peak[0], run.seconds, float(last["duration"])
        return found


def _by_cwltool(document: Path) -> Figures:
    say(f"{document.stem} by cwltool")
    folder = document.parent / f"{document.stem}-cwltool"
    folder.mkdir()
    prefixes = [f"--tmpdir-prefix={folder}/tmp_", f"--tmp-outdir-prefix={folder}/out_", f"--outdir={folder}/outputs"]
    command = [Path(sys.executable).parent / "cwltool", "--quiet", "--parallel", *prefixes, document]
    try:
        with _watched(folder) as peak:
            took = timed(common.run, command)
    finally:
        shutil.rmtree(folder)
    return peak[0], took, None


@contextmanager
def _watched(folder: Path) -> Iterator[list[int]]:
    """Look how much lies below a folder; the peak stands in the list at the end."""
    peak, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            peak[0] = max(peak[0], _usage(folder))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _usage(folder: Path) -> int:
    """Return what ``du`` says: the blocks of all files, each once."""
    blocks: dict[tuple[int, int], int] = {}
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                found = Path(parent, name).lstat()
            except FileNotFoundError:
                continue
            blocks[found.st_dev, found.st_ino] = found.st_blocks
    return 512 * sum(blocks.values())


def _table(documents: dict[str, Path], figures: dict[str, dict[str, Figures]]) -> str:
    header = ["", *(f"{name}: {what}" for name in documents for what in ("peak", "time", "last task"))]
    rows = []
    for name, found in figures.items():
        cells = [name]
        for document in documents:
            peak, took, last = found[document]
            cells += [common.megabytes(peak), seconds(took), "" if last is None else seconds(last)]
        rows.append(cells)
    return common.table(header, rows)


def _deliveries(folder: Path, files: int, size: int) -> str:
    """Return a table of how long it takes to deliver a folder, whose files are the run's or not."""
    say("delivering")
    made, rows = folder / "made", []
    made.mkdir(parents=True)
    for number in range(files):
        with (made / str(number)).open("wb") as file:
            file.write(b"\0" * size)
    listing = [
        {"class": "File", "location": (made / str(number)).as_uri(), "checksum": "sha1$0", "size": size}
        for number in range(files)
    ]
    outputs = {"out": {"class": "Directory", "location": made.as_uri(), "basename": "made", "listing": listing}}
    for name, own in (("copied", ()), ("second names", (made.resolve(),))):
        target = folder / "outputs"
        took = timed(deliver, outputs, Destination(target, target, own=own))
        rows.append([name, seconds(took), common.megabytes(_usage(folder) - files * size)])
        shutil.rmtree(target)
    return common.table([f"{files} files of {size // MEGABYTE} MB", "time", "more on the disk"], rows)


if __name__ == "__main__":
    main()
