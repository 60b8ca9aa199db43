"""What the commands of a task use while they run: cores and memory, looked up in /proc once a second.

A thread does it beside cwltool. Its first look is a second after the start, so a short command pays for nothing but the
thread. The file has a line ``<unix time> <cores> <bytes>`` wherever something has changed; it never gets long: when it
would, every second line goes, and from then on the looks are twice as far apart.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cwl_ui_plugin.cwl.containers.task_containers import cid_files
from cwl_ui_plugin.cwl.processes.proc import children_of, stat_of

USAGE = "usage.txt"
MAX_LINES = 500
INTERVAL_SECONDS = 1.0
_LEAST_CORES = 0.05
_LEAST_SHARE = 0.02
_CGROUPS = Path("/sys/fs/cgroup")
# Commands in docker's containers are children of its daemon; those of the other engines are ours.
_OF_DOCKER = ("system.slice/docker-{id}.scope", "docker/{id}")


@contextmanager
def sampling(folder: Path, interval: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Write what this process's commands use into a file in ``folder`` while they run."""
    sampler = _Sampler(folder, interval)
    threading.Thread(target=sampler.run, name="cwl-sampling", daemon=True).start()
    try:
        yield
    finally:
        sampler.stop.set()


class _Sampler:
    """The thread: what it has seen, and how often it looks."""

    def __init__(self, folder: Path, interval: float) -> None:
        self.folder = folder
        self.interval = interval
        self.stop = threading.Event()
        self.lines: list[str] = []
        self.last = (0.0, 0)

    def run(self) -> None:
        began, before = time.monotonic(), _seconds_of_ended()  # no command has started yet
        while not self.stop.wait(self.interval):
            seconds, memory = _used(self.folder)
            now = time.monotonic()
            cores = max(0.0, seconds - before) / (now - began)
            began, before = now, max(seconds, before)
            if self._has_changed(cores, memory):
                with suppress(OSError):  # a full disk, or a folder that was removed, is not this thread's business
                    self._write(cores, memory)

    def _has_changed(self, cores: float, memory: int) -> bool:
        then_cores, then_memory = self.last
        return abs(cores - then_cores) > _LEAST_CORES or abs(memory - then_memory) > _LEAST_SHARE * then_memory

    def _write(self, cores: float, memory: int) -> None:
        self.last = (cores, memory)
        self.lines.append(f"{time.time():.1f} {cores:.2f} {memory}\n")
        if len(self.lines) < MAX_LINES:
            with (self.folder / USAGE).open("a", encoding="ascii") as file:
                file.write(self.lines[-1])
            return
        self.lines = self.lines[::2]
        self.interval *= 2
        (self.folder / USAGE).write_text("".join(self.lines), encoding="ascii")


def _used(folder: Path) -> tuple[float, int]:
    """Return cpu seconds and memory of everything below this process, and of its containers."""
    seconds, memory = _seconds_of_ended(), 0
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            stat = stat_of(pid)
            seconds += stat.cpu_seconds
            memory += stat.memory_bytes
    for group in container_groups(folder):
        with suppress(OSError, ValueError, IndexError):
            seconds += int((group / "cpu.stat").read_text(encoding="ascii").split()[1]) / 1e6
            memory += int((group / "memory.current").read_text(encoding="ascii"))
    return seconds, memory


def _seconds_of_ended() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def descendants(pid: int) -> Iterator[int]:
    """Yield the pids of all processes below a process."""
    for child in children_of(pid):
        yield child
        yield from descendants(child)


def container_groups(folder: Path) -> Iterator[Path]:
    """Yield the cgroups of docker's containers of this task, where this machine shows them."""
    for file in cid_files(folder):
        with suppress(OSError):
            name = file.read_text(encoding="ascii", errors="replace").strip()
            for pattern in _OF_DOCKER if name.isalnum() else ():
                group = _CGROUPS / pattern.format(id=name)
                if group.is_dir():
                    yield group
                    break
