"""Reading what was delivered to a store, for users who wait: by a server's own connections, and within seconds.

A :class:`StoredPlace` is to a folder in a store what ``opened.Place`` is to one on a disk.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from cwl_ui_plugin.fetching import pages, s3, site
from cwl_ui_plugin.fetching.errors import NotThere
from cwl_ui_plugin.fetching.quick_answers import READING, answered
from cwl_ui_plugin.fetching.storage import is_s3
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, key_problem
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.fetching.waiting import Item
from cwl_ui_plugin.opened import FILE, FOLDER, Entry, Place, parts_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

BUFFER_BYTES = 1024 * 1024
"""What is asked of a store at a time by who reads on and on."""
AFTER_SEEK_BYTES = 64 * 1024
"""What is asked of it after a leap to another place, and twice as much each time after that: who looks into a tar
reads half a kilobyte of each member."""
_PAGE = 1000
_FILE_MODE, _FOLDER_MODE = stat.S_IFREG | 0o444, stat.S_IFDIR | 0o555
_NO_NAMES = ("", ".", "..")
IS_FOLDER = -1


@dataclass(frozen=True)
class StoredPlace(Place):
    """A folder in a store; ``known`` are sizes of files in it, by name, which the store is not asked for;
    that of a folder is :data:`IS_FOLDER`.

    Methods raise OSError for what is not there, as those of a ``Place`` do, and ``FetchError`` where the store does not
    tell.
    """

    known: dict[str, int] = field(default_factory=dict, compare=False)
    _systems: list[Any] = field(default_factory=list, compare=False)
    """The store, once it was opened."""

    def below(self, name: str) -> StoredPlace:
        """Return a folder in this one; it need not be there."""
        start = "".join(f"{part}/" for part in parts_of(name))
        known = {path[len(start) :]: size for path, size in self.known.items() if path.startswith(start)}
        return replace(self, parts=(*self.parts, *parts_of(name)), known=known)

    def open(self, name: str) -> BinaryIO:
        """Open an object; nothing but what it is asked for comes."""
        found = self._found(name)
        if not isinstance(found, StoredObject):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        return StoredFile(found, partial(self._part, found))

    def state(self, name: str) -> os.stat_result:
        """Return what is known of an object, or of a folder."""
        if (size := self.known.get("/".join(parts_of(name)))) is not None:
            return _state(_FOLDER_MODE, 0, 0) if size == IS_FOLDER else _state(_FILE_MODE, size, 0)
        found = self._found(name)
        if not isinstance(found, StoredObject):
            return _state(_FOLDER_MODE, 0, 0)
        return _state(_FILE_MODE, found.size, _moment(found.told))

    @contextmanager
    def looking(self) -> Iterator[Callable[[str], os.stat_result]]:
        """Yield :meth:`state`; nothing of a store stays open."""
        yield self.state

    def entries(self, name: str = "", most: int | None = None) -> tuple[list[Entry], bool]:
        """Return what is in a folder, sorted by name, and whether there is more than ``most``."""
        folder, after = self._address(name), ""
        found: dict[str, Entry] = {}
        while most is None or len(found) <= most:
            page = self._ask(folder, partial(pages.read_page, folder=folder, part=(after, _PAGE)))
            for listed in page.entries:
                inner = listed.key.removesuffix("/").rpartition("/")[2]
                if inner not in _NO_NAMES and "\0" not in inner:
                    found.setdefault(inner, Entry(inner, FOLDER if listed.is_folder else FILE))
                    self._note(name, inner, listed)
            after = page.after
            if not after:
                break
        if not found and not after and name:
            self._found(name)
        entries = sorted(found.values(), key=lambda entry: entry.name)
        return entries[:most], most is not None and (len(entries) > most or bool(after))

    @contextmanager
    def folder(self, name: str = "") -> Iterator[int]:
        """Refuse: a folder in a store has no descriptor."""
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        yield 0

    def _note(self, name: str, inner: str, listed: pages.Listed) -> None:
        size = IS_FOLDER if listed.is_folder else listed.size
        if size is not None:
            self.known.setdefault("/".join((*parts_of(name), inner)), size)

    def _address(self, name: str) -> StorageAddress:
        parts = parts_of(name)
        address = site.destination_of(self.path)
        if address is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        found = address.below("/".join(filter(None, (address.key, *parts))))
        if key_problem(found.key):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return found

    def _found(self, name: str) -> StoredObject | None:
        """Return an object; None for a folder."""
        address = self._address(name)
        try:
            told = self._ask(address, lambda system: system.info(address.url))
        except NotThere as error:
            if error.status != 404:
                raise
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
        return StoredObject.of(address, told) if told.get("type") == "file" else None

    def _part(self, found: StoredObject, start: int, end: int) -> bytes:
        content: bytes = self._ask(found.address, lambda system: _part(system, found, start, end))
        return content

    def _ask(self, address: StorageAddress, ask: Callable[[AbstractFileSystem], Item]) -> Item:
        return answered(address, ask, READING, opened=self._systems)


class StoredFile(io.BufferedReader):
    """An object that is read part by part; what was written anew meanwhile is an error."""

    def __init__(self, found: StoredObject, part: Callable[[int, int], bytes]) -> None:
        super().__init__(_Raw(found.size, part), BUFFER_BYTES)
        self.found = found


class _Raw(io.RawIOBase):
    def __init__(self, size: int, part: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._part, self._position = size, part, 0
        self._most = s3.CHUNK_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        position = max(0, base + offset)
        if position != self._position:
            self._position, self._most = position, AFTER_SEEK_BYTES
        return position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._position), self._most)
        if wanted == 0:
            return 0
        content = self._part(self._position, self._position + wanted)
        buffer[: len(content)] = content
        self._position += len(content)
        self._most = min(2 * self._most, s3.CHUNK_BYTES)
        return len(content)


def _part(system: AbstractFileSystem, found: StoredObject, start: int, end: int) -> bytes:
    if is_s3(system):
        return s3.part(system, found, start, end)
    content: bytes = system.cat_file(found.address.url, start=start, end=end)
    if len(content) != end - start:
        raise found.changed()
    return content


def _moment(told: Mapping[str, object]) -> float:
    return next((value.timestamp() for value in told.values() if isinstance(value, datetime)), 0.0)


def _state(mode: int, size: int, moment: float) -> os.stat_result:
    whole = int(moment)
    return os.stat_result((mode, 0, 0, 1, 0, 0, size, whole, whole, whole))
