"""A folder in an object store that one run delivers to: all keys that begin with its address and a slash."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from cwl_ui_plugin.fetching import s3
from cwl_ui_plugin.fetching.errors import Away, OtherContent
from cwl_ui_plugin.fetching.storage import asked, is_s3
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, key_problem, shown
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.fetching.waiting import Item, Patience
from cwl_ui_plugin.storing import s3_uploads
from cwl_ui_plugin.storing.put import given_up, put

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CHECKED = ".cwl-check"
_AT_ONCE = 1000
"""Keys that S3 removes by one request."""


@dataclass(frozen=True)
class StoredFolder:
    """A folder; names in it are relative, with slashes. ``seconds`` is how long the store may be silent.

    ``on_wait`` is called often; what it raises ends what is being done. All methods raise ``FetchError`` where the
    store does not do it.
    """

    address: StorageAddress
    seconds: float
    on_wait: Callable[[], None] = lambda: None

    def location(self, name: str) -> str:
        """Return the address of what has a name, without connection."""
        return self._below(name).url

    def check(self) -> None:
        """Fail if nothing can be written here: an upload is begun and given up, so that nobody sees anything."""
        address = self._writable(_CHECKED)
        for _step in self._asked(lambda system: _checked(system, address), address):
            pass

    def begin(self) -> list[str]:
        """Give up what killed tries have left unfinished; return the names that are directly in this folder."""
        folder = self._below("")
        given_up(folder, patience=self._patience(folder), on_wait=self.on_wait)
        return list(self._asked(lambda system: _names(system, folder), folder))

    def put(self, file: BinaryIO, name: str, sha1: str) -> None:
        """Put an open file; one with a slash at the end of its name is an empty folder. See :func:`storing.put.put`."""
        address = self._writable(name)
        put(file, address, {"sha1": sha1}, patience=self._patience(address), on_wait=self.on_wait)

    def is_there(self, name: str) -> bool:
        """Whether there is an object."""
        address = self._below(name)
        return any(self._asked(lambda system: [_is_there(system, address)], address))

    def read(self, name: str, most: int) -> bytes | None:
        """Return what an object has; None where there is none, or one of more than ``most`` bytes."""
        address = self._below(name)
        return next(self._asked(lambda system: iter([_content(system, address, most)]), address))

    def remove(self, names: Iterable[str], kept: Container[str] = ()) -> None:
        """Remove objects, and all that is below their names, but those that are ``kept``."""
        folder = self._below("")
        for name in names:
            address = self._below(name)
            for _step in self._asked(partial(_removed, address, folder, kept), address):
                pass

    def remove_exactly(self, names: Iterable[str]) -> None:
        """Remove objects, none of which need be there; what is below their names stays."""
        addresses = [self._below(name) for name in names]
        for _step in self._asked(partial(_removed_exactly, addresses), self._below("")):
            pass

    def _below(self, name: str) -> StorageAddress:
        key = self.address.key
        return self.address.below(f"{key}/{name}" if key else name)

    def _writable(self, name: str) -> StorageAddress:
        address = self._below(name)
        if reason := key_problem(address.key):
            raise OtherContent(f"{shown(address.url)} can't be written: {reason}.")
        return address

    def _patience(self, address: StorageAddress) -> Patience:
        text = f"{shown(address.url)} was silent for {self.seconds:g} seconds ([cwl] storage_timeout)."
        return Patience(self.seconds, text, Away)

    def _asked(self, ask: Callable[[AbstractFileSystem], Iterable[Item]], address: StorageAddress) -> Iterator[Item]:
        patience = self._patience(address)
        for item in asked(ask, address, patience, self.on_wait, "written"):
            patience.renew()
            yield item


def _checked(system: AbstractFileSystem, address: StorageAddress) -> Iterator[None]:
    if not is_s3(system):
        system.exists(f"{address.root.scheme}://{address.root.bucket}")
        return
    place = {"Bucket": address.root.bucket, "Key": address.key}
    begun = s3_uploads.call(system, "create_multipart_upload", **place)
    yield None
    s3_uploads.call(system, "abort_multipart_upload", **place, UploadId=begun["UploadId"])


def _is_there(system: AbstractFileSystem, address: StorageAddress) -> bool:
    if is_s3(system):
        return s3_uploads.is_there(system, address)
    system.invalidate_cache()
    return bool(system.exists(address.url))


def _content(system: AbstractFileSystem, address: StorageAddress, most: int) -> bytes | None:
    try:
        if is_s3(system):
            head = s3_uploads.call(system, "head_object", Bucket=address.root.bucket, Key=address.key)
            found = StoredObject.of(address, {**head, "size": head["ContentLength"]})
            return s3.part(system, found, 0, found.size) if 0 < found.size <= most else None
        system.invalidate_cache()
        content: bytes = system.cat_file(address.url, start=0, end=most + 1)
    except FileNotFoundError:
        return None
    return content if len(content) <= most else None


def _names(system: AbstractFileSystem, folder: StorageAddress) -> Iterator[str]:
    if is_s3(system):
        yield from s3_uploads.names(system, folder)
        return
    system.invalidate_cache()
    try:
        entries = system.ls(folder.url.rstrip("/"), detail=False)
    except FileNotFoundError:
        return
    for entry in entries:
        yield str(entry).rstrip("/").rpartition("/")[2]


def _removed_exactly(addresses: Sequence[StorageAddress], system: AbstractFileSystem) -> Iterator[None]:
    for start in range(0, len(addresses), _AT_ONCE):
        batch = addresses[start : start + _AT_ONCE]
        if is_s3(system):
            s3_uploads.remove(system, batch[0], [address.key for address in batch])
        else:
            for address in batch:
                with suppress(FileNotFoundError):
                    system.rm_file(address.url)
        yield None


def _removed(
    address: StorageAddress, folder: StorageAddress, kept: Container[str], system: AbstractFileSystem
) -> Iterator[None]:
    if not is_s3(system):
        start = f"{system._strip_protocol(folder.url.rstrip('/'))}/"
        system.invalidate_cache()
        for path in map(str, system.find(address.url)):
            name = path.removeprefix(start)
            if name not in kept and f"{name}/" not in kept:
                system.rm_file(path)
                yield None
        return
    start = folder.key
    keys = (key for key in s3_uploads.keys_of(system, address) if key.removeprefix(start) not in kept)
    while batch := list(islice(keys, _AT_ONCE)):
        s3_uploads.remove(system, address, batch)
        yield None
