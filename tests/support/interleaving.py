"""Actors that stand still at named points until they are let go, so that a test can try every order of their steps.

An actor is a thread of this process, or a process of its own (a task, which a stop may kill). A point is named by
``at(name)``; for threads ``hold`` puts one before a function of the code under test, which knows nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

SECONDS = 60.0


def orders(*actors: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every order of the steps of several actors that leaves those of each in their own order."""
    if not any(actors):
        yield ()
        return
    for number, steps in enumerate(actors):
        if steps:
            rest = [*actors[:number], steps[1:], *actors[number + 1 :]]
            for order in orders(*rest):
                yield (steps[0], *order)


class ThreadActor:
    """Runs ``work`` in a thread; ``result`` or ``error`` is there once it has ended."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._go = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self.point: str | None = "begin"
        self.result: Any = None
        self.error: BaseException | None = None
        self._free = False
        self._thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        self._go.acquire()
        try:
            self.result = work()
        except BaseException as error:
            self.error = error
        self.point = None
        self._arrived.release()

    def hold(self, patch: pytest.MonkeyPatch, module: ModuleType | type, function: str, *, once: bool = False) -> None:
        """Put a point, named as the function, before each call of it by this actor; or before the first."""
        original, held = getattr(module, function), []

        def holding(*arguments: Any, **more: Any) -> Any:
            if threading.current_thread() is self._thread and not (once and held):
                held.append(True)
                self.at(function)
            return original(*arguments, **more)

        patch.setattr(module, function, holding)

    def at(self, name: str) -> None:
        """Stand still here."""
        if self._free:
            return
        self.point = name
        self._arrived.release()
        self._go.acquire()

    def step(self, meanwhile: Callable[[], object] = lambda: None, free: bool = False) -> None:
        """Let it go to its next point, or to its end; ``free``: through all points."""
        if self.point is None:
            return
        self._free = free
        self._go.release()
        for _ in range(int(SECONDS / 0.02)):
            if self._arrived.acquire(timeout=0.02):
                return
            meanwhile()
        pytest.fail(f"an actor did not come on from {self.point}")


class ProcessActor:
    """Runs ``work(at)`` in a process that is forked from this one; ``at(name)`` is a point."""

    def __init__(self, work: Callable[[Callable[[str], None]], int]) -> None:
        self._there, there = os.pipe()
        go, self._go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(work, there, go)
        os.close(there)
        os.close(go)
        self._poll = select.poll()
        self._poll.register(self._there, select.POLLIN)
        self.point: str | None = "begin"
        self.code: int | None = None

    def _be(self, work: Callable[[Callable[[str], None]], int], there: int, go: int) -> None:
        code = 99

        def at(name: str) -> None:
            os.write(there, f"{name}\n".encode())
            os.read(go, 1)

        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(self._there)
            os.close(self._go)
            os.read(go, 1)
            code = work(at)
        finally:
            os._exit(code)

    def step(self) -> None:
        """Let it go to its next point, or to its end."""
        if self.point is None:
            return
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, b".")
        self._wait()

    def _wait(self) -> None:
        if not self._poll.poll(SECONDS * 1000):
            pytest.fail(f"a process did not come on from {self.point}")
        self.point = os.read(self._there, 1000).decode().strip() or None
        if self.point is None:
            self.join()

    def is_alive(self) -> bool:
        """Whether the process is there; one that was killed is not."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.point, self.code = None, os.waitstatus_to_exitcode(status)
        return self.code is None

    def join(self) -> None:
        """Wait for its end."""
        if self.code is None:
            _pid, status = os.waitpid(self.pid, 0)
            self.point, self.code = None, os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        """End it."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)
            self.join()
