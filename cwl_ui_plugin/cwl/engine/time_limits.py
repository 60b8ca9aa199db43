"""The time limit of a command (ToolTimeLimit): it has failed when it did not keep it, whatever it does then.

At the limit cwltool sends SIGTERM to the command. One that goes on is killed here, its children and its container too;
one that takes SIGTERM for a reason to end well has failed nevertheless.
"""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from cwl_ui_plugin.cwl.containers.task_containers import remove
from cwl_ui_plugin.cwl.engine.cwltool_internals import Execute, wrap_execution

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from cwltool.context import RuntimeContext
    from cwltool.job import JobBase


GRACE_SECONDS = 2.0
_CID_FILE = "--cidfile="


class TimeLimit:
    """Watches one job of cwltool."""

    def __init__(self, job: JobBase) -> None:
        self.seconds: float = job.timelimit or 0
        self._began = 0.0
        wrap_execution(job, self._limited)

    def _limited(self, execute: Execute) -> Execute:
        return partial(self._execute_limited, execute)

    def _execute_limited(
        self,
        execute: Execute,
        runtime: list[str],
        env: object,
        context: RuntimeContext,
        monitor: Callable[[Popen[str]], None] | None = None,
    ) -> None:
        timers: list[threading.Timer] = []
        self._began = time.monotonic()

        def watch(process: Popen[str]) -> None:
            timer = threading.Timer(self.seconds + GRACE_SECONDS, _kill, (process.pid, runtime))
            timer.daemon = True
            timer.start()
            timers.append(timer)
            if monitor:
                monitor(process)

        try:
            execute(runtime, env, context, watch)
        finally:
            for timer in timers:
                timer.cancel()
                timer.join()  # it may be ending the container

    def is_exceeded(self) -> bool:
        """Whether the command, which has just ended, took longer than it may."""
        return time.monotonic() - self._began >= self.seconds


def _kill(pid: int, runtime: list[str]) -> None:
    for word in runtime:
        if word.startswith(_CID_FILE):
            with contextlib.suppress(OSError):
                remove(runtime[0], Path(word.removeprefix(_CID_FILE)).read_text(encoding="utf-8").strip())
    with contextlib.suppress(psutil.Error):
        command = psutil.Process(pid)
        for process in (*command.children(recursive=True), command):
            with contextlib.suppress(psutil.Error):
                process.kill()
