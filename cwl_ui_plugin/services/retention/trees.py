"""Measuring and removing folders whatever is in them: by descriptors, through no link, for no longer than allowed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 512
"""What ``st_blocks`` counts."""
MAX_DEPTH = 400
"""Folders in folders that are looked into: each takes an open descriptor and a frame of the stack."""
MAX_SHARED = 1_000_000
"""Files with several names that are remembered, so that each counts once."""
_PAUSE_AFTER = 1000
_PAUSE_SECONDS = 0.002
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ANY_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Size:
    """What something takes on the disk, as ``du`` counts it: links are not followed, a file with two names counts once.

    ``unread`` is how many folders could not be looked into; ``is_whole`` is False where there was no time for all.
    """

    bytes: int = 0
    files: int = 0
    unread: int = 0
    is_whole: bool = True

    def __add__(self, other: Size) -> Size:
        return Size(
            self.bytes + other.bytes,
            self.files + other.files,
            self.unread + other.unread,
            self.is_whole and other.is_whole,
        )


@dataclass
class Measurer:
    """Measures for at most so many seconds, with pauses: requests are answered in between."""

    seconds: float
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _until: float = 0.0
    _count: int = 0

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._until

    def measure(self, places: Iterable[Path]) -> Size:
        """Return what files and folders take; what is not there, or vanishes meanwhile, takes nothing."""
        total = Size()
        for place in places:
            if self.is_over:
                return total + Size(is_whole=False)
            total += self._place(place)
        return total

    def _place(self, place: Path) -> Size:
        try:
            if not stat.S_ISDIR(place.lstat().st_mode):
                return self._file(place.lstat())
            descriptor = os.open(place, _FOLDER)
        except FileNotFoundError:
            return Size()
        except OSError:
            return Size(unread=1)
        return self._folder(descriptor, 0)

    def _folder(self, descriptor: int, depth: int) -> Size:
        """Return what is in an open folder, which is closed."""
        bytes_, files, unread, is_whole = 0, 0, 0, True
        try:
            for name, found in _entries(descriptor):
                if not self._goes_on():
                    is_whole = False
                    break
                inner = self._below(descriptor, name, depth) if stat.S_ISDIR(found.st_mode) else self._file(found)
                bytes_, files = bytes_ + inner.bytes, files + inner.files
                unread, is_whole = unread + inner.unread, is_whole and inner.is_whole
        except OSError:
            unread += 1
        finally:
            os.close(descriptor)
        return Size(bytes_, files, unread, is_whole)

    def _below(self, folder: int, name: str, depth: int) -> Size:
        if depth >= MAX_DEPTH:
            return Size(unread=1)
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            return Size()
        except OSError:
            return Size(unread=1)
        return self._folder(descriptor, depth + 1)

    def _file(self, found: os.stat_result) -> Size:
        if found.st_nlink > 1:
            key = (found.st_dev, found.st_ino)
            if key in self._seen:
                return Size()
            if len(self._seen) < MAX_SHARED:
                self._seen.add(key)
        return Size(found.st_blocks * BLOCK, 1)

    def _goes_on(self) -> bool:
        self._count += 1
        if self._count % _PAUSE_AFTER == 0:
            time.sleep(_PAUSE_SECONDS)
        return not self.is_over


def is_folder(state: os.stat_result) -> bool:
    """Whether something is a folder, and no link to one."""
    return stat.S_ISDIR(state.st_mode)


def remove(place: Path) -> bool:
    """Remove a file or folder with all that is in it; return whether nothing of it is left.

    A folder that its owner has closed is opened; what is another user's, or can't be removed, stays.
    """
    try:
        folder = os.open(place.parent, _ANY_FOLDER & ~os.O_NOFOLLOW)
    except OSError:
        return not os.path.lexists(place)
    try:
        return remove_in(folder, place.name)
    finally:
        os.close(folder)


def remove_in(folder: int, name: str, depth: int = 0) -> bool:
    """Remove what has a name in an open folder; return whether nothing of it is left."""
    try:
        os.unlink(name, dir_fd=folder)
        return True
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        pass
    except OSError:
        return False
    if depth >= MAX_DEPTH:
        return False
    try:
        _empty(folder, name, depth)
        os.rmdir(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _empty(folder: int, name: str, depth: int) -> None:
    descriptor = open_folder(folder, name)
    try:
        for entry in [found for found, _state in _entries(descriptor)]:
            remove_in(descriptor, entry, depth + 1)
    finally:
        os.close(descriptor)


def open_folder(folder: int, name: str) -> int:
    """Return a descriptor of a folder that what is in it can be removed from."""
    found = os.open(name, _ANY_FOLDER, dir_fd=folder)
    try:
        if os.fstat(found).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            with suppress(OSError):  # of what is open, whatever has its name by now
                Path(f"/proc/self/fd/{found}").chmod(stat.S_IRWXU)
    finally:
        os.close(found)
    return os.open(name, _FOLDER, dir_fd=folder)


def _entries(descriptor: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in an open folder; what vanishes meanwhile is left out."""
    with os.scandir(descriptor) as found:
        for entry in found:
            try:
                yield entry.name, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
