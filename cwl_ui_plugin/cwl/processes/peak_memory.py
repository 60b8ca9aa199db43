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
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin.cwl.containers.engines import CLIENTS
from cwl_ui_plugin.cwl.processes.container_usage import ContainerUsage, peak_of, seconds_of
from cwl_ui_plugin.cwl.processes.sampling import descendants

FIRST_PAUSE, STARTING_PAUSE, MAX_PAUSE = 0.001, 0.01, 0.1
"""Seconds between two looks; the second is the longest while a container starts."""
_KIBIBYTE = 1024


class PeakMemory:
    """The peak of the commands of one step; those of the elements of a batch may run side by side."""

    def __init__(self, folder: Path) -> None:
        self._seen = 0
        self._has_clients = False
        self._other_seconds = 0.0
        self._containers = ContainerUsage(folder)
        self._before = _largest(resource.RUSAGE_CHILDREN)

    def watch(self, command: subprocess.Popen[str]) -> None:
        """Look until a command has ended; it is not waited for, so that its exit code stays for its owner."""
        is_client = _program(command) in CLIENTS
        first: set[int] = set()
        pause, ended = FIRST_PAUSE, set[int]()
        with _Endings(command.pid) as endings:
            while command.pid not in ended:
                self._seen = max(self._seen, *map(peak_of, (command.pid, *descendants(command.pid))))
                new = set(self._containers.look()) - first if is_client else set[int]()
                endings.add(new)
                first |= new
                longest = STARTING_PAUSE if is_client and not first else MAX_PAUSE
                pause = FIRST_PAUSE if new else min(2 * pause, longest)
                ended = endings.within(pause)
                for one in ended & first:
                    self._containers.read(one)
        if is_client:
            self._has_clients = True
        else:
            self._other_seconds += seconds_of(command.pid)

    @property
    def bytes(self) -> int:
        """The peak of all commands that were watched and have ended."""
        counted = _largest(resource.RUSAGE_CHILDREN)
        is_of_a_command = counted > max(self._before, _largest(resource.RUSAGE_SELF))
        return max(self._seen, self._containers.peak, counted if is_of_a_command else 0)

    @property
    def seconds(self) -> float | None:
        """CPU seconds of the commands, where some ran in containers; else None: the kernel knows it more exactly.

        Of what the kernel counts for this process, the engine's own commands have a part, and containers none.
        """
        return self._containers.seconds + self._other_seconds if self._has_clients else None


def _program(command: subprocess.Popen[str]) -> str:
    words = command.args
    return Path(os.fsdecode(words[0])).name if isinstance(words, (list, tuple)) and words else ""


def _largest(whose: int) -> int:
    return resource.getrusage(whose).ru_maxrss * _KIBIBYTE


class _Endings:
    """Waits for the end of processes, as good as the system lets it: a child of this process is not taken away."""

    def __init__(self, child: int) -> None:
        self._child = child
        self._poll = select.poll()
        self._pids: dict[int, int] = {}

    def __enter__(self) -> _Endings:
        self.add([self._child])
        return self

    def __exit__(self, *_exception: object) -> None:
        for descriptor in self._pids:
            os.close(descriptor)

    def add(self, pids: Iterable[int]) -> None:
        """Wait for these, too; not where an old kernel, or a sandbox, forbids it, nor for those that are gone."""
        for pid in pids:
            with suppress(OSError):
                descriptor = os.pidfd_open(pid)
                self._pids[descriptor] = pid
                self._poll.register(descriptor, select.POLLIN)

    def within(self, seconds: float) -> set[int]:
        """Wait for some seconds at most; return those that have ended, each once."""
        if self._child not in self._pids.values():
            return {self._child} if _has_ended(self._child, seconds) else set()
        ended = set()
        for descriptor, _event in self._poll.poll(seconds * 1000):
            self._poll.unregister(descriptor)
            ended.add(self._pids.pop(descriptor))
            os.close(descriptor)
        return ended


def _has_ended(pid: int, seconds: float) -> bool:
    time.sleep(seconds)
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    return True
