"""What a task's supervisor does for the agent of its machine: gives it the task's token, starts it where it is gone.

Airflow's supervisor has the token; it is told here when it has started a task's process, and when that has ended. A
thread of it holds a connection to the agent as long as the task lives.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from cwl_ui_plugin.dags.sharing import shares_folders

log = logging.getLogger(__name__)
PAUSE_SECONDS = 0.2
LAUNCH_SECONDS, MOST_LAUNCH_SECONDS = 5.0, 60.0
"""Between two starts of an agent: at first, and at most."""
_SUPERVISOR = "airflow.sdk.execution_time.supervisor"
_MARK = "cwl_tells_the_agent"
_registrations: dict[int, Registration] = {}


class Registration:
    """Keeps a task known to the agent, whichever is there."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self._closing = threading.Event()
        self._was_told = False
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._keep, name="cwl-agent", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End: the task's process has ended, or this one ends."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10)

    def _keep(self) -> None:
        from cwl_ui_plugin.dags.relaying import local_socket

        while not self._closing.is_set():
            try:
                self._connection = local_socket.connect()
                _launching.has_found()
                with self._connection:
                    self._stay(self._connection)
            except OSError:
                _launching.need()
            except Exception as error:
                _launching.complain("The agent of this machine can't be told of a task", error)
            self._closing.wait(PAUSE_SECONDS)

    def _stay(self, connection: socket.socket) -> None:
        from cwl_ui_plugin.dags.relaying import local_socket

        local_socket.send(connection, {**self._told(), "again": self._was_told})
        self._was_told = True
        lines = local_socket.Lines(connection)
        while not self._closing.is_set() and lines.receive() is not None:
            pass

    def _told(self) -> dict[str, Any]:
        process = self._process
        task, client = process.ti, process.client
        index = getattr(task, "map_index", None)
        return {
            "say": "task",
            "pid": process.pid,
            "instance": str(process.id),
            "server": str(client.base_url),
            "token": client.auth.token,
            "task": {
                "dag_id": task.dag_id,
                "run_id": task.run_id,
                "task_id": task.task_id,
                "map_index": -1 if index is None else index,
                "try_number": task.try_number,
            },
        }


class _Watch(MetaPathFinder):
    """Sees Airflow's module of supervisors being imported, in whichever process of whichever executor."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the module's own spec, whose loader has supervisors tell the agent once it has loaded them."""
        if name != _SUPERVISOR:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def loading(module: ModuleType) -> None:
                load(module)
                _install(module)

            spec.loader.exec_module = loading  # type: ignore[method-assign]
        return spec


def watch() -> None:
    """Let supervisors of this process and its children tell the agent; where folders are shared there is none."""
    if module := sys.modules.get(_SUPERVISOR):
        _install(module)
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


def _install(module: ModuleType) -> None:
    try:
        if shares_folders():
            return
        kind: Any = module.ActivitySubprocess
        start = kind.__dict__["start"].__func__
        if not getattr(start, _MARK, False):
            kind.start = classmethod(_telling(start))
            kind.wait = _ending(kind.wait)
    except Exception:
        log.exception("Tasks of workflows can't run here: nobody tells the agent of this machine of them")


def _telling(start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def started(kind: type, **options: Any) -> Any:
        process = start(kind, **options)
        with suppress(AttributeError):  # a client that only pretends has no token
            if process.client.auth.token:
                made = _registrations[process.pid] = Registration(process)
                made.start()
        return process

    setattr(started, _MARK, True)
    return started


def _ending(wait: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(wait)
    def waited(process: Any) -> int:
        try:
            return wait(process)
        finally:
            made = _registrations.pop(process.pid, None)
            if made is not None:
                made.close()

    return waited


class _Launching:
    """Starts agents of this process, where there is none: not again and again where that does not help."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._agents: list[subprocess.Popen[bytes]] = []
        """Each ends when nothing holds the other end of its pipe, and nothing is left to do."""
        self._pause, self._due = LAUNCH_SECONDS, float("-inf")
        self._complaint = ""

    def need(self) -> None:
        """Start an agent, if it is time; it takes a moment to be there, and whoever comes second ends by itself."""
        with self._lock:
            self._drop_ended()
            now = time.monotonic()
            if now < self._due:
                return
            self._due, self._pause = now + self._pause, min(2 * self._pause, MOST_LAUNCH_SECONDS)
            try:
                from cwl_ui_plugin.dags.stopping import janitor

                self._agents.append(janitor.launch())
            except Exception as error:
                self.complain("The agent of this machine can't be started", error)

    def has_found(self) -> None:
        """Say that an agent is there."""
        self._pause, self._due, self._complaint = LAUNCH_SECONDS, float("-inf"), ""

    def complain(self, what: str, error: Exception) -> None:
        """Log an error, once as long as it is the same."""
        if self._complaint != str(error):
            self._complaint = str(error)
            log.error(what, exc_info=error)

    def _drop_ended(self) -> None:
        for agent in [one for one in self._agents if one.poll() is not None]:
            self._agents.remove(agent)
            if agent.stdin is not None:
                with suppress(OSError):
                    agent.stdin.close()


_launching = _Launching()
