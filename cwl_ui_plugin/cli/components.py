"""The processes of a standalone server: each in a session of its own, with a log, started anew when it dies."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.cli.guard import STOP_SECONDS, signal_group
from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.interpreters import module_command
from cwl_ui_plugin.servers import FILE_VARIABLE

POLL_SECONDS = 0.1
SHOWN_CHARACTERS = 3000
MAX_RESTARTS = 5
"""In :data:`WINDOW_SECONDS`; what dies once more than that will not live."""
WINDOW_SECONDS = 600.0
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0


@dataclass
class Component:
    """One process of the server; ``restart_at`` (monotonic) is set while it is dead."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    deaths: list[float] = field(default_factory=list)
    restart_at: float | None = None


class Components:
    """Named child processes. A guard ends them, and all that they started, if this process is killed."""

    def __init__(
        self, logs: Path, environment: dict[str, str], say: Callable[[str], None] = lambda _text: None
    ) -> None:
        self.logs = logs
        self.tag = str(uuid.uuid4())
        self._restarts_file = logs / "restarts.json"
        self.environment = {
            **environment,
            task_processes.SERVER_VARIABLE: self.tag,
            FILE_VARIABLE: str(self._restarts_file),
        }
        self._restarts_file.unlink(missing_ok=True)
        self._restarts: list[dict[str, str]] = []
        self._say = say
        self._running: dict[str, Component] = {}
        self._guard = subprocess.Popen(
            module_command("cwl_ui_plugin.cli.guard"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self._tell_guard(self.tag)

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a component; it writes to ``<logs>/<name>.log``."""
        process = self._spawn(name, command)
        self._running[name] = Component(name, command, process)
        return process

    def finish(self, name: str, command: list[str], is_cancelled: Callable[[], bool]) -> None:
        """Run a component that ends by itself; raise :class:`CliError` if it ends badly."""
        process = self.start(name, command)
        while process.poll() is None and not is_cancelled():
            time.sleep(POLL_SECONDS)
        if process.returncode:
            raise CliError(f"{name} ended with {process.returncode}; {self._end_of_log(name)}")
        if process.returncode == 0:
            del self._running[name]
            self._tell_guard(-process.pid)

    def keep_running(self) -> None:
        """Start what has died anew, after a pause that grows.

        Raises:
            CliError: a component has died more than :data:`MAX_RESTARTS` times in :data:`WINDOW_SECONDS`.

        """
        now = time.monotonic()
        for component in self._running.values():
            if component.restart_at is None:
                if component.process.poll() is not None:
                    self._bury(component, now)
            elif now >= component.restart_at:
                component.process = self._spawn(component.name, component.command)
                component.restart_at = None

    def is_running(self, name: str) -> bool:
        """Whether a component has been started and lives."""
        component = self._running.get(name)
        return component is not None and component.process.poll() is None

    def progress(self, names: Iterable[str]) -> tuple[float, int]:
        """Return how many CPU seconds some components have used, and how many bytes they have logged."""
        seconds, size = 0.0, 0
        for name in names:
            if component := self._running.get(name):
                seconds += task_processes.cpu_seconds_of_session(component.process.pid)
            with contextlib.suppress(OSError):
                size += self._log(name).stat().st_size
        return seconds, size

    def stop(self) -> None:
        """End all components: SIGTERM to each group, then SIGKILL to what is left, wherever it is."""
        running = [component.process for component in self._running.values()]
        for process in running:
            signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for process in running:
            task_processes.kill_session(process.pid)
            process.wait()
            self._tell_guard(-process.pid)
        self._running.clear()
        task_processes.end(self.tag, 0, task_processes.SERVER_VARIABLE)
        self._restarts_file.unlink(missing_ok=True)
        self._guard.communicate()

    def _bury(self, component: Component, now: float) -> None:
        """End what a dead component has left, and say when it is started anew.

        A scheduler leaves the processes of its tasks. Nobody waits for them: Airflow starts these tasks again.
        """
        code, pid = component.process.returncode, component.process.pid
        task_processes.kill_session(pid)
        self._tell_guard(-pid)
        component.deaths = [death for death in component.deaths if now - death < WINDOW_SECONDS] + [now]
        if len(component.deaths) > MAX_RESTARTS:
            raise CliError(
                f"{component.name} ended {len(component.deaths)} times within {WINDOW_SECONDS / 60:.0f} minutes, at "
                f"last with {code}; it is not started again. {self._end_of_log(component.name)}"
            )
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (len(component.deaths) - 1), MAX_PAUSE_SECONDS)
        component.restart_at = now + pause
        self._say(
            f"{component.name} ended with {code}; it is started again in {pause:.0f} s ({self._log(component.name)})"
        )
        self._note_restart(component.name, code)

    def _note_restart(self, name: str, code: int) -> None:
        """Let the API server show it."""
        self._restarts.append({"component": name, "at": datetime.now(timezone.utc).isoformat(), "exit_code": str(code)})
        with contextlib.suppress(OSError):  # a full disk must not end the server
            atomic.write_text(self._restarts_file, json.dumps(self._restarts[-MAX_RESTARTS * 4 :]))

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tell_guard(process.pid)
        return process

    def _tell_guard(self, word: str | int) -> None:
        """Say the tag; then, which process to end if this one is killed, or with a minus, not to end any more."""
        with contextlib.suppress(OSError):  # the guard is gone: somebody has killed it
            if self._guard.stdin:
                self._guard.stdin.write(f"{word}\n")
                self._guard.stdin.flush()

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _end_of_log(self, name: str) -> str:
        path = self._log(name)
        try:
            end = path.read_text(encoding="utf-8", errors="replace")[-SHOWN_CHARACTERS:]
        except OSError as error:
            return f"{path} can't be read: {error.strerror}."
        return f"The end of {path}:\n{end}"
