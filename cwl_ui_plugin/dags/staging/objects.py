"""The objects of ``[cwl] intermediate_storage``: bytes under keys. Transfers end when a run is stopped."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cwl_ui_plugin import config
from cwl_ui_plugin.fetching import s3, storage
from cwl_ui_plugin.fetching.errors import Away, NotThere
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot, shown
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.fetching.waiting import Patience

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

OPTION = "[cwl] fetch_input_timeout"
SILENT_OPTION = "[cwl] storage_timeout"
Wait = Callable[[], None]


class Objects:
    """What is below a place of a store. All methods raise :class:`fetching.errors.FetchError`, in words."""

    def __init__(self, root: StorageRoot) -> None:
        self._root = root
        self._seconds = config.number("fetch_input_timeout")
        self._silent = config.number("storage_timeout")

    def address(self, key: str) -> StorageAddress:
        """Return where something is."""
        return StorageAddress(self._root, f"{self._root.prefix}{key}")

    def put(self, key: str, file: BinaryIO, digest: str, on_wait: Wait) -> StoredObject:
        """Have an object be there with the content of a file; nothing is sent where it is there already.

        What the store says to have is believed only with the size and the checksum that it was put with.
        """
        from cwl_ui_plugin.storing.put import put

        address = self.address(key)
        return put(file, address, {"sha256": digest}, patience=self._patience(address), on_wait=on_wait)

    def put_text(self, key: str, content: bytes, on_wait: Wait) -> StoredObject:
        """Write a small object anew."""
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            return self.put(key, file, hashlib.sha256(content).hexdigest(), on_wait)

    def fetch(self, key: str, size: int, digest: str, path: Path, on_wait: Wait) -> None:
        """Put an object into a file: whole and with this checksum, or not at all."""
        address = self.address(key)
        wanted = StoredObject.of(address, {"size": size})
        limits = Limits(size, OPTION, self._seconds, OPTION)
        deadline = storage.transfer_deadline(address, limits)
        try:
            storage.fetch_object(wanted, path, limits, deadline, checksums={"sha256": digest}, on_wait=on_wait)
        except Away:
            if self.written(key, on_wait) is None:
                raise NotThere(f"There is no {shown(address.url)} any more.", 404) from None
            raise

    def read(self, key: str, most: int, on_wait: Wait) -> bytes | None:
        """Return the beginning of an object; None where there is none."""
        address = self.address(key)

        def content(system: AbstractFileSystem) -> Iterator[bytes]:
            with system.open(address.url, "rb", cache_type="none") as file:
                yield file.read(most)

        try:
            (found,) = storage.asked(content, address, self._patience(address), on_wait)
        except NotThere as error:
            if error.status == 404:
                return None
            raise
        return found

    def written(self, key: str, on_wait: Wait) -> datetime | None:
        """Return when an object was written, by the clock of the store; None where there is none."""
        address = self.address(key)
        limits = Limits(0, OPTION, self._silent, SILENT_OPTION)
        try:
            return written(storage.find(address, limits, on_wait))
        except NotThere as error:
            if error.status == 404:
                return None
            raise

    def listed(self, prefix: str, on_wait: Wait) -> Iterator[tuple[str, datetime]]:
        """Yield the keys that begin with a prefix, and when they were written, page by page."""
        address, start = self.address(prefix), len(self._root.prefix)

        def keys(system: AbstractFileSystem) -> Iterator[tuple[str, datetime]]:
            if storage.is_s3(system):
                for key, told in s3.keys(system, self._root.bucket, address.key):
                    yield key[start:], _moment(told.get("LastModified"))
                return
            system.invalidate_cache()
            for path, told in system.find(address.url, detail=True).items():
                key = str(path).partition(f"{self._root.bucket}/")[2]
                yield key[start:], _moment(told.get("LastModified") or told.get("mtime") or told.get("created"))

        patience = self._patience(address)
        for found in storage.asked(keys, address, patience, on_wait):
            patience.renew()
            yield found

    def remove(self, keys: Iterable[str], on_wait: Wait) -> None:
        """Remove objects; one that is gone is no error."""
        for address in map(self.address, keys):

            def gone(system: AbstractFileSystem, address: StorageAddress = address) -> Iterator[None]:
                if storage.is_s3(system):  # not many at once: stores differ in the checksum that they ask for
                    system.call_s3("delete_object", Bucket=self._root.bucket, Key=address.key)
                else:
                    with suppress(FileNotFoundError):
                        system.rm_file(address.url)
                yield None

            list(storage.asked(gone, address, self._patience(address), on_wait, "written"))

    def touch(self, key: str, on_wait: Wait) -> None:
        """Have an object be as if it was written now; nothing where a store has no way to do that."""
        from cwl_ui_plugin.storing import s3_uploads

        address = self.address(key)

        def anew(system: AbstractFileSystem) -> Iterator[None]:
            if storage.is_s3(system):
                yield from s3_uploads.touch(system, address)

        patience = self._patience(address)
        for _copied in storage.asked(anew, address, patience, on_wait, "written"):
            patience.renew()

    def _patience(self, address: StorageAddress) -> Patience:
        late = f"{shown(address.url)} did not answer within {self._silent:g} seconds ({SILENT_OPTION})."
        return Patience(self._silent, late)


def written(found: StoredObject) -> datetime:
    """Return when an object was written, by the clock of its store."""
    told = found.told
    return _moment(told.get("LastModified") or told.get("mtime") or told.get("created"))


def _moment(told: object) -> datetime:
    """Return a moment as libraries have them; what none tells was written now: nothing of it is removed."""
    if isinstance(told, datetime):
        return told if told.tzinfo else told.replace(tzinfo=timezone.utc)
    if isinstance(told, (int, float)):
        return datetime.fromtimestamp(told, timezone.utc)
    return datetime.now(timezone.utc)
