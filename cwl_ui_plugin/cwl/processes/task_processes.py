"""Finding and ending every process that a task started, wherever it went.

A command may call setsid, fork twice, ignore SIGTERM or be stopped; its parent may be dead. What stays with all of them
is the environment that they inherit: each carries a *tag*, and a scan of /proc finds it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin.cwl.processes.proc import read, stat_of

TAG_VARIABLE = "CWL_UI_PLUGIN_TASK"
SERVER_VARIABLE = "CWL_UI_PLUGIN_SERVER"
"""The tag of everything that belongs to one standalone server, commands of its tasks included."""
KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Process:
    """A process with a tag; ``start`` is its start in clock ticks since boot, which tells reused pids apart."""

    pid: int
    command: str
    tag: str
    start: int

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command})"

    @property
    def program(self) -> str:
        """It without its arguments, which may have secrets in them."""
        return f"pid {self.pid} ({self.command.partition(' ')[0]} …)"


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose parent dies (Linux: prctl(2), PR_SET_CHILD_SUBREAPER).

    Whatever a command starts is then a descendant of this process, also after it forked twice or called setsid.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """Have this process get SIGTERM when the one that forked it dies (Linux: prctl(2), PR_SET_PDEATHSIG)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def has_children() -> bool:
    """Whether this process has a living child, after :func:`adopt_orphans`; True also where that can't be told."""
    try:
        lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
        return not lists or any(_is_living(int(pid)) for pids in lists for pid in pids.split())
    except (OSError, ValueError):
        return True


def _is_living(pid: int) -> bool:
    try:
        return stat_of(pid).is_living
    except (FileNotFoundError, ProcessLookupError):
        return False


def find(tag: str, variable: str = TAG_VARIABLE, *, below: Iterable[int] = ()) -> list[Process]:
    """Return the living processes with ``tag`` or one below it (``tag/...``), this one and its ancestors left out.

    Their descendants are among them, and those of the processes ``below``, also without a tag: a command can start
    others with an environment of their own.
    """
    own = set(_ancestors(os.getpid()))
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - see read
    tagged = [process for pid in pids if (process := _process(pid, tag, variable)) is not None]
    known = {process.pid for process in tagged}
    under = _descendants(pids, known | set(below)) - known
    untagged = [process for pid in under if (process := _described(pid, f"{tag}/?")) is not None]
    return [process for process in (*tagged, *untagged) if process.pid not in own]


class ProcessTerminator:
    """Ends processes: each gets SIGTERM when it is first seen, and SIGKILL once ``grace`` seconds are over.

    SIGCONT comes with it: a stopped process would not see SIGTERM.
    """

    def __init__(self, grace: float) -> None:
        self._kill_at = time.monotonic() + grace
        self._told: set[tuple[int, int]] = set()

    def signal(self, found: Iterable[Process]) -> None:
        """Signal the processes that are there now; call it again with those that are there later."""
        kill = time.monotonic() >= self._kill_at
        for process in found:
            if kill or (process.pid, process.start) not in self._told:
                _send(process, signal.SIGKILL if kill else signal.SIGTERM)
                self._told.add((process.pid, process.start))


def end(tag: str, grace: float, variable: str = TAG_VARIABLE, *, below: Iterable[int] = ()) -> list[Process]:
    """End what :func:`find` finds; return those that outlive it. What appears meanwhile is found by the next scan."""
    terminator, deadline = ProcessTerminator(grace), time.monotonic() + grace + KILL_SECONDS
    below = tuple(below)
    while left := find(tag, variable, below=below):
        terminator.signal(left)
        if time.monotonic() > deadline:
            return left
        time.sleep(_POLL_SECONDS)
    return []


def kill_session(session: int) -> None:
    """Kill all processes of a session, whatever process group they are in, with all that they have started.

    Every process that appears meanwhile is found by the next look; this one and its ancestors are left out.
    """
    deadline = time.monotonic() + KILL_SECONDS
    while (left := _in_session(session)) and time.monotonic() < deadline:
        for process in left:
            _send(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def cpu_seconds_of_session(session: int) -> float:
    """Return the CPU time of the living processes of a session, and of those of their children that have ended."""
    seconds = 0.0
    for process in _in_session(session):
        with contextlib.suppress(OSError):
            seconds += stat_of(process.pid).cpu_seconds
    return seconds


def _in_session(session: int) -> list[Process]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - see read
    members = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if stat_of(pid).session == session:
                members.add(pid)
    found = (members | _descendants(pids, members)) - set(_ancestors(os.getpid()))
    return [process for pid in found if (process := _described(pid, "")) is not None]


def _send(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)


def _process(pid: int, wanted: str, variable: str) -> Process | None:
    """Return process ``pid`` if it lives and has the tag; None also for what is gone or not ours to see."""
    try:
        tag = _tag(read(f"/proc/{pid}/environ"), variable)
    except OSError:
        return None
    return _described(pid, tag) if tag is not None and f"{tag}/".startswith(f"{wanted}/") else None


def _described(pid: int, tag: str) -> Process | None:
    try:
        stat = stat_of(pid)
        command = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return None
    shown = command[:_SHOWN_CHARACTERS]
    return Process(pid=pid, command=shown, tag=tag, start=stat.started_ticks) if stat.is_living else None


def _descendants(pids: Iterable[int], roots: set[int]) -> set[int]:
    """Return the processes below others, at any depth."""
    if not roots:
        return set()
    children: dict[int, list[int]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            children.setdefault(stat_of(pid).parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        new = set(children.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def _tag(environment: bytes, variable: str) -> str | None:
    key = f"\0{variable}=".encode()
    _before, found, after = (b"\0" + environment).partition(key)
    return after.partition(b"\0")[0].decode("utf-8", "replace") if found else None


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        try:
            pid = stat_of(pid).parent
        except OSError:
            return
