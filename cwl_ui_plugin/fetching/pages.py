"""Looking into a store from a server that others wait for: a page of a folder at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.fetching import s3
from cwl_ui_plugin.fetching.quick_answers import LOOKING, answered
from cwl_ui_plugin.fetching.storage_roots import StorageAddress

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_MOST_ENTRIES = 20_000
"""How much of a folder is looked at in stores that give no pages."""


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
        FetchError: the store can't be asked, does not answer in time, or is asked too much just now.

    """
    return answered(folder, lambda system: read_page(system, folder, (after, most), start), LOOKING)


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
