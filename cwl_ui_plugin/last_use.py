"""When something was used last, told by the time of its file or folder: what is old may be removed, but not in use.

Whoever uses it touches it; whoever removes it looks once more and moves it away. Each does so within a lock of the
folder that it is in, for a moment only, so that nothing is taken away that somebody has just begun to use. The lock
holds among all machines that share the file system.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
GOING = 0.0
"""The time of what is being removed in its place: see :func:`mark_going`."""
REMOVED = ".removed-"
"""What the name of something begins with that was moved away to be removed; no key, UUID or dag_id does."""
_OPENED = os.O_NOFOLLOW | os.O_CLOEXEC


def use(entry: Path, folder: Path | None = None) -> bool:
    """Note that something is used now; return whether it is there: from now on it is kept as long as what is new.

    ``folder`` has the lock; by default it is the one that the entry is in. What this user may read but not touch can't
    be noted, nor can it be moved away by anybody with the same rights.

    Raises:
        OSError: the lock can't be had.

    """
    with locked(folder or entry.parent, fcntl.LOCK_SH):
        try:
            if entry.lstat().st_mtime == GOING:
                return False
            os.utime(entry, None, follow_symlinks=False)
        except PermissionError:
            return os.path.lexists(entry)
        except FileNotFoundError:
            return False
    return True


def take_away(entry: Path, *, unused_since: float, folder: Path | None = None) -> bool:
    """Move something away that was not used since a time (seconds since 1970); return whether it is away.

    Raises:
        OSError: the lock can't be had, or it can't be moved.

    """
    folder = folder or entry.parent
    with locked(folder, fcntl.LOCK_EX):
        try:
            if entry.lstat().st_mtime > unused_since:
                return False
        except FileNotFoundError:
            return False
        move_away(entry, folder)
    return True


def mark_going(entry: Path, *, unused_since: float) -> bool:
    """Say that what a file stands for is going to be removed; return False where it was used since a time.

    Nobody can use it from then on, until the file is touched.
    """
    with locked(entry.parent, fcntl.LOCK_EX):
        try:
            if entry.lstat().st_mtime > unused_since:
                return False
            os.utime(entry, (GOING, GOING), follow_symlinks=False)
        except FileNotFoundError:
            return False
    return True


def move_away(entry: Path, folder: Path) -> Path:
    """Move something away to be removed: with one rename, which also a full disk allows; within the folder's lock.

    Return where it is.
    """
    return entry.rename(folder / f"{REMOVED}{uuid.uuid4().hex}")


@contextmanager
def locked(folder: Path, how: int) -> Iterator[None]:
    """Hold the lock of a folder: ``fcntl.LOCK_SH`` to use what is in it, ``LOCK_EX`` to take it away."""
    descriptor = _opened(folder / LOCK, for_reading=how == fcntl.LOCK_SH)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _opened(lock: Path, *, for_reading: bool) -> int:
    """Open the file of a lock; another user's can be opened for reading only, which is enough to share it."""
    try:
        return os.open(lock, _OPENED | os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not for_reading:
            raise
        return os.open(lock, _OPENED | os.O_RDONLY)
