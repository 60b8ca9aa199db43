"""Ending what a run still has on this machine: commands, containers, task processes.

The API server does it in a stop, and the janitor of each other machine does the same there. A look never waits for a
grace to pass: it is called again and again until nothing is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

from cwl_ui_plugin.cwl.containers import task_containers
from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.machine import boot_of, is_alive, this_host, this_machine
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskLease
from cwl_ui_plugin.dags.stopping.stop_orders import TaskProcess, has_janitor

IDLE_SECONDS = 0.5
"""How long a task process of a stopped run may go on when there are no commands; then it is killed.

One needs half of that to write its command's last output into its log.
"""
MANY_FOR_A_CORE = 4
"""More task processes than that would keep all cores busy with it for seconds: they are frozen, and killed at once."""


def is_stale(lease: TaskLease, *, for_worker: bool = False) -> bool:
    """Whether a lease is stale: from before the last boot of this machine, so that nothing of it can be left.

    Its machine was booted since; or, as its worker knows ``for_worker``, it was a container that is there no more.
    """
    if lease.instance or not lease.machine or lease.host != this_host() or lease.machine == this_machine():
        return False
    return boot_of(lease.machine) != boot_of(this_machine()) or (for_worker and not has_janitor(machine=lease.machine))


class RunEnding:
    """What a run still has on this machine; one without a folder has neither leases nor tagged processes."""

    def __init__(self, dag_id: str, run_id: str, grace: float, *, has_folder: bool, for_worker: bool = False) -> None:
        self.dag_id = dag_id
        self.run_id = run_id
        self._has_folder = has_folder
        self._for_worker = for_worker
        self._ender = task_processes.ProcessTerminator(grace)
        self._containers_at = time.monotonic() + grace
        self._idle_since: dict[int, float] = {}
        self._frozen: dict[int, float] = {}

    def look(self, tasks: Iterable[TaskProcess] = ()) -> list[str]:
        """End what can be ended by now, and name what is left; ``tasks`` ran here when the stop began."""
        # Before the commands: a task process that is gone by now can't start another one behind the scan.
        running = {task.pid: task.task_id for task in tasks if is_alive(task.pid, task.started_at)}
        left = self._look_into_folder(running) if self._has_folder else []
        return left + [f"{this_host()}: pid {pid} (the task process of {name})" for pid, name in running.items()]

    def _look_into_folder(self, running: dict[int, str]) -> list[str]:
        """End what has leases and tags; add the task processes that hold leases to those that are ``running``."""
        leases = [lease for lease in run_folder.leases(self.dag_id, self.run_id) if self._is_ours(lease)]
        holders = {lease.pid: lease.task_id for lease in leases if lease.is_here and lease.has_holder}
        running |= holders
        if len(holders) > MANY_FOR_A_CORE * (os.cpu_count() or 1):
            self._frozen |= dict.fromkeys(holders, time.time())
            _send(holders, signal.SIGSTOP)
        self._kill_frozen_without_lease(holders)
        commands = run_folder.commands_of(self.dag_id, self.run_id, leases, holders)
        self._ender.signal(commands)
        if not commands:
            self._kill_idle(holders)
        described = run_folder.described(commands, self.dag_id, self.run_id)
        left = [f"{this_host()}: {command}" for command in described]
        for lease in leases:
            if not (commands or lease.pid in holders) or time.monotonic() > self._containers_at:
                left += self._end_containers(lease)
            if not (left or lease.pid in holders):
                control_files.remove(lease.path)
        return left

    def _is_ours(self, lease: TaskLease) -> bool:
        return lease.is_here or is_stale(lease, for_worker=self._for_worker)

    def _kill_frozen_without_lease(self, holders: dict[int, str]) -> None:
        """Kill what gave its lease back in the moment in which it was frozen; it has no commands any more."""
        for pid in self._frozen.keys() - holders.keys():
            if is_alive(pid, self._frozen.pop(pid)):
                _send([pid], signal.SIGKILL)

    def _kill_idle(self, pids: Iterable[int]) -> None:
        """Kill task processes that do not end by themselves; what they still do is of no use to anyone."""
        now, most = time.monotonic(), 0.0 if self._frozen else IDLE_SECONDS
        _send([pid for pid in pids if now - self._idle_since.setdefault(pid, now) >= most], signal.SIGKILL)

    def _end_containers(self, lease: TaskLease) -> list[str]:
        return [f"{this_host()}: {container}" for container in task_containers.end_containers(lease.folder, lease.tag)]


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
