"""What is asked of the bucket of workflows: each question is bounded in time and size, and told in words if it fails.

A bucket that has failed is left alone for a while by those who only look.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from cwl_ui_plugin.fetching import s3, site
from cwl_ui_plugin.fetching.errors import Away, FetchError
from cwl_ui_plugin.fetching.quick_answers import READING, SECONDS, WRITING, Questions, answered
from cwl_ui_plugin.fetching.storage_errors import status_of
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.library.errors import DamagedArchive, StoreAway
from cwl_ui_plugin.library.shared.index import Archive, Index
from cwl_ui_plugin.storing import s3_uploads
from cwl_ui_plugin.storing.sources import Source

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LEFT_ALONE_SECONDS = 30.0
MAX_INDEX_BYTES = 256 * 1024 * 1024
MAX_SMALL_BYTES = 64 * 1024 * 1024
_INDEX = "index.json"
_TRIES = 5
_OTHER_NOW = (409, 412)
"""Statuses that say that a condition does not hold."""
_NO_CONDITIONS = 501
Answer = TypeVar("Answer")
_failed: dict[StorageRoot, tuple[float, str]] = {}
"""When a bucket has failed last, and how."""


class OtherIndexError(Exception):
    """The index is another one by now than the one that was read."""


class Bucket:
    """The place of ``[cwl] workflows_storage``. Its methods raise :class:`StoreAway` where it does not do as asked."""

    def __init__(self, root: StorageRoot) -> None:
        self.root = root

    def etag(self) -> str | None:
        """Return what changes with the index; None where there is none."""
        found = self._ask(_INDEX, _head)
        return None if found is None else str(found.told.get("ETag") or found.identity)

    def index(self, *, is_wanted: bool = False) -> tuple[Index, str] | None:
        """Return the index, with what changes when it does; None where there is none.

        ``is_wanted`` by somebody who changes it: the bucket is asked though it has failed a short time ago.
        """
        questions = WRITING if is_wanted else READING
        found = self._ask(_INDEX, lambda system, address: _object(system, address, MAX_INDEX_BYTES), questions)
        if found is None:
            return None
        content, told = found
        return Index.from_json(content), told

    def put_index(self, index: Index, instead_of: str | None) -> str:
        """Replace the index that was read, or make the first one; return what changes with it.

        Raises:
            OtherIndexError: another one is there by now; this one is not written.

        """
        content = index.to_json().encode()
        condition = {"IfMatch": instead_of} if instead_of else {"IfNoneMatch": "*"}
        told = self._ask(_INDEX, partial(_put_if, content=content, condition=condition), WRITING)
        if told is None:
            raise OtherIndexError
        return told

    def put_archive(self, dag_id: str, file: BinaryIO) -> Archive:
        """Put an archive of a version, unless it is there; it is whole, and as its checksum says, when this returns."""
        digest, size = hashlib.sha256(), 0
        file.seek(0)
        while part := file.read(s3.CHUNK_BYTES):
            digest.update(part)
            size += len(part)
        archive = Archive(digest.hexdigest(), size)
        key = archive_name(dag_id, archive)
        source = Source(file, size, {"sha256": archive.sha256}, f"the version of {dag_id!r}")
        self._ask(key, partial(_put_source, source=source), WRITING, _patience())
        return archive

    def archive(self, dag_id: str, archive: Archive, target: BinaryIO) -> None:
        """Write an archive into a file.

        Raises:
            DamagedArchive: it is gone, or is another one than the index names.

        """
        digest = hashlib.sha256()

        def fetch(system: AbstractFileSystem, address: StorageAddress) -> bool:
            target.seek(0)
            target.truncate()
            for part in s3.content(system, StoredObject.of(address, {"size": archive.size})):
                digest.update(part)
                target.write(part)
            return True

        key = archive_name(dag_id, archive)
        found = self._ask(key, lambda system, address: _or_none(partial(fetch, system, address)), READING, _patience())
        if not found or digest.hexdigest() != archive.sha256:
            what = "is another one than its index says" if found else "is not there"
            raise DamagedArchive(f"A version of {dag_id!r} in the bucket of workflows {what}.")
        target.seek(0)

    def put_small(self, name: str, content: bytes) -> None:
        """Put what is named by its content."""
        self._ask(name, partial(_put_if, content=content, condition={}), WRITING)

    def small(self, name: str, digest: str) -> bytes | None:
        """Return what is named by its content; None where there is none, or it is another."""
        found = self._ask(name, lambda system, address: _object(system, address, MAX_SMALL_BYTES))
        if found is None or not hashlib.sha256(found[0]).hexdigest().startswith(digest):
            return None
        return found[0]

    def listed(self, folder: str) -> list[tuple[str, float]]:
        """Return the names below a folder, with when each was written (seconds since 1970)."""
        prefix = f"{self.root.prefix}{folder}/"

        def ask(system: AbstractFileSystem, address: StorageAddress) -> list[tuple[str, float]]:
            return [
                (key[len(self.root.prefix) :], _moment(told.get("LastModified")))
                for key, told in s3.keys(system, address.root.bucket, prefix)
                if key.startswith(prefix)
            ]

        return self._ask(folder, ask, READING, _patience())

    def remove(self, names: list[str]) -> None:
        """Remove what no index names any more."""
        for start in range(0, len(names), _AT_ONCE):
            keys = [f"{self.root.prefix}{name}" for name in names[start : start + _AT_ONCE]]
            self._ask("", lambda system, address, keys=keys: s3_uploads.remove(system, address, keys), WRITING)  # type: ignore[misc]

    def is_left_alone(self) -> bool:
        """Whether it has failed a short time ago."""
        failed = _failed.get(self.root)
        return failed is not None and time.monotonic() - failed[0] < LEFT_ALONE_SECONDS

    def _ask(
        self,
        name: str,
        ask: Callable[[AbstractFileSystem, StorageAddress], Answer],
        questions: Questions = READING,
        seconds: float | None = None,
    ) -> Answer:
        if questions is READING and self.is_left_alone():
            raise StoreAway(_failed[self.root][1])
        address = StorageAddress(self.root, f"{self.root.prefix}{name}")
        try:
            answer = answered(address, lambda system: ask(system, address), questions, seconds=seconds or SECONDS)
        except FetchError as error:
            message = f"The bucket of workflows: {error}"
            if questions is READING and name == _INDEX:
                _failed[self.root] = time.monotonic(), message
            raise StoreAway(message) from error
        _failed.pop(self.root, None)
        return answer


_AT_ONCE = 1000
"""Keys that a store removes at a time."""


def archive_name(dag_id: str, archive: Archive) -> str:
    """Return the name of an archive."""
    return f"versions/{dag_id}/{archive.sha256}.tar.gz"


def _patience() -> float:
    return max(SECONDS, site.storage_seconds())


def _or_none(ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except FileNotFoundError:
        return None


def _head(system: AbstractFileSystem, address: StorageAddress) -> StoredObject | None:
    found = _or_none(lambda: system.call_s3("head_object", Bucket=address.root.bucket, Key=address.key))
    return None if found is None else StoredObject.of(address, {**found, "size": found.get("ContentLength")})


def _object(system: AbstractFileSystem, address: StorageAddress, most: int) -> tuple[bytes, str] | None:
    """Return an object of at most so many bytes, with its ETag; one that is replaced just then is looked for again."""
    for left in reversed(range(_TRIES)):
        found = _head(system, address)
        if found is None:
            return None
        if found.size > most:
            raise ValueError(f"it has {found.size} bytes, more than {most}")
        try:
            return b"".join(s3.content(system, found)), str(found.told.get("ETag") or found.identity)
        except (Away, FileNotFoundError):
            if not left:
                raise
    return None


def _put_if(
    system: AbstractFileSystem, address: StorageAddress, *, content: bytes, condition: dict[str, str]
) -> str | None:
    """Put an object; return its ETag, None where the condition does not hold."""
    md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    place = {"Bucket": address.root.bucket, "Key": address.key}
    put = partial(s3_uploads.call, system, "put_object", **place, Body=content, ContentMD5=md5)
    try:
        answer = put(**condition)
    except OSError as error:
        status = status_of(error)
        if condition and (status in _OTHER_NOW or ("IfMatch" in condition and isinstance(error, FileNotFoundError))):
            return None
        if not condition or status != _NO_CONDITIONS:
            raise
        answer = put()  # the store has no such condition; who writes has the lock of Airflow's database
    return str(answer.get("ETag") or "")


def _put_source(system: AbstractFileSystem, address: StorageAddress, *, source: Source) -> bool:
    for _step in s3_uploads.put(system, source, address):
        pass
    return True


def _moment(told: object) -> float:
    return told.timestamp() if isinstance(told, datetime) else time.time()
