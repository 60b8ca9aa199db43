"""What a run says of the memory, CPU and disk of its commands, beside what /usr/bin/time, cgroups and du say."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import workflows
from common import say, timed

from cwl_ui_plugin.cwl.compiler.compiling import compile_document
from cwl_ui_plugin.cwl.engine.execution import run_step
from cwl_ui_plugin.cwl.engine.process_runs import StepResult
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
from cwl_ui_plugin.cwl.files import total_size
from cwl_ui_plugin.cwl.plan import read_plan
from cwl_ui_plugin.cwl.processes.task_processes import adopt_orphans

sys.path.insert(0, str(common.ROOT / "tests"))
from support.podman import IMAGE, NoPodman, clear, make_podman

MEGABYTES = (5, 50, 300, 1000)
SECONDS = (0.5, 20.0)
MAX_DEVIATION = 0.1
LOOK_SECONDS = 0.01
CGROUPS = Path("/sys/fs/cgroup")
# Of both versions of cgroups, as podman has them with cgroup_manager = "cgroupfs".
GROUP_PEAKS = ("memory/libpod_parent/libpod-*/memory.max_usage_in_bytes", "libpod_parent/libpod-*/memory.peak")
GROUP_TIMES = ("cpuacct/libpod_parent/libpod-*/cpuacct.usage",)
GROUP_STATISTICS = ("libpod_parent/libpod-*/cpu.stat",)
BUSYBOX_PAGES = 4
"""Busybox takes the kernel's kilobytes for pages, and multiplies them."""


@dataclass
class Figures:
    """Memory in bytes, CPU in seconds."""

    memory: float = 0.0
    cpu: float = 0.0


def main() -> None:
    options = common.options(__doc__)
    podman_folder = Path(tempfile.mkdtemp(prefix="cwl-pm-"))
    try:
        has_podman = _has_podman(podman_folder)
        with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
            cases = itertools.product((False, True) if has_podman else (False,), SECONDS, MEGABYTES)
            rows = [_row(Path(folder), size, wanted, in_container) for in_container, wanted, size in cases]
    finally:
        clear(podman_folder)
    header = [
        "command",
        "memory: step",
        "`time -v`",
        "",
        "CPU: step",
        "`time -v`",
        "",
        "cgroup",
        "output: step",
        "`du`",
    ]
    missed = sum("missed" in cell for row in rows for cell in row)
    text = (
        "`dd` with a block of so many megabytes, which it writes once into an output and then moves about, for about "
        "half a second or 20. The step's figures are those that its page and the REST API show; each ran in a process "
        "as a task's. Beside them `/usr/bin/time -v`, by which the same command was started, in podman's containers "
        "that of busybox; the control group of the container (its peak counts what the kernel keeps of written files, "
        "its CPU what made the container); and `du` of the output. Target: within 10 %, or 20 ms of CPU: "
        f"{missed} of {2 * len(rows)} figures miss it.\n\n" + common.table(header, rows)
    )
    common.write_section(options.page, "measured", text, 1)


def _has_podman(folder: Path) -> bool:
    try:
        os.environ.update(make_podman(folder).variables)
    except NoPodman as reason:
        say(f"without containers: {reason}")
        return False
    return True


def _row(folder: Path, size: int, wanted: float, in_container: bool) -> list[str]:
    say(f"{size} MB for {wanted} s{' in a container' if in_container else ''}")
    place = folder / uuid.uuid4().hex
    document = workflows.write(place / "source", "dd.cwl", _tool(size, wanted, in_container))
    compile_document(document.parent, document.name, place / "compiled")
    with _watching_groups() as groups:
        step = _step(place, "podman" if in_container else "none")
    told = _told(local(step.values["time"][0]).read_text(), in_container)
    output = local(step.values["file"][0])
    cells = [
        f"{size} MB, {wanted:g} s{', podman' if in_container else ''}",
        f"{step.peak_memory_bytes / 1e6:.1f} MB",
        f"{told.memory / 1e6:.1f} MB",
        _verdict(step.peak_memory_bytes, told.memory, 0),
        f"{step.cpu_seconds:.2f} s",
        f"{told.cpu:.2f} s",
        _verdict(step.cpu_seconds, told.cpu, 0.02),
        f"{groups.memory / 1e6:.0f} MB, {groups.cpu:.2f} s" if in_container and groups.memory else "",
        f"{total_size(step.values['file']) / 1e6:.1f} MB",
        f"{512 * output.stat().st_blocks / 1e6:.1f} MB",
    ]
    shutil.rmtree(place)
    return cells


