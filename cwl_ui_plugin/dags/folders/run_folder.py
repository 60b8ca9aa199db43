"""Where a run keeps its intermediate files, and the leases that prove which tasks may still have processes.

::

    <tmp_folder>/<dag_id>/<run_id>/<task_id>/<map_index>/<try_number>/   one try of one task
    <tmp_folder>/.logs/<dag_id>/<run_id>/<task_id>/<map_index>/<try_number>/   what is kept after the run
    <tmp_folder>/.control/runs/<dag_id>/<run_id>/<task_id>.<map_index>.<try_number>.lease
    <tmp_folder>/.control/runs/<dag_id>/<run_id>/removing                              see intermediate

A lease is written before a task does anything, and removed when no process with the task's tag is left. It lies where
no job can name it, and is believed there only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.containers import task_containers
from cwl_ui_plugin.cwl.engine.outputs.placing import opened
from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.machine import is_alive, this_host, this_machine, this_pod, this_slurm_job
from cwl_ui_plugin.cwl.processes.task_processes import Process
from cwl_ui_plugin.dags.errors import LeasedError
from cwl_ui_plugin.dags.folders import claims, control_files
from cwl_ui_plugin.opened import Place

LEASE = ".lease"
REMOVING = "removing"
"""Among the control files of a run: some of its intermediate files are being removed (see ``intermediate``)."""
UNKNOWN_HOST = "an unknown machine"
FAILED = "failed"
"""In the folder of a try: it failed, and nothing refers to its files."""
LOGS = ("stdout.log", "stderr.log", "usage.txt")
"""What is kept of a try: what its commands printed, and what they used."""
_LOG_ENDINGS = tuple(f"/{name}" for name in LOGS)
_KEPT_LOGS = ".logs"
_SECRETS = "secrets.json"
_MAX_NAME = 255
_INSTALLATION_LENGTH = 12
MAX_KEPT_LOG = 64 * config.MEBIBYTE


@dataclass(frozen=True)
class TaskTry:
    """One try of one task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @property
    def tag(self) -> str:
        """What every process of this try carries in its environment, and each of its containers in a label."""
        return f"{run_tag(self.dag_id, self.run_id)}/{self._name_in_run}"

    @property
    def _name_in_run(self) -> str:
        return f"{self.task_id}/{self.map_index}/{self.try_number}"

    @property
    def folder(self) -> Path:
        """The folder of this try; not made yet."""
        return run_tmp(self.dag_id, self.run_id) / self.task_id / str(self.map_index) / str(self.try_number)

    @property
    def lease_file(self) -> Path:
        """The file that is there while this try may have processes."""
        name = f"{self.task_id}.{self.map_index}.{self.try_number}{LEASE}"
        if len(name.encode()) > _MAX_NAME:
            name = f"{hashlib.sha256(name.encode()).hexdigest()}{LEASE}"
        return control_files.run_control(self.dag_id, self.run_id) / name


@dataclass(frozen=True)
class TaskLease(TaskTry):
    """A try that may still have processes on ``host``; ``pid`` is its task process there.

    ``machine`` is what ``this_machine`` was there; a host that was booted since has another. ``pod`` is the pod of the
    KubernetesExecutor that it is in, ``<namespace>/<name>``; ``slurm_job`` the number of its job. ``installation`` is
    empty in a lease of version 0.1: its processes carry a tag that does not name one. ``instance`` is there where a
    worker without common folders has told of the lease: the task instance whose token it did that with.
    """

    host: str
    pid: int
    path: Path
    machine: str = ""
    pod: str = ""
    installation: str = ""
    slurm_job: str = ""
    instance: str = ""

    @property
    def tag(self) -> str:
        """What every process of this try carries."""
        if self.installation:
            return super().tag
        return f"{unnamed_run_tag(self.dag_id, self.run_id)}/{self._name_in_run}"

    @property
    def is_here(self) -> bool:
        """Whether its processes, if there are any, can be seen from here; those of other users only root sees."""
        if self.instance:
            return False
        here = self.machine == this_machine() if self.machine else self.host == this_host()
        try:
            return here and os.geteuid() in (0, self.path.lstat().st_uid)
        except FileNotFoundError:
            return here

    @property
    def has_holder(self) -> bool:
        """Whether its task process lives, as seen from its machine."""
        try:
            return is_alive(self.pid, self.path.lstat().st_mtime)
        except FileNotFoundError:
            return False


def this_installation() -> str:
    """Return what tells the Airflow whose control files these are from others that the same user runs on a machine.

    Made of where they lie: each process of an installation knows that, before it reads anything, and no two share it.
    """
    return hashlib.sha256(os.fsencode(config.tmp_folder())).hexdigest()[:_INSTALLATION_LENGTH]


