"""Reading from object stores: by Airflow's ``ObjectStoragePath`` and the Connection that the site names for a bucket.

Whatever fsspec and the library of a store raise becomes an error of ``errors`` here. Transfers are bounded in bytes
and seconds, and end when the caller says so, even while a store is silent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.fetching.checksums import Checksums
from cwl_ui_plugin.fetching.connecting import Deadline
from cwl_ui_plugin.fetching.errors import Away, FetchError, NotThere, TooMuch
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.fetching.received import receive
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, shown
from cwl_ui_plugin.fetching.waiting import Item, awaited

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CHUNK_BYTES = 8 * 1024 * 1024
"""What is asked of a store at a time."""
_IDENTITY = ("ETag", "etag", "md5", "content_hash", "mtime", "LastModified", "last_modified", "created")
"""What stores tell of an object that changes with its content; the first of these that one tells is taken."""
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class StoredObject:
    """An object of a store: its bytes, and what changes when it is written anew."""

    address: StorageAddress
    size: int
    identity: str


def find(address: StorageAddress, limits: Limits, on_wait: Callable[[], None]) -> StoredObject:
    """Return what a store says of an object.

    Raises:
        FetchError: there is none, or the store can't be asked.

    """
    system = _system(address)
    (found,) = _asked((system.info(address.url) for _once in range(1)), address, limits, on_wait)
    if found.get("type") != "file":
        raise NotThere(f"There is no object {shown(address.url)}, only others below it: give a Directory.", 404)
    return _object(address, found)


def listed(
    address: StorageAddress, most: int, most_option: str, limits: Limits, on_wait: Callable[[], None]
) -> list[StoredObject]:
    """Return the objects below a key, at most so many.

    Folders that a store keeps by a key with a slash at its end come as such: with that key, and no bytes.

    Raises:
        TooMuch: there are more, of which nothing but the first ones was asked for.
        FetchError: there are none, or the store can't be asked.

    """
    found: list[StoredObject] = []
    for item in _asked(_below(_system(address), address), address, limits, on_wait):
        if len(found) >= most:
            raise TooMuch(f"There are more than {most} objects below {shown(address.url)} ({most_option}).")
        found.append(item)
    if not found:
        raise NotThere(f"There is nothing below {shown(address.url)}/.", 404)
    return found


def fetch_object(
    wanted: StoredObject,
    path: Path,
    limits: Limits,
    *,
    checksums: Checksums | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> None:
    """Put an object into a file, which is there whole, as it was found and with the given checksums, or not at all.

    Raises:
        FetchError: in words, see ``errors``.
        OSError: the file can't be written.

    """
    address = wanted.address
    if wanted.size > limits.size:
        raise TooMuch(f"{shown(address.url)} is larger than {limits.size} bytes ({limits.size_option}).")
    chunks = _asked(_content(_system(address), wanted), address, limits, on_wait)
    receive(_whole(chunks, wanted), path, shown(address.url), checksums or {}, lambda _size: None)


def _content(system: AbstractFileSystem, wanted: StoredObject) -> Iterator[bytes]:
    with system.open(wanted.address.url, "rb", block_size=CHUNK_BYTES, cache_type="readahead") as file:
        details = getattr(file, "details", None)
        if isinstance(details, Mapping) and _etag(details) and _etag(details) not in wanted.identity:
            raise _changed(wanted)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _whole(chunks: Iterable[bytes], wanted: StoredObject) -> Iterator[bytes]:
    """Yield what comes, if it is as much as was announced."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > wanted.size:
            raise _changed(wanted)
        yield chunk
    if size < wanted.size:
        raise _changed(wanted)


def _changed(wanted: StoredObject) -> Away:
    return Away(f"{shown(wanted.address.url)} was changed while it was fetched, or the store told of an earlier one.")


def _below(system: AbstractFileSystem, address: StorageAddress) -> Iterator[StoredObject]:
    prefix = f"{address.key}/" if address.key else ""
    entries = _s3_keys(system, address, prefix) if hasattr(system, "call_s3") else _walked(system, address)
    for key, details in entries:
        if key != prefix:  # the folder itself, as some tools keep it
            yield _object(address.below(key), details)


