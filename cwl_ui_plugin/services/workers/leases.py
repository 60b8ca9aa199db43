"""Leases of tasks whose machine sees no file of this server: written here for it, and taken back when it says so.

Everybody who reads leases here finds them as those of another machine: nothing of them is ended, or looked for, on
this one, whatever their machine is called.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskLease
from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotAllowed
from cwl_ui_plugin.services.workers.tries import CallingTry

_MACHINE = re.compile(r"[0-9a-f]{32}")
_GIVEN_BACK = "given-back"
GIVEN_BACK_SECONDS = 3600.0
"""How late a lease may arrive, at most, that was given back before."""
MAX_NAME = 300
MAX_PID = 2**31


@dataclass(frozen=True)
class Where:
    """Where a task runs, as its worker says: names for people, and to ask Kubernetes and Slurm by."""

    host: str
    machine: str
    pid: int
    pod: str = ""
    slurm_job: str = ""

    def check(self) -> None:
        """Raise :class:`BadRequest` for what no worker says."""
        machine_of(self.machine)
        texts = (self.host, self.pod, self.slurm_job)
        if not self.host or any(len(text) > MAX_NAME or not text.isprintable() for text in texts):
            raise BadRequest(f"host, pod and slurm_job are texts of at most {MAX_NAME} printable characters.")
        if not 0 < self.pid < MAX_PID:
            raise BadRequest("pid is not one of a process.")


@dataclass(frozen=True)
class _GivenBack:
    machine: str
    pid: int


def machine_of(name: str) -> str:
    """Return what a machine is called here; raise :class:`BadRequest` for a name that none has."""
    if not _MACHINE.fullmatch(name):
        raise BadRequest("machine is not 32 hexadecimal digits.")
    return f"{stop_orders.RELAYED}{name}"


def folder_id() -> str:
    """Return what tells these control files from those of any other machine; see ``dags.relaying``."""
    return control_files.folder_id()


def write(caller: CallingTry, where: Where) -> Tombstone | None:
    """Write the lease of a try; return the tombstone of its run, if that is stopped.

    In this order, as a stop writes its tombstone before it looks for leases: one of the two sees the other.

    Raises:
        NotAllowed: the try does not run, as far as Airflow knows.
        Conflict: another machine has it, or it did and has not yet said that nothing is left; or this process of the
            machine has given it back already: what it had sent before was on its way for longer.

    """
    where.check()
    if not caller.is_running:
        raise NotAllowed("This try of the task does not run any more, as far as Airflow knows.")
    task, machine = caller.task, machine_of(where.machine)
    for held in run_folder.leases(task.dag_id, task.run_id):
        if held.path == task.lease_file and (held.instance, held.machine) != (caller.instance, machine):
            raise Conflict("Another machine, or another try, has this lease and has not given it back yet.")
    data: dict[str, object] = {
        **asdict(task),
        "host": where.host,
        "machine": machine,
        "pid": where.pid,
        "pod": where.pod,
        "slurm_job": where.slurm_job,
        "installation": hashlib.sha256(machine.encode()).hexdigest()[:12],
        "instance": caller.instance,
    }
    _refuse_given_back(caller, machine, where.pid)
    control_files.write(task.lease_file, data)
    control_files.reread(task.lease_file.parent)
    try:
        _refuse_given_back(caller, machine, where.pid)  # who gives it back does so in this order: mark, then lease
    except Conflict:
        control_files.remove(task.lease_file)
        raise
    return tombstones.find(task.dag_id, task.run_id)


def give_back(caller: CallingTry, machine: str, pid: int) -> bool:
    """Remove the lease of a try, whose machine says that nothing is left; return whether it was there."""
    mark = _mark(caller.instance)
    control_files.write(mark, {"machine": machine_of(machine), "pid": pid})
    control_files.reread(mark.parent)
    held: TaskLease | None = caller.lease
    if held is None:
        return False
    control_files.remove(held.path)
    return True


def forget_given_back() -> None:
    """Remove the marks of leases that were given back so long ago that nothing about them is on its way any more."""
    for mark in control_files.listed(config.control_folder() / _GIVEN_BACK):
        if control_files.age(mark) > GIVEN_BACK_SECONDS:
            control_files.remove(mark)


def _refuse_given_back(caller: CallingTry, machine: str, pid: int) -> None:
    """Raise :class:`Conflict` if this process has given its lease back; a try may go on in another process."""
    if control_files.read(_GivenBack, _mark(caller.instance)) == _GivenBack(machine, pid):
        raise Conflict("This lease was given back already.")


def _mark(instance: str) -> Path:
    """Return the file that says which process of a try has given the lease back last."""
    return config.control_folder() / _GIVEN_BACK / instance
