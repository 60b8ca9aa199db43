"""Proof that no process of a run is left, on this machine and on others.

Commands of a task carry a mark, and a task holds a lease (a file that all machines see) while it may have any. On this
machine marked processes are ended here and now. Elsewhere the task's supervisor ends it at its next heartbeat, and the
lease goes when nothing marked is left there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl import containers, processes
from cwl_ui_plugin.dags import run_folder
from cwl_ui_plugin.dags.run_folder import Lease

TASK_PROCESS_SECONDS = 15
"""How long a task process may take to end by itself, or by its supervisor, before it is killed."""
SUPERVISOR_MARGIN_SECONDS = 6
"""After its heartbeat a supervisor sends SIGTERM, and SIGKILL 5 seconds later."""
_POLL_SECONDS = 0.2
_CLOCK_SLACK_SECONDS = 2.0


@dataclass(frozen=True)
class TaskProcess:
    """The process of a task that was running when the stop began; ``started_at`` in seconds since the epoch."""

    task_id: str
    host: str
    pid: int
    started_at: float


class StopProof:
    """What is left of a run, and ending it; a run without a folder has neither leases nor marked processes."""

    def __init__(self, dag_id: str, run_id: str, running: Iterable[TaskProcess], *, has_folder: bool) -> None:
        from airflow.utils.net import get_hostname

        self.dag_id = dag_id
        self.run_id = run_id
        self.has_folder = has_folder
        self._hosts: set[str] = {run_folder.this_host(), get_hostname()}  # type: ignore[no-untyped-call]
        self._running = tuple(running)
        self._began = time.monotonic()
        self._leased: set[str] = {lease.task_id for lease in self._leases()}
        self.had_leases = bool(self._leased)

    def wait(self, seconds: float, new: Callable[[], Iterable[TaskProcess]]) -> tuple[str, ...]:
        """End what is here and wait for the rest; return what outlives ``seconds``. ``new`` finds more to wait for."""
        while True:
            left = self._look()
            found = tuple(new())
            self._running += found
            if not (left or found) or time.monotonic() - self._began > seconds:
                return left
            time.sleep(_POLL_SECONDS)

    def _look(self) -> tuple[str, ...]:
        """End what can be ended, and name what is left."""
        left: list[str] = []
        if self.has_folder:
            marked = processes.end(run_folder.run_mark(self.dag_id, self.run_id), config.number("stop_grace"))
            left += [f"{run_folder.this_host()}: {process}" for process in marked]
            left += [line for lease in self._leases() if (line := self._settle(lease, bool(marked)))]
        left += [line for task in self._running if (line := self._still_runs(task))]
        return tuple(dict.fromkeys(left))

    def _leases(self) -> list[Lease]:
        return run_folder.leases(self.dag_id, self.run_id) if self.has_folder else []

    def _settle(self, lease: Lease, has_marked: bool) -> str | None:
        """Say why a lease still counts; take away one whose holder is gone and that has no process."""
        self._leased.add(lease.task_id)
        if lease.host not in self._hosts:
            return f"{lease.host}: {lease.task_id}, pid {lease.pid}, has not said that its commands are gone"
        try:
            status = lease.path.stat()
        except FileNotFoundError:
            return None
        if is_alive(lease.pid, status.st_mtime):
            if time.monotonic() - self._began > TASK_PROCESS_SECONDS:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(lease.pid, signal.SIGKILL)
            return f"{lease.host}: pid {lease.pid} (the task process of {lease.task_id})"
        if has_marked:
            return None  # named already
        if os.geteuid() not in (0, status.st_uid):
            # Its commands ran as somebody else, whose processes are not ours to see.
            return f"{lease.host}: {lease.task_id}, whose processes belong to another user"
        if left := containers.end_containers(run_folder.folder_of(self.dag_id, self.run_id, lease), lease.mark):
            return f"{lease.host}: {', '.join(left)}"
        lease.path.unlink(missing_ok=True)
        return None

    def _still_runs(self, task: TaskProcess) -> str | None:
        if task.host in self._hosts:
            alive = is_alive(task.pid, task.started_at)
            return f"{task.host}: pid {task.pid} (the task process of {task.task_id})" if alive else None
        if task.task_id in self._leased or time.monotonic() - self._began > _supervisor_seconds():
            return None
        return f"{task.host}: pid {task.pid} (the task process of {task.task_id}), which may still start a command"


def _supervisor_seconds() -> float:
    from airflow.configuration import conf

    return conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) + SUPERVISOR_MARGIN_SECONDS


def is_alive(pid: int, known_since: float) -> bool:
    """Whether ``pid`` is still the process that was there at ``known_since``: a later one has only its number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        state, ticks = fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return False
    started = _boot_time() + ticks / os.sysconf("SC_CLK_TCK")
    return state not in "ZX" and started <= known_since + _CLOCK_SLACK_SECONDS


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
