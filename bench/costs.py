"""What a command or a server takes: wall seconds, CPU seconds, and memory, of all its processes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from common import kilobytes
from servers import all_cpu_seconds

SAMPLE_SECONDS = 0.1
IDLE_SHARE = 9
"""So many times as long as looking took is waited until the next look: it must not disturb what it measures."""
SMAPS = "/proc/{pid}/smaps_rollup"


class Cost(NamedTuple):
    """What something took."""

    wall: float
    cpu: float
    memory: float
    """The most that all its processes had together, in bytes; what several share counts once (PSS)."""


class MemoryWatch:
    """Looks, while it is entered, how much memory some processes and all that they start have together."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = list(roots)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak = 0.0
        """The most that all have together."""
        self.peaks = dict.fromkeys(self._roots, 0.0)
        """The most of each of them, with all that it starts."""

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            began = time.perf_counter()
            held = {root: memory(root) for root in self._roots}
            self.peak = max(self.peak, sum(held.values()))
            self.peaks = {root: max(self.peaks[root], size) for root, size in held.items()}
            pause = max(SAMPLE_SECONDS, IDLE_SHARE * (time.perf_counter() - began))


def memory(root: int) -> float:
    """Return the bytes that a process and all that it has started hold now; what several share counts once (PSS)."""
    return sum(_held(pid) for pid in _family(root))


def of_command(
    command: Sequence[str | Path], server: psutil.Process | None = None, **options: Any
) -> tuple[Cost, Cost | None]:
    """Run a command; return what it took with its server, if it has one, and what the server alone took of that."""
    with tempfile.TemporaryFile() as output:
        before = all_cpu_seconds(server) if server else 0.0
        began = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, **options)
        with MemoryWatch([process.pid, *([server.pid] if server else [])]) as watch:
            _pid, status, usage = os.wait4(process.pid, 0)  # the CPU of all that it has waited for, too
            wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        of_server = all_cpu_seconds(server) - before if server else 0.0
        if process.returncode:
            output.seek(0)
            name = " ".join(str(word) for word in command[:2])  # the rest may have a token
            complaints = output.read().decode(errors="replace")[-3000:]
            raise RuntimeError(f"{name} … ended with {process.returncode}:\n{complaints}")
    whole = Cost(wall, usage.ru_utime + usage.ru_stime + of_server, watch.peak)
    return whole, Cost(wall, of_server, watch.peaks[server.pid]) if server else None


def of_server(server: psutil.Process, run: Callable[[], float]) -> Cost:
    """Let a server do something that returns its wall seconds; return what its processes took."""
    before = all_cpu_seconds(server)
    with MemoryWatch([server.pid]) as watch:
        wall = run()
    return Cost(wall, all_cpu_seconds(server) - before, watch.peak)


def at_rest(server: psutil.Process, seconds: float) -> Cost:
    """Return what a server takes while nobody asks anything of it."""

    def rest() -> float:
        time.sleep(seconds)
        return seconds

    return of_server(server, rest)


def _family(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _held(pid: int) -> float:
    try:
        return kilobytes("Pss", Path(SMAPS.format(pid=pid)).read_text())
    except OSError:  # it has ended
        return 0.0
