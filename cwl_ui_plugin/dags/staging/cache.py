"""Objects that this machine has fetched, for the tasks that come next.

::

    <tmp_folder>/.objects/<aa>/<digest>     read-only; its time of access says when it was used last
    <tmp_folder>/.objects/.locks/<digest>   there while a task fetches it

What is here was compared with its digest when it came. Since then its time of change tells whether somebody has written
to it: it is made from the digest, and a write has another one. Such a file is fetched anew.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin.dags.staging.objects import Objects
from cwl_ui_plugin.dags.staging.references import FOLDER, Reference
from cwl_ui_plugin.file_locks import held

FOLDER_NAME = ".objects"
_LOCKS = ".locks"
_SECONDS = 946_684_800
"""Of all files: a tool that compares the times of two finds none older than the other."""
_MADE_ANEW_SECONDS = 86_400.0
_DOWN_TO = 0.8
"""Of its bound, what is left after room was made: so that it is not made for each file anew."""
Wait = Callable[[], None]


def time_of(digest: str) -> int:
    """Return the time of change of an object's file, in nanoseconds since 1970."""
    return _SECONDS * 10**9 + int(digest[:8], 16) % 10**9


@dataclass(frozen=True)
class Cache:
    """Fetched objects in a folder, of which so many bytes are kept when a task has fetched some."""

    folder: Path
    most: float
    objects: Objects

    def place(self, wanted: Reference, size: int, target: Path, on_wait: Wait, *, is_own: bool) -> None:
        """Have an object be a file.

        It is another name of the file that is kept here, which nobody writes to; ``is_own``: a copy.

        Raises:
            FetchError: the object can't be had, or is not what it should be.
            OSError: the file can't be written.

        """
        kept = self._path(wanted)
        if not self._given(kept, wanted, size, target, is_own=is_own):
            with held(self.folder / _LOCKS / kept.name, on_wait):
                if not self._given(kept, wanted, size, target, is_own=is_own):
                    self._fetch(kept, wanted, size, on_wait)
                    if not self._given(kept, wanted, size, target, is_own=is_own):
                        raise OSError(errno.EIO, "it was changed as soon as it was here", str(kept))

    def make_room(self, most: float | None = None) -> None:
        """Remove what was not used for the longest time, where there is more than is to be kept."""
        limit = self.most if most is None else most
        found = sorted(self._entries())
        total = sum(size for _used, size, _path in found)
        if total <= limit:
            return
        for _used, size, path in found:
            if total <= limit * _DOWN_TO:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _path(self, wanted: Reference) -> Path:
        return self.folder / wanted.digest[:2] / f"{wanted.digest}{FOLDER if wanted.is_folder else ''}"

    def _fetch(self, kept: Path, wanted: Reference, size: int, on_wait: Wait) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        try:
            self.objects.fetch(wanted.key, size, wanted.digest, kept, on_wait)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.make_room(0)
            self.objects.fetch(wanted.key, size, wanted.digest, kept, on_wait)
        kept.chmod(0o444)
        os.utime(kept, ns=(time.time_ns(), time_of(wanted.digest)))

    def _given(self, kept: Path, wanted: Reference, size: int, target: Path, *, is_own: bool) -> bool:
        """Give a kept object a name in the folder of a task; return False where it is not here, or was changed."""
        if not _is_sound(kept, wanted, size):
            return False
        try:
            os.utime(kept, ns=(time.time_ns(), time_of(wanted.digest)), follow_symlinks=False)
            if is_own or wanted.is_executable or not _linked(kept, target):
                shutil.copyfile(kept, target, follow_symlinks=False)
                target.chmod(0o755 if wanted.is_executable else 0o644)
        except FileNotFoundError:  # somebody has made room
            return False
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        if _is_sound(kept, wanted, size) or not os.path.lexists(kept):
            return True
        target.unlink(missing_ok=True)
        return False

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Yield last use, size and place of what is here; remove what a killed task has left half fetched."""
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            with suppress(FileNotFoundError), os.scandir(folder) as found:
                for entry in found:
                    with suppress(FileNotFoundError):
                        state = entry.stat(follow_symlinks=False)
                        if not entry.name.startswith("."):
                            yield state.st_atime, state.st_size, Path(entry.path)
                        elif state.st_mtime < time.time() - _MADE_ANEW_SECONDS:
                            Path(entry.path).unlink()


def _is_sound(path: Path, wanted: Reference, size: int) -> bool:
    """Whether a file is there as it was when it was compared with its digest."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(state.st_mode) and (state.st_size, state.st_mtime_ns) == (size, time_of(wanted.digest))


def _linked(kept: Path, target: Path) -> bool:
    """Give a file another name; return False where its disk can't, or has no more names for it."""
    try:
        os.link(kept, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EMLINK, errno.EXDEV, errno.EPERM):
            return False
        raise
    return True
