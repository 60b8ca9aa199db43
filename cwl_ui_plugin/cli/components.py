"""The processes of a standalone server: each in a group of its own, with a log, ended together."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.cli.guard import STOP_SECONDS, signal_group
from cwl_ui_plugin.cwl import processes

POLL_SECONDS = 0.1
SHOWN_CHARACTERS = 3000


class Components:
    """Named child processes. A guard ends them, and all that they started, if this process is killed."""

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        self.logs = logs
        self.mark = str(uuid.uuid4())
        self.environment = {**environment, processes.SERVER_VARIABLE: self.mark}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "cwl_ui_plugin.cli.guard", self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a component; it writes to ``<logs>/<name>.log``."""
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[name] = process
        self._tell_guard(process.pid)
        return process

    def finish(self, name: str, command: list[str], is_cancelled: Callable[[], bool]) -> None:
        """Run a component that ends by itself; raise :class:`CliError` if it ends badly."""
        process = self.start(name, command)
        while process.poll() is None and not is_cancelled():
            time.sleep(POLL_SECONDS)
        if process.returncode:
            raise self._ended(name, process)
        if process.returncode == 0:
            del self._running[name]
            self._tell_guard(-process.pid)

    def check(self) -> None:
        """Raise :class:`CliError` if a component has ended, with the end of its log."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise self._ended(name, process)

    def stop(self) -> None:
        """End all components: SIGTERM to each group, then SIGKILL to what is left, wherever it is."""
        for process in self._running.values():
            signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in self._running.values()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for process in self._running.values():
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
            self._tell_guard(-process.pid)
        self._running.clear()
        processes.end(self.mark, 0, processes.SERVER_VARIABLE)
        self._guard.communicate()

    def _tell_guard(self, number: int) -> None:
        """Say which process to end if this one is killed, or with a minus, not to end any more."""
        with contextlib.suppress(OSError):  # the guard is gone: somebody has killed it
            if self._guard.stdin:
                self._guard.stdin.write(f"{number}\n")
                self._guard.stdin.flush()

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _ended(self, name: str, process: subprocess.Popen[bytes]) -> CliError:
        end = self._log(name).read_text(encoding="utf-8", errors="replace")[-SHOWN_CHARACTERS:]
        return CliError(f"{name} ended with {process.returncode}; the end of {self._log(name)}:\n{end}")
