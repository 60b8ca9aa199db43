"""Proof that no process of a run is left, on this machine and on others.

Commands of a task carry a tag, and a task holds a lease (a file that all machines see) while it may have any. What
is on this machine is ended here and now. Elsewhere the janitor of the worker follows the order that a stop gives; where
there is none, the task's supervisor ends it at its next heartbeat. The lease goes when nothing is left there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.dags import slurm_jobs
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskLease
from cwl_ui_plugin.dags.stopping import pods, stop_orders
from cwl_ui_plugin.dags.stopping.run_termination import RunEnding, is_stale
from cwl_ui_plugin.dags.stopping.stop_orders import Reply, StopRequest, TaskProcess

SUPERVISOR_MARGIN_SECONDS = 6
"""After its heartbeat a supervisor sends SIGTERM, and SIGKILL 5 seconds later."""
POLL_SECONDS = 0.05
ASK_AGAIN_SECONDS = 0.5


class StopProof:
    """What is left of a run, and ending it; a run without a folder has neither leases nor tagged processes."""

    def __init__(
        self, dag_id: str, run_id: str, running: tuple[TaskProcess, ...], *, user: str, has_folder: bool
    ) -> None:
        from airflow.utils.net import get_hostname

        self._hosts: set[str] = {this_host(), get_hostname()}  # type: ignore[no-untyped-call]
        self._has_folder = has_folder
        self._began = time.monotonic()
        grace = config.number("stop_grace")
        self._ending = RunEnding(dag_id, run_id, grace, has_folder=has_folder)
        self._order = StopRequest(
            dag_id=dag_id,
            run_id=run_id,
            user=user,
            began=time.time(),
            grace=grace,
            has_folder=has_folder,
            number=stop_orders.new_number(),
            machine=this_machine(),
            uid=os.geteuid(),
            tasks=running,
        )
        self._leased: set[str] = {lease.task_id for lease in self._leases()}
        self.had_leases = bool(self._leased)

    def wait(self, seconds: float, new: Callable[[], tuple[TaskProcess, ...]]) -> tuple[str, ...]:
        """End what is here and wait for the rest; return what outlives ``seconds``. ``new`` finds more to wait for."""
        stop_orders.write_request(self._order)
        asked = time.monotonic()
        try:
            while True:
                began, busy = time.monotonic(), time.thread_time()
                left = tuple(dict.fromkeys(self._look()))
                if not left or began - asked > ASK_AGAIN_SECONDS:
                    found, asked = new(), time.monotonic()
                    if not (left or found):
                        return ()
                    self._add(found)
                if began - self._began > seconds:
                    return left
                self._tell(left)
                time.sleep(POLL_SECONDS + (time.thread_time() - busy) / 2)  # a large run leaves others their turn
        finally:
            stop_orders.withdraw(self._order)

    def _add(self, found: tuple[TaskProcess, ...]) -> None:
        if found:
            tasks = (*self._order.tasks, *found)
            self._order = replace(self._order, tasks=tasks, number=stop_orders.new_number())
            stop_orders.write_request(self._order)

    def _tell(self, left: tuple[str, ...]) -> None:
        """Keep the order alive, and say in it what is left."""
        if left != self._order.left:
            self._order = replace(self._order, left=left)
            stop_orders.write_request(self._order)
        else:
            stop_orders.touch_request(self._order)

    def _look(self) -> list[str]:
        """End what can be ended here, and name what is left anywhere."""
        here = [task for task in self._order.tasks if task.host in self._hosts]
        elsewhere = [task for task in self._order.tasks if task.host not in self._hosts]
        left = self._ending.look(here)
        leases = self._leases()
        if pods.settle(leases):
            leases = self._leases()
        replies = stop_orders.replies(self._order)
        left += [line for lease in leases if (line := self._why_leased(lease, replies))]
        left += [line for task in elsewhere if (line := self._still_runs(task, replies))]
        return left + [line for reply in replies for line in reply.left]

    def _leases(self) -> list[TaskLease]:
        order = self._order
        return run_folder.leases(order.dag_id, order.run_id) if self._has_folder else []

    def _why_leased(self, lease: TaskLease, replies: list[Reply]) -> str | None:
        """Say why a lease still counts, if nobody else says so."""
        self._leased.add(lease.task_id)
        if lease.is_here or is_stale(lease):
            return None
        if lease.machine == this_machine():
            return f"{lease.host}: {lease.task_id}, whose processes belong to another user"
        if any(reply.machine == lease.machine and reply.left for reply in replies):
            return None
        text = f"{lease.host}: {lease.task_id}, pid {lease.pid}, has not said that its commands are gone"
        if lease.slurm_job:
            return f"{text}; {self._of_slurm(lease)}"
        if lease.pod:
            return f"{text}; {pods.look(lease.pod).problem or f'its pod {lease.pod} is still there'}"
        if lease.host == run_folder.UNKNOWN_HOST:
            return f"{lease.host}: the lease {lease.path} belongs to another user, and can't be read"
        return text if stop_orders.has_janitor(machine=lease.machine) else f"{text}; no worker answers there"

    def _of_slurm(self, lease: TaskLease) -> str:
        jobs = slurm_jobs.read(lease.dag_id, lease.run_id)
        state = jobs.state_of(lease.slurm_job) if jobs else ""
        told = f"Slurm says {state}" if state else "nothing was heard of it from the SlurmExecutor"
        return f"its Slurm job {lease.slurm_job} has been told to end: {told}"

    def _still_runs(self, task: TaskProcess, replies: list[Reply]) -> str | None:
        if any(task.host in reply.hosts for reply in replies):
            return None  # it says what is left there
        text = f"{task.host}: pid {task.pid} (the task process of {task.task_id})"
        if stop_orders.has_janitor(host=task.host):
            return f"{text}, which is being ended"
        if task.task_id in self._leased or time.monotonic() - self._began > _supervisor_seconds():
            return None
        return f"{text}, which may still start a command"


def _supervisor_seconds() -> float:
    from airflow.configuration import conf

    return conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) + SUPERVISOR_MARGIN_SECONDS
