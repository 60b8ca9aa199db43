"""Files that are handed on: opened first, and looked at then, so that no link in their place leads elsewhere."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cwl_ui_plugin.dags.staging.errors import NotPlain

CHUNK = 1 << 20
_OPENED = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MayRead = Callable[[Path], bool]


@dataclass(frozen=True)
class State:
    """What tells a file that was changed from one that was not."""

    size: int
    changed: int
    is_executable: bool

    @classmethod
    def of(cls, file: BinaryIO) -> State:
        """Look at an open file."""
        found = os.fstat(file.fileno())
        return cls(found.st_size, found.st_mtime_ns, bool(found.st_mode & stat.S_IXUSR))


@contextmanager
def opened(path: Path, may_read: MayRead) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a file, links followed; yield it and where it is.

    Raises:
        NotPlain: it is no file, or one that the run may not read.
        OSError: it is not there, or can't be read.

    """
    descriptor = os.open(path, _OPENED)
    with os.fdopen(descriptor, "rb") as file:
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotPlain(f"{path.name} is no file, but a folder, a device, a pipe or a socket")
        if not may_read(real):
            raise NotPlain(f"{path.name} is, or leads to, a file that this run may not read")
        yield file, real


def digest_of(file: BinaryIO, size: int, on_wait: Callable[[], None]) -> str:
    """Return the SHA-256 of an open file of so many bytes."""
    digest, done = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        done += len(chunk)
        on_wait()
    if done != size:
        raise NotPlain("a file was changed while it was read: a process of the task may still write to it")
    return digest.hexdigest()
