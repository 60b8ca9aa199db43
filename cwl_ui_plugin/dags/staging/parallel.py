"""Doing many things side by side, and leaving them when somebody says stop: a store may be silent for minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
LOOK_SECONDS = 0.5


class _Left(Exception):
    """Whoever has asked for it waits no more."""


class _Work:
    """Items that some threads take one after the other; the first error ends it."""

    def __init__(self, items: Iterable[Item], do: Callable[[Item, Callable[[], None]], None]) -> None:
        self._items: Iterator[Item] = iter(items)
        self._do: Callable[..., None] = do
        self.changed = threading.Condition()
        self.busy = 0
        self.error: BaseException | None = None
        self.is_left = False

    def go_on(self) -> None:
        """Raise where nobody waits any more."""
        if self.is_left or self.error is not None:
            raise _Left

    def run(self) -> None:
        """Do one item after the other."""
        try:
            while True:
                with self.changed:
                    self.go_on()
                    item = next(self._items)
                self._do(item, self.go_on)
        except (StopIteration, _Left):
            pass
        except BaseException as error:
            self.error = self.error or error
        finally:
            with self.changed:
                self.busy -= 1
                self.changed.notify_all()


def each(
    items: Iterable[Item], do: Callable[[Item, Callable[[], None]], None], most: int, on_wait: Callable[[], None]
) -> None:
    """Call ``do`` for each item, at most so many at a time; return when all are done, and raise the first error.

    ``on_wait`` is called at least each half second; what it raises is raised at once, and ends the others: ``do`` gets
    a function that raises then, to be called often.
    """
    found = list(items)
    if len(found) == 1:
        do(found[0], on_wait)
        return
    work = _Work(found, do)
    with _left_in_the_end(work):
        for _number in range(min(most, len(found))):
            work.busy += 1
            threading.Thread(target=work.run, name="cwl-staging", daemon=True).start()
        while True:
            on_wait()
            with work.changed:
                if work.error is not None or not work.busy:
                    break
                work.changed.wait(LOOK_SECONDS)
    if work.error is not None:
        raise work.error


@contextmanager
def _left_in_the_end(work: _Work) -> Iterator[None]:
    try:
        yield
    finally:
        work.is_left = True