def _step(place: Path, engine: str) -> StepResult:
    """Run the step in a process of its own, as a task does."""
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[StepResult] = context.SimpleQueue()
    process = context.Process(target=_run, args=(place, engine, results))
    process.start()
    result = results.get()
    process.join()
    return result


def _run(place: Path, engine: str, results: multiprocessing.SimpleQueue[StepResult]) -> None:
    adopt_orphans()
    step = read_plan(place / "compiled").steps[0]
    settings = RunSettings(engine=engine, tag="bench/measured/step/-1/1")
    results.put(run_step(place / "compiled", place / "source", step, {}, place / "step", settings))


def local(value: Any) -> Path:
    """Return the path of a File."""
    return Path(value["location"].removeprefix("file://"))


def _verdict(shown: float, told: float, least: float) -> str:
    off = shown / told - 1 if told else 0.0
    is_near = abs(off) <= MAX_DEVIATION or abs(shown - told) <= least
    return f"{off:+.0%}" + ("" if is_near else ": missed")


def _tool(size: int, wanted: float, in_container: bool) -> dict[str, Any]:
    # dd holds one block: its memory is a block and what busybox itself has.
    script = f"dd if=/dev/zero of=out.bin bs={size}M count=1; dd if=/dev/zero of=/dev/null bs={size}M count="
    clock = ["time"] if in_container else ["/usr/bin/time"]
    shell = ["sh"] if in_container else ["busybox", "sh"]
    return {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        **({"requirements": {"DockerRequirement": {"dockerPull": IMAGE}}} if in_container else {}),
        "baseCommand": [*clock, "-v", "-o", "time.txt", *shell, "-c", f"{script}{_count(size, wanted)}"],
        "inputs": {},
        "outputs": {
            "time": {"type": "File", "outputBinding": {"glob": "time.txt"}},
            "file": {"type": "File", "outputBinding": {"glob": "out.bin"}},
        },
    }


def _count(size: int, wanted: float) -> int:
    """Return how many blocks dd moves about in a time."""
    tried = max(2, 2000 // size)
    took = timed(common.run, ["busybox", "dd", "if=/dev/zero", "of=/dev/null", f"bs={size}M", f"count={tried}"])
    return max(1, round(tried * wanted / took))


def _told(text: str, in_container: bool) -> Figures:
    def field(name: str) -> float:
        found = re.search(rf"{re.escape(name)}: ([\d.]+)", text)
        if found is None:
            raise RuntimeError(f"time -v does not tell: {name}")
        return float(found[1])

    memory = 1024 * field("Maximum resident set size (kbytes)") / (BUSYBOX_PAGES if in_container else 1)
    return Figures(memory, field("User time (seconds)") + field("System time (seconds)"))


@contextmanager
def _watching_groups() -> Iterator[Figures]:
    """Look at the control groups of podman's containers; what they have said last stands in the figures."""
    figures, ended = Figures(), threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            figures.memory = max([figures.memory, *_numbers(GROUP_PEAKS, 1)])
            figures.cpu = max([figures.cpu, *_numbers(GROUP_TIMES, 1e9), *_numbers(GROUP_STATISTICS, 1e6)])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield figures
    finally:
        ended.set()
        thread.join()


def _numbers(names: Sequence[str], unit: float) -> Iterator[float]:
    for name in names:
        for file in CGROUPS.glob(name):
            with suppress(OSError, ValueError, IndexError):
                yield float(file.read_text().split("usage_usec", 1)[-1].split()[0]) / unit


if __name__ == "__main__":
    main()
