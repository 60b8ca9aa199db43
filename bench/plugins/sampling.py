"""A plugin of Airflow that samples what tasks do, by a timer, in the workers of a scheduler: ``bench/task_profile.py``.

A task has two processes: the supervisor, which is a worker of the LocalExecutor, and the task's own, which that forks.
The timer interrupts the main thread of each; the time since the interruption before counts for the stack that it finds.
``BENCH_SAMPLES`` is the folder for what is found: a JSON of ``{"task", "role", "stacks": [[frames, seconds]],
"requests": [[name, seconds]]}`` for each process, a frame being ``file:function``.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

INTERVAL = 0.001
TASK_MAIN = "_subprocess_main"
"""What a task's own process runs once Airflow has cleared what was to be done at its exit."""


class Sampler:
    """Counts seconds by stack, in one process; ``requests`` are those to the supervisor, in order."""

    def __init__(self, role: str, task: str) -> None:
        self.role, self.task = role, task
        self.requests: list[tuple[str, float]] = []
        self._stacks: dict[tuple[str, ...], float] = defaultdict(float)
        self._last = time.perf_counter()
        self._will_write = role == "supervisor"

    def start(self) -> None:
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def write(self) -> None:
        """Write what was found; the time since the last interruption is lost."""
        self.stop()
        stacks = [[list(stack), seconds] for stack, seconds in self._stacks.items()]
        found = {"task": self.task, "role": self.role, "stacks": stacks, "requests": self.requests}
        name = f"{time.time_ns()}-{os.getpid()}-{self.role}.json"
        Path(os.environ["BENCH_SAMPLES"], name).write_text(json.dumps(found), encoding="utf-8")

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        now = time.perf_counter()
        stack = _stack(frame)
        self._stacks[stack] += now - self._last
        self._last = now
        if not self._will_write and any(name.endswith(f":{TASK_MAIN}") for name in stack):
            self._will_write = True
            atexit.register(self.write)


_current: Sampler | None = None


def _stack(frame: FrameType | None) -> tuple[str, ...]:
    """Return the frames of a stack, the outermost first."""
    names = []
    while frame is not None:
        code = frame.f_code
        names.append(f"{code.co_filename}:{code.co_name}")
        frame = frame.f_back
    return tuple(reversed(names))


def _in_child() -> None:
    """Go on in the process that a supervisor has just forked: that of the task."""
    global _current
    if _current is not None:
        _current = Sampler("task", _current.task)
        _current.start()


def _sampled(run_workload: Any) -> Any:
    """Return what runs a task in a worker, sampled."""

    @functools.wraps(run_workload)
    def run(workload: Any, **options: Any) -> Any:
        global _current
        _current = Sampler("supervisor", f"{workload.ti.dag_id} {workload.ti.task_id}")
        _current.start()
        try:
            return run_workload(workload, **options)
        finally:
            sampler, _current = _current, None
            sampler.write()

    return run


def _timed(send: Any) -> Any:
    """Return what sends a request to the supervisor, each noted with how long its answer took."""

    @functools.wraps(send)
    def sent(decoder: Any, msg: Any) -> Any:
        began = time.perf_counter()
        try:
            return send(decoder, msg)
        finally:
            if _current is not None:
                _current.requests.append((type(msg).__name__, time.perf_counter() - began))

    return sent


def _install() -> None:
    from airflow.executors.base_executor import BaseExecutor
    from airflow.sdk.execution_time.comms import CommsDecoder

    BaseExecutor.run_workload = staticmethod(_sampled(BaseExecutor.run_workload))  # type: ignore[method-assign]
    CommsDecoder.send = _timed(CommsDecoder.send)  # type: ignore[method-assign]
    os.register_at_fork(after_in_child=_in_child)


if "scheduler" in sys.argv and "BENCH_SAMPLES" in os.environ:
    _install()
