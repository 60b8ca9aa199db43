"""What the system says about a process, in /proc: the one place that reads it; see proc(5).

psutil says the same, but opens several files for it: a scan, and a sample each second, look at hundreds of processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_AT_ONCE = 1 << 16
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Stat:
    """A process as /proc/[pid]/stat has it."""

    state: str
    """One letter: ``Z`` and ``X`` are dead."""
    parent: int
    session: int
    cpu_ticks: int
    """Its own, and those of its children that have ended and were waited for."""
    started_ticks: int
    """Since the machine was booted; with the pid it tells a process from all others of this boot."""
    memory_bytes: int

    @property
    def is_living(self) -> bool:
        """Whether it has not ended."""
        return self.state not in "ZX"

    @property
    def cpu_seconds(self) -> float:
        """The same as ``cpu_ticks``, in seconds."""
        return self.cpu_ticks / _TICKS_PER_SECOND

    @property
    def started_seconds(self) -> float:
        """The same as ``started_ticks``, in seconds."""
        return self.started_ticks / _TICKS_PER_SECOND


def stat_of(pid: int) -> Stat:
    """Return what /proc/[pid]/stat says.

    Raises:
        OSError: there is no such process (any more).

    """
    # A command's name stands in brackets, and may have brackets, spaces and lines in it.
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].decode().split()
    try:
        return Stat(
            state=fields[0],
            parent=int(fields[1]),
            session=int(fields[3]),
            cpu_ticks=sum(map(int, fields[11:15])),
            started_ticks=int(fields[19]),
            memory_bytes=int(fields[21]) * _PAGE_BYTES,
        )
    except (IndexError, ValueError) as error:  # it ended while it was read
        raise ProcessLookupError(f"/proc/{pid}/stat can't be read") from error


def children_of(pid: int) -> Iterator[int]:
    """Yield the pids of the children of a process; none if it is gone, or where Linux keeps no such lists."""
    threads: list[str] = []
    with suppress(OSError):  # it, or a thread of it, ends at any moment
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - pathlib's iterator opens it when it is used
    for thread in threads:
        with suppress(OSError, ValueError):
            yield from map(int, read(f"/proc/{pid}/task/{thread}/children").split())


def read(path: str) -> bytes:
    """Read a file of /proc; pathlib takes three times as long, and a scan reads hundreds of files."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(file, _AT_ONCE)]
        while parts[-1]:
            parts.append(os.read(file, _AT_ONCE))
        return b"".join(parts)
    finally:
        os.close(file)
