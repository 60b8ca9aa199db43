"""Finding and ending every process that a task started, wherever it went.

A command may call setsid, fork twice, ignore SIGTERM or be stopped; its parent may be dead. What stays with all of them
is the environment that they inherit: each carries a *mark*, and a scan of /proc finds it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

MARK_VARIABLE = "CWL_UI_PLUGIN_TASK"
SERVER_VARIABLE = "CWL_UI_PLUGIN_SERVER"
"""The mark of everything that belongs to one standalone server, commands of its tasks included."""
KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02
_PR_SET_CHILD_SUBREAPER = 36
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Process:
    """A process with a mark; ``start`` is its start in clock ticks since boot, which tells reused pids apart."""

    pid: int
    command: str
    mark: str
    start: int

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command})"


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose parent dies (Linux: prctl(2), PR_SET_CHILD_SUBREAPER).

    Whatever a command starts is then a descendant of this process, also after it forked twice or called setsid.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children() -> bool:
    """Whether this process has a living child, after :func:`adopt_orphans`; True also where that can't be told."""
    try:
        lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
        return not lists or any(_is_living(int(pid)) for pids in lists for pid in pids.split())
    except (OSError, ValueError):
        return True


def _is_living(pid: int) -> bool:
    try:
        return _status(pid)[0] not in "ZX"
    except FileNotFoundError:
        return False


def find(mark_prefix: str, variable: str = MARK_VARIABLE) -> list[Process]:
    """Return the living processes whose mark begins with ``mark_prefix``, this one and its ancestors left out."""
    own = set(_ancestors(os.getpid()))
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    found = (_process(pid, mark_prefix, variable) for pid in pids)
    return [process for process in found if process is not None and process.pid not in own]


def end(mark_prefix: str, grace: float, variable: str = MARK_VARIABLE) -> list[Process]:
    """End all processes whose mark begins with ``mark_prefix``; return those that outlive it.

    They get SIGTERM (and SIGCONT: a stopped process would not see it), ``grace`` seconds, then SIGKILL. A process that
    appears meanwhile is found by the next scan.
    """
    look = partial(find, mark_prefix, variable)
    left = _signal_until_gone(look, signal.SIGTERM, grace)
    return _signal_until_gone(look, signal.SIGKILL, KILL_SECONDS) if left else left


def _signal_until_gone(look: Callable[[], list[Process]], number: signal.Signals, seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    signalled: set[tuple[int, int]] = set()
    while left := look():
        for process in left:
            if (process.pid, process.start) not in signalled or number == signal.SIGKILL:
                _send(process, number)
                signalled.add((process.pid, process.start))
        if time.monotonic() > deadline:
            return left
        time.sleep(_POLL_SECONDS)
    return []


def _send(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)


def _process(pid: int, mark_prefix: str, variable: str) -> Process | None:
    """Return process ``pid`` if it lives and its mark begins so; None also for what is gone or not ours to see."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        mark = _mark(environment, variable)
        if mark is None or not mark.startswith(mark_prefix):
            return None
        state, _, start = _status(pid)
        if state in "ZX":
            return None
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except (OSError, ValueError):
        return None
    return Process(pid=pid, command=command[:_SHOWN_CHARACTERS], mark=mark, start=start)


def _mark(environment: bytes, variable: str) -> str | None:
    key = f"{variable}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(key):
            return entry[len(key) :].decode("utf-8", "replace")
    return None


def _status(pid: int) -> tuple[str, int, int]:
    """Return state, parent and start of a process; see proc(5), /proc/[pid]/stat."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[19])


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        try:
            pid = _status(pid)[1]
        except (OSError, ValueError, IndexError):
            return
