"""Opening what lies in a folder that others write to: tools, jobs, users.

A path that is checked and then opened may be another one by then. So a file is opened first, one folder after the other
from a folder that only the site decides about, and never through a link; then the open file is looked at; and only
through its descriptor it is read. Without ``..`` in names, that is what ``openat2`` does with ``RESOLVE_BENEATH`` and
``RESOLVE_NO_SYMLINKS``, which Python does not know.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

FILE, FOLDER, OTHER = "file", "folder", "other"
DEEPEST = 200
"""Folders in folders that :meth:`Place.files` looks into."""
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotPlain(OSError):
    """What is there is neither a plain file nor a folder of this place: a link, a pipe, a device, a way out."""

    def __init__(self, name: object) -> None:
        super().__init__(errno.ELOOP, "no plain file in its folder", str(name))


@dataclass(frozen=True)
class Entry:
    """What a folder has: ``kind`` is ``file``, ``folder`` or ``other``, which is never opened."""

    name: str
    kind: str


@dataclass(frozen=True)
class Place:
    """A folder whose content is hostile, ``parts`` below a ``root`` that is trusted. Names are relative, with slashes.

    All methods raise :class:`OSError` for what is not there, can't be read, or is not plain.
    """

    root: Path
    parts: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """What the folder is called; not for opening it."""
        return self.root.joinpath(*self.parts)

    def below(self, name: str) -> Place:
        """Return a folder in this one; it need not be there."""
        return Place(self.root, (*self.parts, *parts_of(name)))

    def open(self, name: str) -> BinaryIO:
        """Open a plain file.

        A file with several names must belong to the owner of this folder: others may have got such a name where
        ``fs.protected_hardlinks`` is off, and a tool can give away its own files only.
        """
        *folders, last = parts_of(name) or ("",)
        with self._opened(folders) as (descriptor, owner):
            found = os.open(last, _FILE, dir_fd=descriptor)
        try:
            state = os.fstat(found)
            if not stat.S_ISREG(state.st_mode) or (state.st_nlink > 1 and state.st_uid != owner):
                raise NotPlain(name)
            return os.fdopen(found, "rb")
        except BaseException:
            os.close(found)
            raise

    def state(self, name: str) -> os.stat_result:
        """Return what is known of a plain file or a folder."""
        *folders, last = parts_of(name) or (".",)
        with self._opened(folders) as (descriptor, _owner):
            return _plain_state(last, descriptor, name)

    @contextmanager
    def looking(self) -> Iterator[Callable[[str], os.stat_result]]:
        """Yield what does as :meth:`state` does, for very many names: the folder of the last one stays open."""
        with ExitStack() as stack:
            opened: tuple[str, ...] | None = None
            descriptor = -1

            def state(name: str) -> os.stat_result:
                nonlocal opened, descriptor
                *folders, last = parts_of(name) or (".",)
                if opened != tuple(folders):
                    stack.close()
                    opened = None
                    descriptor, _owner = stack.enter_context(self._opened(folders))
                    opened = tuple(folders)
                return _plain_state(last, descriptor, name)

            yield state

    def entries(self, name: str = "", most: int | None = None) -> tuple[list[Entry], bool]:
        """Return what is in a folder, sorted by name, and whether there is more than ``most``."""
        with self._opened(parts_of(name)) as (folder, _owner):
            descriptor = os.open(".", _LISTED, dir_fd=folder)
        try:
            with os.scandir(descriptor) as found:
                entries = [Entry(entry.name, _kind(entry)) for entry in islice(found, most)]
                is_cut = next(found, None) is not None
        finally:
            os.close(descriptor)
        return sorted(entries, key=lambda entry: entry.name), is_cut

    def files(self, name: str = "", depth: int = DEEPEST) -> Iterator[str]:
        """Yield the names of all plain files in a folder and the folders in it; what can't be read is left out."""
        try:
            entries, _is_cut = self.entries(name)
        except OSError:
            return
        for entry in entries:
            inner = f"{name}/{entry.name}" if name else entry.name
            if entry.kind == FILE:
                yield inner
            elif entry.kind == FOLDER and depth > 0:
                yield from self.files(inner, depth - 1)

    @contextmanager
    def folder(self, name: str = "") -> Iterator[int]:
        """Yield a descriptor of a folder, to rename or remove what is in it by ``dir_fd``."""
        with self._opened(parts_of(name)) as (descriptor, _owner):
            yield descriptor

    @contextmanager
    def _opened(self, folders: list[str] | tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """Yield a descriptor of a folder in this one, and the owner of this one."""
        descriptor = os.open(self.root, (_FOLDER & ~os.O_NOFOLLOW))
        try:
            for part in self.parts:
                descriptor = _step(descriptor, part)
            owner = os.fstat(descriptor).st_uid
            for part in folders:
                descriptor = _step(descriptor, part)
            yield descriptor, owner
        finally:
            os.close(descriptor)


def plain_file(path: Path) -> int | None:
    """Return a plain file as a descriptor; None where there is none, or something else is put in its place."""
    try:
        file = os.open(path, _FILE)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def size_of(file: BinaryIO) -> int:
    """Return how many bytes an open file has, wherever it is."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size


def place_of(path: Path, roots: tuple[Path, ...]) -> Place | None:
    """Return a folder as a place below the outermost of these roots that it is in, or None if it is in none."""
    inside = [root for root in roots if path.is_relative_to(root)]
    if not inside or ".." in path.parts:
        return None
    root = min(inside, key=lambda found: len(found.parts))
    return Place(root, path.relative_to(root).parts)


def parts_of(name: str) -> tuple[str, ...]:
    """Return the parts of a relative name; raise :class:`NotPlain` for one that leads out, or is none."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise NotPlain(name)
    return path.parts


def _plain_state(last: str, folder: int, name: str) -> os.stat_result:
    found = os.stat(last, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise NotPlain(name)
    return found


def _step(descriptor: int, part: str) -> int:
    """Return the descriptor of a folder in a folder; on an error the given one stays open."""
    deeper = os.open(part, _FOLDER, dir_fd=descriptor)
    os.close(descriptor)
    return deeper


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):
        return FILE
    return FOLDER if entry.is_dir(follow_symlinks=False) else OTHER
