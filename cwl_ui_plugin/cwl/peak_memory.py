"""The most memory that a process of a step's commands has held, as ``/usr/bin/time -v`` tells it.

The kernel counts for a child also what its parent held when it forked it (``ru_maxrss``, see getrusage(2)): for an
``echo`` that is all of this process, some 170 MB. What a command has held since it was started stands in /proc as long
as it lives (``VmHWM``, see proc(5)). So it is looked up there, often at first and less and less, and the
kernel's number is taken where it is more than this process can have brought in. A command that has ended before
the first look, after a millisecond or so, and has held less than that is not known: its peak is 0.
"""

from __future__ import annotations

import os
import resource
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cwl_ui_plugin.cwl.sampling import container_groups, descendants

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1
"""Seconds between two looks."""
_KIBIBYTE = 1024
_ENGINES = frozenset(("docker", "podman", "conmon", "runc", "crun", "singularity", "apptainer", "starter", "udocker"))
_GROUP_PEAKS = ("memory.peak", "memory.max_usage_in_bytes")


class PeakMemory:
    """The peak of the commands of one step; those of the elements of a batch may run side by side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = 0
        self._before = _largest(resource.RUSAGE_CHILDREN)

    def watch(self, command: subprocess.Popen[str]) -> None:
        """Look until a command has ended; it is not waited for, so that its exit code stays for its owner."""
        pause = FIRST_PAUSE
        with _ending(command.pid) as ends_within:
            self._look(command.pid)
            while not ends_within(pause):
                self._look(command.pid)
                pause = min(2 * pause, LONGEST_PAUSE)

    @property
    def bytes(self) -> int:
        """The peak of all commands that were watched and have ended."""
        counted = _largest(resource.RUSAGE_CHILDREN)
        is_of_a_command = counted > max(self._before, _largest(resource.RUSAGE_SELF))
        return max(self._seen, counted if is_of_a_command else 0)

    def _look(self, pid: int) -> None:
        peaks = [_peak_of(found) for found in (pid, *descendants(pid))]
        self._seen = max(self._seen, *peaks, *map(_peak_of_group, container_groups(self._folder)))


def _largest(whose: int) -> int:
    return resource.getrusage(whose).ru_maxrss * _KIBIBYTE


def _peak_of(pid: int) -> int:
    """Return the peak of a process in bytes; 0 for one that has ended, and for clients of container engines."""
    with suppress(OSError, ValueError, IndexError):
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
        )
        if fields["Name"].strip() not in _ENGINES:
            return int(fields.get("VmHWM", "0 kB").split()[0]) * _KIBIBYTE
    return 0


def _peak_of_group(group: Path) -> int:
    for name in _GROUP_PEAKS:
        with suppress(OSError, ValueError):
            return int((group / name).read_text(encoding="ascii"))
    return 0


@contextmanager
def _ending(pid: int) -> Iterator[Callable[[float], bool]]:
    """Yield what waits for some seconds at most for the end of a child, and says whether it has come."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # an old kernel, or a sandbox that forbids it
        yield lambda seconds: _has_ended(pid, seconds)
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        yield lambda seconds: bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _has_ended(pid: int, seconds: float) -> bool:
    time.sleep(seconds)
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    return True
