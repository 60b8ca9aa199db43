"""Reading from object stores: by Airflow's ``ObjectStoragePath`` and the Connection that the site names for a bucket.

Whatever fsspec and the library of a store raise becomes an error of ``errors`` here. Transfers are bounded in bytes
and seconds, and end when the caller says so, even while a store is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.fetching import s3
from cwl_ui_plugin.fetching.checksums import Checksums
from cwl_ui_plugin.fetching.connecting import Deadline
from cwl_ui_plugin.fetching.errors import Away, NotThere, OtherContent, TooMuch
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.fetching.received import receive
from cwl_ui_plugin.fetching.storage_errors import Doing, in_words
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot, key_problem, shown
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.fetching.waiting import Item, awaited

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    Ask = Callable[[AbstractFileSystem], Iterable[Item]]


def find(address: StorageAddress, limits: Limits, on_wait: Callable[[], None]) -> StoredObject:
    """Return what a store says of an object.

    Raises:
        FetchError: there is none, or the store can't be asked.

    """
    (found,) = asked(lambda system: [system.info(address.url)], address, _answer_deadline(address, limits), on_wait)
    if found.get("type") != "file":
        raise NotThere(f"There is no object {shown(address.url)}, only others below it: give a Directory.", 404)
    return StoredObject.of(address, found)


def listed(
    address: StorageAddress, most: int, most_option: str, limits: Limits, on_wait: Callable[[], None]
) -> list[StoredObject]:
    """Return the objects below a key, at most so many.

    Folders that a store keeps by a key with a slash at its end come as such: with that key, and no bytes.

    Raises:
        TooMuch: there are more, of which nothing but the first ones was asked for.
        OtherContent: one of them has a key that is not read.
        FetchError: there are none, or the store can't be asked.

    """
    found: list[StoredObject] = []
    deadline = _answer_deadline(address, limits)
    for item in asked(lambda system: _below(system, address), address, deadline, on_wait):
        if len(found) >= most:
            raise TooMuch(f"There are more than {most} objects below {shown(address.url)} ({most_option}).")
        found.append(item)
    if not found:
        raise NotThere(f"There is nothing below {shown(address.url)}/.", 404)
    return found


def transfer_deadline(address: StorageAddress, limits: Limits) -> Deadline:
    """Return the moment by which an object, or all below a key, must be here."""
    return Deadline(limits.seconds, _late(address, limits))


def fetch_object(
    wanted: StoredObject,
    path: Path,
    limits: Limits,
    deadline: Deadline,
    *,
    checksums: Checksums | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> None:
    """Put an object into a file, which is there whole, as it was found and with the given checksums, or not at all.

    Raises:
        FetchError: in words, see ``errors``; one that has gone meanwhile may be another a moment later.
        OSError: the file can't be written.

    """
    address = wanted.address
    if wanted.size > limits.size:
        raise TooMuch(f"{shown(address.url)} is larger than {limits.size} bytes ({limits.size_option}).")
    chunks = asked(lambda system: _content(system, wanted), address, deadline, on_wait)
    try:
        receive(_whole(chunks, wanted), path, shown(address.url), checksums or {}, lambda _size: None)
    except NotThere as error:
        if error.status == 404:
            raise wanted.changed() from None
        raise


def _content(system: AbstractFileSystem, wanted: StoredObject) -> Iterator[bytes]:
    if is_s3(system):
        yield from s3.content(system, wanted)
        return
    url = wanted.address.url
    begun = system.info(url)
    if wanted.is_other(begun):
        raise wanted.changed()
    with system.open(url, "rb", block_size=s3.CHUNK_BYTES, cache_type="readahead") as file:
        while chunk := file.read(s3.CHUNK_BYTES):
            yield chunk
    system.invalidate_cache()
    if StoredObject.of(wanted.address, begun).is_other(system.info(url)):
        raise wanted.changed()


def _whole(chunks: Iterable[bytes], wanted: StoredObject) -> Iterator[bytes]:
    """Yield what comes, if it is as much as was announced."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > wanted.size:
            raise wanted.changed()
        yield chunk
    if size < wanted.size:
        raise wanted.changed()


def _below(system: AbstractFileSystem, address: StorageAddress) -> Iterator[StoredObject]:
    prefix = f"{address.key}/" if address.key else ""
    entries = s3.keys(system, address.root.bucket, prefix) if is_s3(system) else _walked(system, address)
    for key, details in entries:
        found = StoredObject.of(address.below(key), details)
        _check_listed(found, prefix)
        if key != prefix:  # the folder itself, as some tools keep it
            yield found


def _check_listed(found: StoredObject, prefix: str) -> None:
    """Raise :class:`OtherContent` for a key that no job could name, or that can't become what it says."""
    key = found.address.key
    reason = key_problem(key)
    if not key.startswith(prefix):
        reason = f"the store names it among those that begin with {shown(prefix)}"
    elif key.endswith("/") and found.size:
        reason = "a key with a slash at its end becomes a folder, and this one has bytes"
    if reason:
        raise OtherContent(f"{shown(found.address.url)}: {reason}.")


def is_s3(system: AbstractFileSystem) -> bool:
    """Whether a store speaks S3, of which more is known than of others."""
    return hasattr(system, "call_s3")


def _walked(system: AbstractFileSystem, address: StorageAddress) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield keys folder by folder."""
    folders = [address.key]
    while folders:
        folder = folders.pop()
        for entry in system.ls(address.below(folder).url, detail=True):
            name = str(entry["name"]).removesuffix("/").rpartition("/")[2]
            key = f"{folder}/{name}" if folder else name
            if entry.get("type") == "directory":
                if reason := key_problem(key) or (None if name else "a folder has a name"):
                    raise OtherContent(f"{shown(address.below(key).url)}: {reason}.")
                folders.append(key)
            else:
                yield key, entry


def _late(address: StorageAddress, limits: Limits) -> str:
    return f"{shown(address.url)} did not come within {limits.seconds:g} seconds ({limits.seconds_option})."


def _answer_deadline(address: StorageAddress, limits: Limits) -> Deadline:
    """Return the moment by which a store must have answered; one that is silent may not be so later."""
    return Deadline(limits.seconds, _late(address, limits), Away)


def asked(
    ask: Ask[Item],
    address: StorageAddress,
    deadline: Deadline,
    on_wait: Callable[[], None],
    doing: Doing = "read",
) -> Iterator[Item]:
    """Yield what a store gives; what it raises is told in words, what ``on_wait`` raises is raised as it is.

    ``ask`` works in a thread of its own, which is left when ``on_wait`` raises or the deadline has passed: it is closed
    there once the store lets go of it.

    Airflow's own hook would go on without a login where there is no such Connection.
    """
    from airflow.sdk.definitions.connection import Connection

    if address.root.connection:
        with in_words(address, doing):
            Connection.get(address.root.connection)
    return awaited(_told(ask, address, doing), deadline, on_wait)


def _told(ask: Ask[Item], address: StorageAddress, doing: Doing) -> Iterator[Item]:
    """Yield what a store gives, logging in first, which may take long, too."""
    with in_words(address, doing):
        yield from ask(_system(address.root))


def _system(root: StorageRoot) -> AbstractFileSystem:
    """Return the store that something is in, with the login of its root.

    The Connection is named beside the address: in it, what comes after a ``#`` or ``?`` of its id would be lost.
    """
    from airflow.sdk import ObjectStoragePath

    system: AbstractFileSystem = ObjectStoragePath(f"{root.scheme}://{root.bucket}", conn_id=root.connection).fs
    return system
