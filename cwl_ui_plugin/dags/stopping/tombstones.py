"""The word that a stop leaves for whatever of a run starts later: it is stopped. ``docs/stopping.md`` has the proof.

A stop writes the tombstone of the run, then looks for leases; a task writes its lease, then looks for a tombstone. Both
are files of one folder, so that on a network file system each one's write makes it read the folder anew. One of the
two sees the other.

Tombstones that are *watched* are of stops just now: the API server looks whether Airflow's scheduler, which may have
had the run in hand, writes something late.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import StoppedError
from cwl_ui_plugin.dags.folders import control_files

_NAME = "stopped"
_WATCHED = "watched"
_ORPHAN_SECONDS = 60.0


@dataclass(frozen=True)
class Begun:
    """Which beginning of a run a task belongs to, as Airflow has told it.

    A clear raises ``clear_number``; ``instance`` is the id of the task instance, which each try has of its own. Ids
    are in the order in which they were made (UUIDv7).
    """

    run_after: datetime
    clear_number: int
    instance: str


@dataclass(frozen=True)
class _Run:
    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Tombstone:
    """``user`` stopped the run at ``at`` (seconds since the epoch), when it had been cleared ``clear_number`` times.

    ``row`` and ``run_after`` (ISO, UTC) tell the run from a later one of the same run_id. Once ``last`` is there, no
    instance of the run can come any more that has a greater id, unless somebody wants it to run.
    """

    dag_id: str
    run_id: str
    user: str
    at: float
    clear_number: int = 0
    run_after: str | None = None
    row: int | None = None
    last: str | None = None

    @property
    def path(self) -> Path:
        """Its file."""
        return _path(self.dag_id, self.run_id)

    def covers(self, begun: Begun) -> bool:
        """Whether a task is of the run as it was stopped."""
        if self.run_after not in (None, moment(begun.run_after)) or begun.clear_number > self.clear_number:
            return False
        return self.last is None or begun.instance <= self.last


def moment(when: datetime) -> str:
    """Return a time as tombstones have it."""
    aware = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).isoformat(timespec="microseconds")


def last_before(seconds: float) -> str:
    """Return the greatest id that an instance can have that was made before a time (RFC 9562, UUIDv7)."""
    digits = f"{int(seconds * 1000):012x}ffffffffffffffffffff"[:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def write(stone: Tombstone) -> None:
    """Write a tombstone, for all machines to see; it is watched until it has its ``last``."""
    mark = _mark(stone.dag_id, stone.run_id)
    if stone.last is None:
        control_files.write(mark, {"dag_id": stone.dag_id, "run_id": stone.run_id})
    control_files.write(stone.path, asdict(stone), lasting=True)
    if stone.last is not None:
        control_files.remove(mark)


def mirror(dag_id: str, run_id: str, stone: Tombstone | None) -> None:
    """Let the tombstone of a run be the same as on the API server's machine, which alone watches it."""
    known = find(dag_id, run_id)
    if stone is None:
        if known is not None:
            control_files.remove(_path(dag_id, run_id))
    elif known != stone:
        control_files.write(_path(dag_id, run_id), asdict(stone))


def close(stone: Tombstone, last: str) -> None:
    """Say that nothing comes late any more: whatever has a greater id than ``last`` may start."""
    write(replace(stone, last=last))


def forget(dag_id: str, run_id: str) -> None:
    """Remove the tombstone of a run; its folder goes with the run's intermediate files, which are found by it."""
    control_files.remove(_mark(dag_id, run_id))
    control_files.remove(_path(dag_id, run_id))


def find(dag_id: str, run_id: str) -> Tombstone | None:
    """Return the tombstone of a run, if it has one."""
    path = _path(dag_id, run_id)
    try:
        stone = control_files.read(Tombstone, path)
    except PermissionError as error:
        control_files.complain(path, str(error))
        return None
    return stone if stone and stone.path == path else None


@dataclass(frozen=True)
class StopCheck:
    """Looks whether a run is stopped, for a task of it; costs a system call where it is not."""

    dag_id: str
    run_id: str
    begun: Begun

    def __call__(self) -> None:
        """Raise :class:`StoppedError` if the run is stopped."""
        if error := self.found():
            raise error

    def found(self) -> StoppedError | None:
        """Return the error of a task whose run is stopped."""
        path = _path(self.dag_id, self.run_id)
        if not os.path.lexists(path):
            return None
        stone = find(self.dag_id, self.run_id)
        if stone is None and os.path.lexists(path):
            return StoppedError(f"Whether the run was stopped can't be told: {path} is of no use; remove it.")
        return StoppedError(f"Stopped by {stone.user}.") if stone and stone.covers(self.begun) else None


def watched() -> Iterator[Tombstone]:
    """Yield the tombstones that are watched; forget marks without one."""
    for mark in control_files.listed(config.control_folder() / _WATCHED):
        try:
            run = control_files.read(_Run, mark)
        except PermissionError:
            continue
        stone = find(run.dag_id, run.run_id) if run and _mark(run.dag_id, run.run_id) == mark else None
        if stone and stone.last is None:
            yield stone
        elif time.time() - _written(mark) > _ORPHAN_SECONDS:  # the mark is written first
            control_files.remove(mark)


def all_of_them() -> Iterator[Tombstone]:
    """Yield all tombstones."""
    for dag_id, run_id in control_files.runs():
        if stone := find(dag_id, run_id):
            yield stone


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()


def _path(dag_id: str, run_id: str) -> Path:
    return control_files.run_control(dag_id, run_id) / _NAME


def _mark(dag_id: str, run_id: str) -> Path:
    return config.control_folder() / _WATCHED / control_files.key_of(dag_id, run_id)