def run_tag(dag_id: str, run_id: str) -> str:
    """Return what the tags of all tasks of a run begin with; a slash follows."""
    return f"{this_installation()}/{unnamed_run_tag(dag_id, run_id)}"


def unnamed_run_tag(dag_id: str, run_id: str) -> str:
    """Return the same without the installation, as tasks have it that an older version of the plugin has begun."""
    return f"{dag_id}/{run_id}"


def commands_of(dag_id: str, run_id: str, held: Iterable[TaskLease], below: Iterable[int]) -> list[Process]:
    """Return what is alive here of a run with these leases; see ``task_processes.find``."""
    commands = task_processes.find(run_tag(dag_id, run_id), below=below)
    if all(lease.installation for lease in held):
        return commands
    return commands + task_processes.find(unnamed_run_tag(dag_id, run_id))


def run_tmp(dag_id: str, run_id: str) -> Path:
    """Return the folder with the intermediate files of a run; not made yet."""
    return config.tmp_folder() / control_files.folder_name(dag_id) / control_files.folder_name(run_id)


def secrets_file(dag_id: str, run_id: str, part: str = "") -> Path:
    """Return the file with the secrets of a run (cwltool:Secrets), or of a part of it; most runs have none."""
    name = f"{control_files.folder_name(part)}.{_SECRETS}" if part else _SECRETS
    return run_tmp(dag_id, run_id) / name


def described(processes_left: Iterable[Process], dag_id: str, run_id: str) -> list[str]:
    """Return processes of a run as people may read them: without arguments, where the run has secrets."""
    has_secrets = any(run_tmp(dag_id, run_id).glob(f"*{_SECRETS}"))
    return [process.program if has_secrets else str(process) for process in processes_left]


def place_run_tmp(dag_id: str, run_id: str, chosen: Place | None) -> None:
    """Let a run keep its intermediate files in the folder of its choice: a link stands in the usual place.

    Raises:
        OSError: the folder can't be made, also because a part of its path has become a link.

    """
    link = run_tmp(dag_id, run_id)
    if chosen is None or os.path.lexists(link):
        return
    with opened(chosen.path, chosen.root):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(chosen.path, target_is_directory=True)


def kept_logs(dag_id: str, run_id: str) -> Path:
    """Return the folder with what is kept of a run that has succeeded; it has the folders of the tries."""
    return kept_logs_folder() / control_files.folder_name(dag_id) / control_files.folder_name(run_id)


def kept_logs_folder() -> Path:
    """Return the folder with what is kept of all runs that have succeeded."""
    return config.tmp_folder() / _KEPT_LOGS


def runs_with_kept_logs() -> Iterator[Path]:
    """Yield the folders that :func:`kept_logs` names; not where a tool has put a link to."""
    for folder in kept_logs_folder().glob("*/*"):
        if folder.resolve() == folder:
            yield folder


def keep_logs(dag_id: str, run_id: str) -> None:
    """Save what the commands of a run printed before its intermediate files are removed; of long logs the end."""
    place, kept = _real(run_tmp(dag_id, run_id)), kept_logs(dag_id, run_id)
    if place is None or kept.resolve() != kept:
        return
    source = Place(place)
    for name in source.files(depth=3):  # task, map index, try
        if name.count("/") != 3 or not name.endswith(_LOG_ENDINGS):
            continue
        try:
            file = source.open(name)
        except OSError:
            continue  # it has become a link, or is gone
        with file:
            _keep_log(file, place / name, kept / name)


def _keep_log(file: BinaryIO, path: Path, target: Path) -> None:
    """Keep an open log; ``path`` is what it is called."""
    size = os.fstat(file.fileno()).st_size
    if not size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if size > MAX_KEPT_LOG:
        _copy_end(file, target, size)
    else:
        shutil.move(path, target)


def _copy_end(file: BinaryIO, target: Path, size: int) -> None:
    left_out = size - MAX_KEPT_LOG
    with target.open("wb") as copy:
        copy.write(f"(the first {left_out} bytes were not kept)\n".encode())
        file.seek(left_out)
        shutil.copyfileobj(file, copy)


def remove_run_tmp(dag_id: str, run_id: str) -> None:
    """Remove the intermediate files of a run, wherever it chose to keep them."""
    place = run_tmp(dag_id, run_id)
    if target := _real(place):
        shutil.rmtree(target, ignore_errors=True)
    if place.is_symlink():
        if target:
            claims.release_named(dag_id, run_id, target)
        place.unlink(missing_ok=True)
    control_files.remove(control_files.run_control(dag_id, run_id) / REMOVING)
    if not os.path.lexists(place):  # else something wrote there meanwhile: the next round removes it
        control_files.forget_run(dag_id, run_id)


