"""A task that the agent of a machine knows: its token, and how far the API server knows of it."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from cwl_ui_plugin.cwl.processes.machine import is_alive
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.relaying.server_calls import ServerCalls

Run = tuple[str, str]
LINGER_SECONDS = 10.0


@dataclass
class ToldTask:
    """A try of a task on this machine, as its supervisor has told of it.

    ``has_asked``: it is one of a workflow, since others ask for nothing. ``is_held``: the API server has its lease, or
    may have. ``is_lost``: it wants to hear no more of this try, and has said so since ``refused_since``. ``sent`` is
    how much of each file has arrived there, None where no more is sent. ``is_unsure``: an agent that is gone knew more
    of it; the API server is asked.
    """

    task: TaskTry
    instance: str
    pid: int
    since: float
    calls: ServerCalls
    is_told: bool = True
    has_asked: bool = False
    is_unsure: bool = False
    is_held: bool = False
    is_lost: bool = False
    refused_since: float | None = None
    shares_folders: bool = False
    sent: dict[str, int | None] = field(default_factory=dict)
    over_since: float | None = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def run(self) -> Run:
        """The run that it is of."""
        return self.task.dag_id, self.task.run_id

    @property
    def is_alive(self) -> bool:
        """Whether its process is there."""
        return is_alive(self.pid, self.since)

    @property
    def has_lease(self) -> bool:
        """Whether something of it may be left on this machine."""
        return os.path.lexists(self.task.lease_file)

    @property
    def is_relayed(self) -> bool:
        """Whether there may be something to relay for it."""
        return (self.has_asked or self.is_held or self.is_unsure) and not (self.is_lost or self.shares_folders)

    def is_over(self) -> bool:
        """Whether there is nothing more to do for it, and there was not for a while.

        Its supervisor is gone, and nothing of it is held. The stop of its run may still wait for this machine's reply,
        which is sent with its token.
        """
        is_to_tell = (self.is_held or self.is_unsure) and not (self.is_lost or self.shares_folders)
        if self.is_told or self.is_alive or is_to_tell:
            self.over_since = None
            return False
        if self.over_since is None:
            self.over_since = time.monotonic()
        return time.monotonic() - self.over_since > LINGER_SECONDS

    def file(self, name: str) -> Path:
        """Return one of its files."""
        return self.task.folder / name


class ToldTasks:
    """All of them. Safe to use from many threads."""

    def __init__(self) -> None:
        self._tasks: dict[int, ToldTask] = {}
        self._changed = threading.Condition()

    def add(self, told: ToldTask) -> ToldTask:
        """Know a task; of one that is known already, take what is new of it."""
        with self._changed:
            known = self._tasks.get(told.pid)
            if known is not None and known.instance == told.instance:
                known.calls, known.is_told = told.calls, True
                told = known
            else:
                self._tasks[told.pid] = told
            self._changed.notify_all()
        return told

    def of_process(self, pid: int, seconds: float) -> ToldTask | None:
        """Return the task of a process; its supervisor tells of it at the same time as it starts."""
        with self._changed:
            self._changed.wait_for(lambda: pid in self._tasks, seconds)
            return self._tasks.get(pid)

    def has(self, run: Run) -> bool:
        """Whether some task of a run is known."""
        return any(one.run == run for one in self.all())

    def all(self) -> list[ToldTask]:
        """Return those that there is something to do for; forget the others."""
        with self._changed:
            self._tasks = {pid: told for pid, told in self._tasks.items() if not told.is_over()}
            return list(self._tasks.values())
