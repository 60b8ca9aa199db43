"""Locks that are files, and leave none behind: whoever holds one removes its file, and whoever waited looks anew."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_WAIT_SECONDS = 0.2
_OPENED = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def held(lock: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock, whose folder is made; another process may have it for hours.

    Args:
        lock: the file; nothing but locks may have its name.
        waiting: called again and again until the lock is there; what it raises ends the waiting. Without it, nobody
            waits.

    Raises:
        BlockingIOError: somebody has it, and nobody waits.
        OSError: the file can't be written.

    """
    descriptor = _taken(lock, waiting)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _taken(lock: Path, waiting: Callable[[], None] | None) -> int:
    while True:
        if waiting is not None:
            waiting()
        descriptor = _opened(lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(lock, descriptor):
                return descriptor
        except BlockingIOError:
            if waiting is None:
                os.close(descriptor)
                raise
            time.sleep(_WAIT_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(lock: Path) -> int:
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # somebody has removed the folder, which was empty
            return os.open(lock, _OPENED, 0o600)


def _is_there(lock: Path, descriptor: int) -> bool:
    """Whether a lock that was taken is the one that others see: who had it before has removed its file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(lock.lstat(), os.fstat(descriptor))
    return False