def _s3_keys(
    system: AbstractFileSystem, address: StorageAddress, prefix: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield keys as they are, page by page: s3fs itself lists all before it returns, and changes odd ones."""
    following: dict[str, str] = {}
    while True:
        page = system.call_s3("list_objects_v2", Bucket=address.root.bucket, Prefix=prefix, MaxKeys=1000, **following)
        for entry in page.get("Contents", ()):
            yield str(entry["Key"]), {"size": entry["Size"], "ETag": entry.get("ETag")}
        if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
            return
        following = {"ContinuationToken": page["NextContinuationToken"]}


def _walked(system: AbstractFileSystem, address: StorageAddress) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield keys folder by folder."""
    folders = [address.key]
    while folders:
        folder = folders.pop()
        for entry in system.ls(address.below(folder).url, detail=True):
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            key = f"{folder}/{name}" if folder else name
            if entry.get("type") == "directory":
                folders.append(key)
            else:
                yield key, entry


def _object(address: StorageAddress, details: Mapping[str, Any]) -> StoredObject:
    told = next((str(details[name]) for name in _IDENTITY if details.get(name)), uuid.uuid4().hex)
    size = int(details.get("size") or 0)
    return StoredObject(address, size, f"{size} {told}")


def _etag(details: Mapping[str, Any]) -> str:
    return str(details.get("ETag") or details.get("etag") or "")


def _asked(
    items: Iterable[Item], address: StorageAddress, limits: Limits, on_wait: Callable[[], None]
) -> Iterator[Item]:
    """Yield what a store gives; what it raises is told in words, what ``on_wait`` raises is raised as it is."""
    late = f"{shown(address.url)} did not come within {limits.seconds:g} seconds ({limits.seconds_option})."
    return awaited(_told(items, address), Deadline(limits.seconds, late), on_wait)


def _told(items: Iterable[Item], address: StorageAddress) -> Iterator[Item]:
    with _in_words(address):
        yield from items


def _system(address: StorageAddress) -> AbstractFileSystem:
    """Return the store that something is in, with the login of its root.

    Airflow's own hook would go on without a login where there is no such Connection.
    """
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.definitions.connection import Connection

    root = address.root
    with _in_words(address):
        if root.connection:
            Connection.get(root.connection)
        login = f"{root.connection}@" if root.connection else ""
        system: AbstractFileSystem = ObjectStoragePath(f"{root.scheme}://{login}{root.bucket}").fs
    return system


@contextmanager
def _in_words(address: StorageAddress) -> Iterator[None]:
    place = shown(address.url)
    try:
        yield
    except FetchError:
        raise
    except FileNotFoundError as error:
        raise NotThere(f"There is no {place}, or no such bucket.", 404) from error
    except PermissionError as error:
        raise NotThere(
            f"The store does not give {place} to this site: the login of the Connection that [cwl] storage_roots names "
            "for it is wrong, or may not read it.",
            403,
        ) from error
    except ImportError as error:
        raise NotThere(
            f"{place} can't be read: what speaks {address.root.scheme}:// is not installed on the worker (for s3: "
            "pip install 'cwl-ui-plugin[s3]').",
            501,
        ) from error
    except Exception as error:
        raise _trouble(address, error) from error


def _trouble(address: StorageAddress, error: Exception) -> FetchError:
    from airflow.sdk.exceptions import AirflowNotFoundException

    place = shown(address.url)
    if isinstance(error, AirflowNotFoundException):
        return Away(f"{place} can't be read now: the Connection that [cwl] storage_roots names for it is not there.")
    if isinstance(error, ValueError) and "filesystem" in str(error):
        return NotThere(
            f"{place} can't be read: no provider of Airflow that speaks {address.root.scheme}:// is installed on the "
            "worker (for s3: pip install 'cwl-ui-plugin[s3]').",
            501,
        )
    reason = str(error)[:_SHOWN_CHARACTERS] or type(error).__name__
    return Away(f"{place} can't be had now: {reason}.")