def real_run_tmp(dag_id: str, run_id: str) -> Path | None:
    """Return where the intermediate files of a run are, links resolved; None where nothing may be removed."""
    return _real(run_tmp(dag_id, run_id))


def _real(place: Path) -> Path | None:
    """Return where the intermediate files of a run are; None if somebody has put a link on the way to them since.

    The API server removes them, maybe as another user than the worker's: only what a job may have chosen, not what a
    tool has put a link to.
    """
    tmp = config.tmp_folder()
    if place.parent.resolve() != tmp / place.parent.name:
        return None
    if not place.is_symlink():
        return place
    target = place.readlink()
    may_be = any(target != root and target.is_relative_to(root) for root in (tmp, *config.named_roots()))
    return target if may_be and target == target.resolve() else None


def leases(dag_id: str, run_id: str) -> list[TaskLease]:
    """Return the leases of a run that are there now; one that this user may not read is of an unknown machine."""
    places = [path for path in control_files.listed(control_files.run_control(dag_id, run_id)) if path.suffix == LEASE]
    return [lease for path in places if (lease := _lease_at(path, dag_id, run_id))]


def all_leases() -> Iterator[TaskLease]:
    """Yield the leases of all runs."""
    for dag_id, run_id in control_files.runs():
        yield from leases(dag_id, run_id)


def _lease_at(path: Path, dag_id: str, run_id: str) -> TaskLease | None:
    """Return the lease in a file, if it says that it is the one that belongs there."""
    try:
        found = control_files.read(TaskLease, path, path=path)
    except PermissionError:
        return TaskLease(dag_id, run_id, path.name, -1, 0, host=UNKNOWN_HOST, pid=0, path=path, machine=UNKNOWN_HOST)
    if found is not None and (found.lease_file != path or not 0 < found.pid < 2**31):
        control_files.complain(path, "it is of another task, or has no process")
        return None
    return found


@contextmanager
def lease(task: TaskTry, grace: float) -> Iterator[None]:
    """Hold a lease while a task may have processes; on the way out, end those that are left.

    Raises:
        LeasedError: some processes outlived SIGKILL; the lease stays.

    """
    task_processes.adopt_orphans()
    task_processes.end_with_parent()
    end_earlier_tries(task, grace)
    _write_lease(task)
    try:
        yield
    except BaseException:
        _mark_failed(task)
        give_back(task, grace)
        raise
    if task_processes.has_children():
        give_back(task, grace, may_have_containers=False)
    else:
        control_files.remove(task.lease_file)


def end_earlier_tries(task: TaskTry, grace: float) -> None:
    """End what killed tries of the same task have left on this machine, and empty the folders of those that failed.

    Their logs stay. Raise :class:`LeasedError` if something outlives it: two tries at a time could spoil each other.
    """
    for number in range(1, task.try_number):
        earlier = replace(task, try_number=number)
        held = _lease_at(earlier.lease_file, task.dag_id, task.run_id)
        if held and held.host == this_host():
            _mark_failed(earlier)
            give_back(earlier, grace)
        if (earlier.folder / FAILED).exists():
            empty(earlier.folder)


def _mark_failed(task: TaskTry) -> None:
    with suppress(OSError):  # a full disk is what it may have failed of; without a folder there is nothing to mark
        (task.folder / FAILED).touch()


def empty(folder: Path) -> None:
    """Remove what is in the folder of a try, but for its logs, and the word that it failed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in (*LOGS, FAILED):
            path.unlink(missing_ok=True)


def give_back(task: TaskTry, grace: float, *, may_have_containers: bool = True) -> None:
    """End what is left of a try and remove its lease; raise :class:`LeasedError` if something outlives that.

    A try that ended well has no containers: its engine's clients have waited for them.
    """
    held = _lease_at(task.lease_file, task.dag_id, task.run_id)
    tag = held.tag if held else task.tag
    if may_have_containers:
        task_containers.end_containers(task.folder, tag)  # their clients end with them
    is_ours = held is not None and (held.pid, held.machine) == (os.getpid(), this_machine())
    commands = task_processes.end(tag, grace, below=[os.getpid()] if is_ours else [])
    left = described(commands, task.dag_id, task.run_id)
    if may_have_containers:
        left += task_containers.end_containers(task.folder, tag)
    if left:
        raise LeasedError(f"Processes of {task.task_id} are still there: {', '.join(left)}")
    control_files.remove(task.lease_file)


def _write_lease(task: TaskTry) -> None:
    place = {"host": this_host(), "machine": this_machine(), "pod": this_pod(), "slurm_job": this_slurm_job()}
    data = {**place, "pid": os.getpid(), "installation": this_installation(), **asdict(task)}
    control_files.write(task.lease_file, data)  # if its machine loses it with its power, its processes are gone, too
    control_files.reread(task.lease_file.parent)
