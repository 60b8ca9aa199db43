"""Waiting for a library that can't be interrupted: it works in a thread, which a stop or a deadline leaves behind."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from cwl_ui_plugin.fetching.connecting import Deadline
from cwl_ui_plugin.fetching.errors import Away, FetchError

Item = TypeVar("Item")
LOOK_SECONDS = 0.5
_AHEAD = 2
"""Items that are made while one is used."""


class Patience(Deadline):
    """A deadline that is put off whenever something comes: what goes on may take as long as it takes."""

    def __init__(self, seconds: float, message: str, error: type[FetchError] = Away) -> None:
        super().__init__(seconds, message, error)
        self._seconds = seconds

    def renew(self) -> None:
        """Wait as long again from now on."""
        self._until = time.monotonic() + self._seconds


def awaited(items: Iterable[Item], deadline: Deadline, on_wait: Callable[[], None]) -> Iterator[Item]:
    """Yield what another thread takes from ``items``; what that raises is raised here.

    ``on_wait`` is called before each item, and while none comes; what it raises ends the waiting.

    Raises:
        FetchError: the deadline has passed, however long an item takes.

    """
    ahead: queue.Queue[list[Item] | BaseException | None] = queue.Queue(_AHEAD)
    is_over = threading.Event()

    def put(entry: list[Item] | BaseException | None) -> None:
        while not is_over.is_set():
            with suppress(queue.Full):
                ahead.put(entry, timeout=LOOK_SECONDS)
                return

    def take() -> None:
        try:
            for item in items:
                put([item])
                if is_over.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=take, name="cwl-awaited", daemon=True).start()
    try:
        while (entry := _next(ahead, deadline, on_wait)) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        is_over.set()


def _next(
    ahead: queue.Queue[list[Item] | BaseException | None], deadline: Deadline, on_wait: Callable[[], None]
) -> list[Item] | BaseException | None:
    while True:
        on_wait()
        with suppress(queue.Empty):
            return ahead.get(timeout=deadline.left(LOOK_SECONDS))
