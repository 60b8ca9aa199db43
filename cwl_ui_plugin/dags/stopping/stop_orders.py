"""What a stop and the machines of the workers tell each other, as files that all of them see.

::

    .control/orders/<key>.json             the order: a run is being stopped; there as long as the stop lasts
    .control/orders/<key>.<machine>.reply  what a machine still has of the run
    .control/orders/<machine>.janitor      touched every few seconds while a janitor looks for orders there

The stop touches its order all the time: nobody follows one whose stop was killed. An order is believed only if it lies
in the place of the run that it names.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.processes.machine import this_machine
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.dags.folders.control_files import age, listed

T = TypeVar("T")

FRESH_SECONDS = 20.0
"""An order, or a janitor, that nobody has touched for so long is of the past."""
RELAYED = "relayed-"
"""What names of machines begin with that tell by HTTP: none that shares the folders has such a name."""
_FOLDER = "orders"
_ORDER, _REPLY, _JANITOR = ".json", ".reply", ".janitor"


@dataclass(frozen=True)
class TaskProcess:
    """The process of a task that was running when the stop began; ``started_at`` in seconds since the epoch."""

    task_id: str
    host: str
    pid: int
    started_at: float


@dataclass(frozen=True)
class StopRequest:
    """A run that is to be ended, and how far that is: ``left`` names what is still there, for people.

    ``number`` changes with ``tasks``; ``machine`` and ``uid`` are of the process that stops it, which ends by itself
    what it can. A run without a folder has neither leases nor tagged processes.
    """

    dag_id: str
    run_id: str
    user: str
    began: float
    grace: float
    has_folder: bool
    number: str
    machine: str
    uid: int
    tasks: tuple[TaskProcess, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file of this order."""
        return _place(self.dag_id, self.run_id)


@dataclass(frozen=True)
class Reply:
    """What a machine has left of a run; it counts for the order of the same ``number``."""

    number: str
    machine: str
    hosts: tuple[str, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Janitor:
    """The names of the machine of a janitor."""

    hosts: tuple[str, ...]


def write_request(order: StopRequest) -> None:
    """Give an order, or change it."""
    control_files.write(order.path, asdict(order))


def touch_request(order: StopRequest) -> None:
    """Say that the order still holds; give it again if somebody else's stop of the run has withdrawn it."""
    try:
        os.utime(order.path)
    except FileNotFoundError:
        write_request(order)


def withdraw(order: StopRequest) -> None:
    """Remove an order and the replies to it."""
    for path in (order.path, *_reply_files(order)):
        control_files.remove(path)


def read_request(dag_id: str, run_id: str) -> StopRequest | None:
    """Return the order to stop a run, if it is being stopped."""
    path = _place(dag_id, run_id)
    return _order(path) if age(path) < FRESH_SECONDS else None


def is_followed_here(dag_id: str, run_id: str) -> bool:
    """Whether a run is being stopped, and somebody else ends what it has on this machine."""
    order = read_request(dag_id, run_id)
    return order is not None and (order.machine == this_machine() or has_janitor(machine=this_machine()))


def orders() -> list[StopRequest]:
    """Return all orders that are being carried out; forget those whose stop was killed."""
    found = []
    for path in listed(_folder()):
        if path.suffix != _ORDER:
            continue
        if age(path) >= FRESH_SECONDS:
            control_files.remove(path)
        elif order := _order(path):
            found.append(order)
    return found


def reply(order: StopRequest, hosts: tuple[str, ...], left: Iterable[str], *, machine: str = "") -> None:
    """Tell what a machine, by default this one, which goes by the names ``hosts``, has left of a run."""
    answer = Reply(order.number, machine or this_machine(), hosts, tuple(left))
    control_files.write(_reply_file(order, answer.machine), asdict(answer))


def own_reply(order: StopRequest) -> Reply | None:
    """Return what this machine has answered to an order as it is now."""
    answer = _read(Reply, _reply_file(order, this_machine()))
    return answer if answer and answer.number == order.number else None


def replies(order: StopRequest) -> list[Reply]:
    """Return what other machines have answered to an order as it is now."""
    found = ((path, _read(Reply, path)) for path in _reply_files(order))
    return [
        answer
        for path, answer in found
        if answer and answer.number == order.number and path == _reply_file(order, answer.machine)
    ]


def _reply_files(order: StopRequest) -> list[Path]:
    begin = f"{order.path.stem}."
    return [path for path in listed(_folder()) if path.suffix == _REPLY and path.name.startswith(begin)]


def _reply_file(order: StopRequest, machine: str) -> Path:
    return order.path.with_name(f"{order.path.stem}.{machine}{_REPLY}")


def new_number() -> str:
    """Return a number for an order."""
    return uuid.uuid4().hex


def announce_janitor(hosts: tuple[str, ...], *, machine: str = "") -> None:
    """Say that a janitor looks for orders on a machine, by default this one."""
    path = _folder() / f"{machine or this_machine()}{_JANITOR}"
    known = _read(_Janitor, path)
    if known is None or known.hosts != hosts:
        control_files.write(path, {"hosts": hosts})
    else:
        os.utime(path)


def dismiss_janitor() -> None:
    """Say that nobody looks any more."""
    control_files.remove(_folder() / f"{this_machine()}{_JANITOR}")


def has_janitor(*, machine: str = "", host: str = "") -> bool:
    """Whether a janitor looks for orders on a machine, or on one that goes by the name ``host``."""
    for path in _janitor_files():
        if machine not in ("", path.stem) or age(path) >= FRESH_SECONDS:
            continue
        known = _read(_Janitor, path)
        if known is not None and (machine or host in known.hosts):
            return True
    return False


@dataclass(frozen=True)
class SeenJanitor:
    """A janitor: the names of its machine, and how many seconds ago it last said that it is there.

    ``is_relayed``: it is of a machine without common folders, which is heard of only while it has tasks.
    """

    hosts: tuple[str, ...]
    seconds: float
    is_relayed: bool = False

    @property
    def is_there(self) -> bool:
        """Whether it counts as being there."""
        return self.seconds < FRESH_SECONDS


def janitors() -> list[SeenJanitor]:
    """Return the janitors of all machines, also those that have not been heard of for a while."""
    found = ((path, _read(_Janitor, path), age(path)) for path in _janitor_files())
    return [SeenJanitor(known.hosts, seconds, path.name.startswith(RELAYED)) for path, known, seconds in found if known]


def forget_old_janitors(begin: str = "") -> None:
    """Remove what janitors of earlier boots have left; of machines whose names ``begin`` so."""
    for path in _janitor_files():
        if path.name.startswith(begin) and age(path) > FRESH_SECONDS:
            control_files.remove(path)


def _janitor_files() -> list[Path]:
    return [path for path in listed(_folder()) if path.suffix == _JANITOR]


def _folder() -> Path:
    return config.control_folder() / _FOLDER


def _place(dag_id: str, run_id: str) -> Path:
    return _folder() / f"{control_files.key_of(dag_id, run_id)}{_ORDER}"


def _order(path: Path) -> StopRequest | None:
    """Return the order in a file; None unless it is of the run whose place that is."""
    order = _read(StopRequest, path)
    return order if order and order.path == path else None


def _read(kind: type[T], path: Path) -> T | None:
    try:
        return control_files.read(kind, path)
    except PermissionError as error:
        control_files.complain(path, str(error))
        return None
