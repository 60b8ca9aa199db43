"""What the containers of a step use, which is no part of what the kernel counts for this process's children.

The client of docker or podman is a child of this process, its container is not: podman's monitor (conmon) leaves its
client, and this process adopts it; docker's containers belong to a daemon. Their control groups say exactly how much
CPU they had, until the engine removes them, some milliseconds after the first process of a container has ended. So
that process is waited for, too. What memory its processes have held stands in /proc (``VmHWM``), and the group's own
peak is taken only where none of them was seen: that counts what the kernel keeps of files, too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin.cwl.containers.engines import PROGRAMS
from cwl_ui_plugin.cwl.processes.proc import children_of, stat_of
from cwl_ui_plugin.cwl.processes.sampling import container_groups, descendants

_MONITOR, _RUNTIMES = "conmon", ("runc", "crun")
_KIBIBYTE = 1024
_CGROUPS = Path("/sys/fs/cgroup")
_PEAKS = ("memory.peak", "memory.max_usage_in_bytes")


class ContainerUsage:
    """The containers of one step; those of the elements of a batch may run side by side, each watched by a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seconds: dict[int, float] = {}
        self._groups: dict[int, list[Path]] = {}
        self._before: dict[int, float] = {}
        self._peak = self._group_peak = 0
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """CPU seconds of all containers that were seen."""
        with self._lock:
            return sum(self._seconds.values())

    @property
    def peak(self) -> int:
        """The most memory that a process in one of them has held."""
        return self._peak or self._group_peak

    def look(self) -> list[int]:
        """Look at the containers that run; return the first process of each."""
        found = []
        for pid in self._first_processes():
            name = _name(pid)
            if name in _RUNTIMES:  # what it uses to make the container is not the command's
                self._before[pid] = _used(_groups_of(pid)) or 0.0
            elif name not in PROGRAMS:
                self.read(pid)
                found.append(pid)
        return found

    def read(self, pid: int) -> None:
        """Read what a container uses, by its first process, which may just have ended."""
        groups = self._groups.get(pid) or _groups_of(pid)  # it has none any more when it has ended
        used = _used(groups)
        seconds = seconds_of(pid) if used is None else used - self._before.get(pid, 0.0)
        peak = max([peak_of(one) for one in (pid, *descendants(pid))])
        with self._lock:
            self._groups[pid] = groups
            self._seconds[pid] = max(self._seconds.get(pid, 0.0), seconds)
            self._peak = max(self._peak, peak)
            self._group_peak = max([self._group_peak, *map(_group_peak, groups)])

    def _first_processes(self) -> Iterator[int]:
        for monitor in children_of(os.getpid()):
            if _name(monitor) == _MONITOR:
                yield from children_of(monitor)
        for group in container_groups(self._folder):  # docker's
            with suppress(OSError, ValueError):
                yield from map(int, (group / "cgroup.procs").read_text(encoding="ascii").split()[:1])


def peak_of(pid: int) -> int:
    """Return the peak of a process in bytes; 0 for one that has ended, and for those of container engines."""
    with suppress(OSError, ValueError, IndexError):
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
        )
        if _plain(fields["Name"]) not in PROGRAMS:
            return int(fields.get("VmHWM", "0 kB").split()[0]) * _KIBIBYTE
    return 0


def seconds_of(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended; 0 if it is gone."""
    try:
        return stat_of(pid).cpu_seconds
    except OSError:
        return 0.0


def _name(pid: int) -> str:
    """Return the name of a process; of one that is gone, that of an engine: it is no container either."""
    try:
        return _plain(Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return _MONITOR


def _plain(name: str) -> str:
    return name.strip().partition(":")[0]  # runc:[2:INIT], before it is the container's


def _groups_of(pid: int) -> list[Path]:
    """Return the control groups of a process that this one is not in, of both versions of cgroups."""
    own = set(_lines(os.getpid()))
    found = []
    for line in _lines(pid):
        _number, controllers, path = (*line.split(":", 2), "", "")[:3]
        hierarchies = controllers.split(",") if controllers else ["", "unified"]
        if line not in own and ".." not in path:
            found += [_CGROUPS / name / path.lstrip("/") for name in hierarchies]
    return found


def _lines(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _used(groups: list[Path]) -> float | None:
    return next((seconds for group in groups if (seconds := _cpu_seconds(group)) is not None), None)


def _cpu_seconds(group: Path) -> float | None:
    with suppress(OSError, ValueError, IndexError):
        return int((group / "cpuacct.usage").read_text(encoding="ascii")) / 1e9
    with suppress(OSError, ValueError, IndexError):
        return int((group / "cpu.stat").read_text(encoding="ascii").split("usage_usec", 1)[1].split()[0]) / 1e6
    return None


def _group_peak(group: Path) -> int:
    for name in _PEAKS:
        with suppress(OSError, ValueError):
            return int((group / name).read_text(encoding="ascii"))
    return 0
