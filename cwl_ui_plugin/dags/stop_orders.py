"""What a stop and the machines of the workers tell each other, as files that all of them see.

::

    <tmp_folder>/.stops/<key>.json             the order: a run is being stopped; there as long as the stop lasts
    <tmp_folder>/.stops/<key>.<machine>.reply  what a machine still has of the run
    <tmp_folder>/.stops/<machine>.janitor      touched every few seconds while a janitor looks for orders there

The stop touches its order all the time: nobody follows one whose stop was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.machine import this_machine

FRESH_SECONDS = 20.0
"""An order, or a janitor, that nobody has touched for so long is of the past."""
_FOLDER = ".stops"
_ORDER, _REPLY, _JANITOR = ".json", ".reply", ".janitor"


@dataclass(frozen=True)
class TaskProcess:
    """The process of a task that was running when the stop began; ``started_at`` in seconds since the epoch."""

    task_id: str
    host: str
    pid: int
    started_at: float


@dataclass(frozen=True)
class Order:
    """A run that is to be ended, and how far that is: ``left`` names what is still there, for people.

    ``number`` changes with ``tasks``; ``machine`` and ``uid`` are of the process that stops it, which ends by itself
    what it can. A run without a folder has neither leases nor marked processes.
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
    left: tuple[str, ...] = field(default=())


def write_order(order: Order) -> None:
    """Give an order, or change it."""
    _write(order.path, asdict(order))


def touch_order(order: Order) -> None:
    """Say that the order still holds; give it again if somebody else's stop of the run has withdrawn it."""
    try:
        os.utime(order.path)
    except FileNotFoundError:
        write_order(order)


def withdraw(order: Order) -> None:
    """Remove an order and the replies to it."""
    order.path.unlink(missing_ok=True)
    for path in order.path.parent.glob(f"{order.path.stem}.*{_REPLY}"):
        path.unlink(missing_ok=True)


def read_order(dag_id: str, run_id: str) -> Order | None:
    """Return the order to stop a run, if it is being stopped."""
    path = _place(dag_id, run_id)
    return _order(path) if _age(path) < FRESH_SECONDS else None


def is_followed_here(dag_id: str, run_id: str) -> bool:
    """Whether a run is being stopped, and somebody else ends what it has on this machine."""
    order = read_order(dag_id, run_id)
    return order is not None and (order.machine == this_machine() or has_janitor(machine=this_machine()))


def orders() -> list[Order]:
    """Return all orders that are being carried out; forget those whose stop was killed."""
    found = []
    for path in _folder().glob(f"*{_ORDER}"):
        if _age(path) >= FRESH_SECONDS:
            path.unlink(missing_ok=True)
        elif order := _order(path):
            found.append(order)
    return found


def reply(order: Order, hosts: tuple[str, ...], left: list[str]) -> None:
    """Tell what this machine, which goes by the names ``hosts``, has left of a run."""
    answer = Reply(order.number, this_machine(), hosts, tuple(left))
    _write(order.path.with_suffix(f".{this_machine()}{_REPLY}"), asdict(answer))


def replies(order: Order) -> list[Reply]:
    """Return what other machines have answered to an order as it is now."""
    found = (_read(path) for path in order.path.parent.glob(f"{order.path.stem}.*{_REPLY}"))
    return [
        Reply(data["number"], data["machine"], tuple(data["hosts"]), tuple(data["left"]))
        for data in found
        if data and data["number"] == order.number
    ]


def new_number() -> str:
    """Return a number for an order."""
    return uuid.uuid4().hex


def announce_janitor(hosts: tuple[str, ...]) -> None:
    """Say that a janitor looks for orders on this machine."""
    path = _folder() / f"{this_machine()}{_JANITOR}"
    try:
        os.utime(path)
    except FileNotFoundError:
        _write(path, {"hosts": hosts})


def dismiss_janitor() -> None:
    """Say that nobody looks any more."""
    (_folder() / f"{this_machine()}{_JANITOR}").unlink(missing_ok=True)


def has_janitor(*, machine: str = "", host: str = "") -> bool:
    """Whether a janitor looks for orders on a machine, or on one that goes by the name ``host``."""
    for path in _folder().glob(f"{machine or '*'}{_JANITOR}"):
        if _age(path) < FRESH_SECONDS and (machine or host in (_read(path) or {}).get("hosts", ())):
            return True
    return False


def forget_old_janitors() -> None:
    """Remove what janitors of earlier boots have left."""
    for path in _folder().glob(f"*{_JANITOR}"):
        if _age(path) > FRESH_SECONDS:
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return config.tmp_folder() / _FOLDER


def _place(dag_id: str, run_id: str) -> Path:
    key = hashlib.sha256(f"{dag_id}\0{run_id}".encode()).hexdigest()[:32]
    return _folder() / f"{key}{_ORDER}"


def _age(path: Path) -> float:
    """Return how long ago a file was touched, by the clock of the machine that keeps it; infinite for no file."""
    try:
        touched = path.stat().st_mtime
        with tempfile.TemporaryFile(dir=path.parent) as new:
            return os.fstat(new.fileno()).st_mtime - touched
    except FileNotFoundError:
        return float("inf")


def _order(path: Path) -> Order | None:
    data = _read(path)
    if data is None:
        return None
    tasks = tuple(TaskProcess(**task) for task in data.pop("tasks"))
    return Order(tasks=tasks, left=tuple(data.pop("left")), **data)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    beside.write_text(json.dumps(data), encoding="utf-8")
    beside.replace(path)
