"""Putting files into object stores: there whole, and as their checksums say, or not at all.

Errors are those of :mod:`cwl_ui_plugin.fetching.errors`, in words that hold no login.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from cwl_ui_plugin.fetching.checksums import Checksums, Hashing
from cwl_ui_plugin.fetching.errors import Away
from cwl_ui_plugin.fetching.storage import asked, is_s3
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, shown
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.fetching.waiting import Patience
from cwl_ui_plugin.storing import s3_uploads
from cwl_ui_plugin.storing.sources import Source

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def put(
    file: BinaryIO,
    address: StorageAddress,
    checksums: Checksums,
    *,
    patience: Patience,
    on_wait: Callable[[], None] = lambda: None,
) -> StoredObject:
    """Make an open file, from its beginning to its end, an object; return what the store tells of that.

    * ``checksums`` (``{"sha1": "<digits>"}``, at least one) are compared with what is sent before the object is made,
      and kept with it, in S3 as its metadata ``cwl-<algorithm>``. An object that is there with the same size and
      checksums is left as it is, and nothing is sent; any other one is replaced.
    * S3: up to 8 MiB in one request, more in parts (8 MiB, or so much that 10,000 will do) which are held in memory one
      at a time. Each has its MD5, which the store compares; then the store is asked for what it has: size, checksums,
      and its ETag where that is an MD5. Readers see the object when all parts are there. An upload that is broken off
      is given up, also when this raises; what a killed process has left is given up by :func:`given_up`.
    * Other stores: as their library for fsspec writes, compared by size. Nothing is known of what was there.
    * A busy store (HTTP 429, 5xx) is asked again after pauses, some 20 seconds each time. ``patience`` begins anew with
      each part. ``on_wait`` is called at least each half second; what it raises ends it, also while a store is silent.

    The file is read in another thread: it must stay open until this returns, and be used by nobody else meanwhile.

    Raises:
        OtherContent: the file is not what the checksums say, or its key is none that the store takes.
        NotThere: no such bucket; or the login is wrong, or may not write there.
        Away: the store is busy, silent, full, or has something else than what was sent.

    """
    source = Source(file, os.fstat(file.fileno()).st_size, checksums, shown(address.url))

    def steps(system: AbstractFileSystem) -> Iterator[StoredObject | None]:
        return s3_uploads.put(system, source, address) if is_s3(system) else _written(system, source, address)

    stored: StoredObject | None = None
    for step in asked(steps, address, patience, on_wait, "written"):
        patience.renew()
        stored = step
    if stored is None:
        raise Away(f"{shown(address.url)} can't be written now: the store told nothing of it.")
    return stored


def given_up(address: StorageAddress, *, patience: Patience, on_wait: Callable[[], None] = lambda: None) -> int:
    """Give up all unfinished uploads of keys that begin with an address's; return how many there were.

    That ends uploads that are going on, too: only who may alone write there may ask for it. Stores other than S3 keep
    none that are known.

    Raises:
        FetchError: in words, see ``errors``.

    """
    count = 0
    for _upload in asked(
        lambda system: s3_uploads.give_up_all(system, address) if is_s3(system) else iter(()),
        address,
        patience,
        on_wait,
        "written",
    ):
        count += 1
        patience.renew()
    return count


def _written(system: AbstractFileSystem, source: Source, address: StorageAddress) -> Iterator[StoredObject | None]:
    target = system.open(address.url, "wb", block_size=s3_uploads.PART_BYTES)
    try:
        hashing = Hashing(source.checksums)
        for part in source.parts(s3_uploads.PART_BYTES):
            hashing.update(part)
            target.write(part)
            yield None
        hashing.check(source.what)
    except BaseException:
        _discard(target)
        raise
    target.close()
    system.invalidate_cache()
    stored = StoredObject.of(address, system.info(address.url))
    if stored.size != source.size:
        raise Away(f"{source.what} has {stored.size} bytes after {source.size} were written.")
    yield stored


def _discard(target: object) -> None:
    """Give up what is being written; a library would finish it when the object is collected."""
    with suppress(Exception):
        target.discard()  # type: ignore[attr-defined]
    with suppress(AttributeError):
        target.closed = True  # type: ignore[attr-defined]
