"""Looking into a store from a server that others wait for: a page of a folder at a time, within a few seconds.

Stores are opened anew each time, as Airflow keeps those that it has opened, with the Connections of then; and no more
than a few questions are asked of a bucket at a time, so that one that is silent takes no more threads than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.fetching import s3
from cwl_ui_plugin.fetching.connecting import Deadline
from cwl_ui_plugin.fetching.errors import Away
from cwl_ui_plugin.fetching.storage_errors import SERVER, in_words
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot, shown
from cwl_ui_plugin.fetching.waiting import Item, awaited

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SECONDS = 15.0
"""How long a store may take to answer."""
AT_ONCE = 4
"""Questions that a bucket is asked at a time by a process, those included that nobody waits for any more."""
READ_AT_ONCE = 12
"""The same for what users have sent to them: some of the threads of a server must be left for others."""
_WAIT_SECONDS = 5.0
_MOST_ENTRIES = 20_000
"""How much of a folder is looked at in stores that give no pages."""
_QUICK: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 1}}
_slots: dict[tuple[str, str, int], threading.BoundedSemaphore] = {}
_slots_lock = threading.Lock()


@dataclass(frozen=True)
class Listed:
    """A key, or with a slash at its end what several keys begin with."""

    key: str
    is_folder: bool
    size: int | None = None
    modified: datetime | None = None


@dataclass(frozen=True)
class Page:
    """Some entries of a folder; ``after`` asks for the next ones, and is empty at the end."""

    entries: tuple[Listed, ...]
    after: str = ""


def page_of(folder: StorageAddress, start: str, after: str, most: int) -> Page:
    """Return what is directly below a key and begins with ``start``: at most so many, those behind ``after``.

    Raises:
        FetchError: the store can't be asked, does not answer in :data:`SECONDS`, or is asked too much just now.

    """
    return answer(folder, lambda system: read_page(system, folder, (after, most), start))


def read_page(system: AbstractFileSystem, folder: StorageAddress, part: tuple[str, int], start: str = "") -> Page:
    """Return a page from an open store; ``part`` is what it comes behind, and how many entries it may have."""
    prefix = f"{folder.key}/" if folder.key else ""
    after, most = part
    if hasattr(system, "call_s3"):
        found, following = s3.folder_page(system, folder.root.bucket, prefix, start, part)
        return Page(tuple(_of_s3(item) for item in found if item.get("Key") != prefix), following)
    system.invalidate_cache()
    entries = sorted(
        (_of_fsspec(prefix, item) for item in islice(system.ls(folder.url, detail=True), _MOST_ENTRIES)),
        key=lambda entry: entry.key,
    )
    found_now = [item for item in entries if item.key.startswith(prefix + start) and item.key > after]
    page = tuple(found_now[:most])
    return Page(page, page[-1].key if len(found_now) > most else "")


def _of_s3(item: Mapping[str, Any]) -> Listed:
    if "Prefix" in item:
        return Listed(str(item["Prefix"]), is_folder=True)
    return Listed(str(item["Key"]), False, int(item["Size"]), _moment(item.get("LastModified")))


def _of_fsspec(prefix: str, item: Mapping[str, Any]) -> Listed:
    name = str(item["name"]).removesuffix("/").rpartition("/")[2]
    if item.get("type") == "directory":
        return Listed(f"{prefix}{name}/", is_folder=True)
    told = (_moment(item.get(name)) for name in ("LastModified", "last_modified", "updated", "mtime", "created"))
    return Listed(prefix + name, False, int(item.get("size") or 0), next(filter(None, told), None))


def _moment(told: object) -> datetime | None:
    if isinstance(told, datetime):
        return told if told.tzinfo else told.replace(tzinfo=timezone.utc)
    return None


def answer(
    address: StorageAddress, ask: Callable[[AbstractFileSystem], Item], opened: list[AbstractFileSystem] | None = None
) -> Item:
    """Return what a store answers; the thread that waits for it gives its place back when the store lets go of it.

    ``opened`` is what whoever asks several times has of it: the store, once it was opened. They wait for a place.

    Raises:
        FetchError: the store can't be asked, does not answer in :data:`SECONDS`, or is asked too much just now.

    """
    place = shown(address.url)
    slots = _slots_of(address.root, AT_ONCE if opened is None else READ_AT_ONCE)
    if not slots.acquire(timeout=0 if opened is None else _WAIT_SECONDS):
        raise Away(f"The store of {place} is slow: too many others wait for it already. Try again in a minute.")

    def answers() -> Iterator[Item]:
        try:
            with in_words(address, asker=SERVER):
                result = ask(_kept(address.root, opened))
        finally:
            slots.release()
        yield result

    late = f"The store of {place} did not answer within {SECONDS:g} seconds. Try again later, or write the address."
    (found,) = awaited(answers(), Deadline(SECONDS, late, Away), lambda: None)
    return found


def _slots_of(root: StorageRoot, at_once: int) -> threading.BoundedSemaphore:
    with _slots_lock:
        return _slots.setdefault((root.scheme, root.bucket, at_once), threading.BoundedSemaphore(at_once))


def _kept(root: StorageRoot, opened: list[AbstractFileSystem] | None) -> AbstractFileSystem:
    if opened is None:
        return _opened(root)
    if not opened:
        opened.append(_opened(root))
    return opened[0]


def _opened(root: StorageRoot) -> AbstractFileSystem:
    """Open a store with the Connection as it is now."""
    from airflow.sdk.definitions.connection import Connection
    from airflow.sdk.io.fs import get_fs

    if root.connection:
        Connection.get(root.connection)  # Airflow's own hook would go on without a login where there is none
    system = get_fs(root.scheme, root.connection, dict(_QUICK) if root.scheme.startswith("s3") else None)
    if hasattr(system, "call_s3"):
        type(system).clear_instance_cache()  # fsspec would keep each of them for ever
        system.retries = 1
    return system
