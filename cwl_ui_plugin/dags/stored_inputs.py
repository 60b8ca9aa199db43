"""Inputs in object stores (``[cwl] storage_roots``): files by their key, folders by what all their keys begin with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cwl_ui_plugin.cwl.jobs.file_objects import name_problem
from cwl_ui_plugin.fetching.errors import OtherContent, TooMuch
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.fetching.storage_roots import shown

if TYPE_CHECKING:
    from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRules
    from cwl_ui_plugin.fetching.stored_objects import StoredObject

_NAMELESS = "download"
_FILES_OPTION = "[cwl] max_fetched_files"
LEFT = "what is left of [cwl] max_fetched_size for this run"


class Wanted(Protocol):
    """What a job has by an address; what has one ``key`` is the same and is fetched once."""

    @property
    def key(self) -> str:
        """64 hexadecimal digits."""

    def fetch(self, folder: Path, most: int, check_stopped: Callable[[], None]) -> None:
        """Put it into an empty folder, by its name, if it has at most so many bytes."""


@dataclass(frozen=True)
class StoredFile:
    """One object."""

    key: str
    found: StoredObject
    expected: Mapping[str, str]

    def fetch(self, folder: Path, most: int, check_stopped: Callable[[], None]) -> None:
        """Put it into a folder."""
        from cwl_ui_plugin.fetching.storage import fetch_object, transfer_deadline

        address, limits = self.found.address, bounded(most)
        target, deadline = folder / plain_name(address.key.rpartition("/")[2]), transfer_deadline(address, limits)
        fetch_object(self.found, target, limits, deadline, checksums=self.expected, on_wait=check_stopped)


@dataclass(frozen=True)
class StoredFolder:
    """All objects below a key; ``paths`` are the files and folders that they become, relative to it."""

    key: str
    address: StorageAddress
    objects: Sequence[StoredObject]
    paths: Sequence[str]

    def fetch(self, folder: Path, most: int, check_stopped: Callable[[], None]) -> None:
        """Put them into a folder; the time for one input is that for all of them."""
        from cwl_ui_plugin.fetching.storage import fetch_object, transfer_deadline

        if sum(found.size for found in self.objects) > most:
            raise TooMuch(f"The objects below {shown(self.address.url)} have more than {most} bytes together ({LEFT}).")
        limits = bounded(most)
        deadline = transfer_deadline(self.address, limits)
        top = folder / plain_name(self.address.key.rpartition("/")[2] or self.address.root.bucket)
        top.mkdir()
        for found, path in zip(self.objects, self.paths, strict=True):
            target = top / path
            if path.endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():  # on a disk that takes capitals for small letters
                raise OtherContent(f"{shown(found.address.url)} and another key become one file on this disk.")
            fetch_object(found, target, limits, deadline, on_wait=check_stopped)


def bounded(most: int) -> Limits:
    """Return the bounds of one file, if all that a run may still fetch are so many bytes."""
    from cwl_ui_plugin.fetching import site

    limits = site.input_limits()
    return replace(limits, size=most, size_option=LEFT) if most < limits.size else limits


def plain_name(name: str) -> str:
    """Return a name for a file, where what it is called elsewhere can be none."""
    return _NAMELESS if name_problem(name) else name


def stored_file(
    location: str,
    expected: Mapping[str, str],
    address_key: str,
    rules: StorageRules,
    check_stopped: Callable[[], None],
) -> StoredFile:
    """Ask a store for an object.

    Raises:
        FetchError: the site does not allow it, or it is not there.

    """
    from cwl_ui_plugin.fetching import site
    from cwl_ui_plugin.fetching.storage import find

    found = find(rules.address(location), site.document_limits(), check_stopped)
    return StoredFile(_key(address_key, [found.identity, expected]), found, expected)


def stored_folder(
    location: str, address_key: str, most: int, rules: StorageRules, check_stopped: Callable[[], None]
) -> StoredFolder:
    """Ask a store for at most so many objects below a key.

    Raises:
        FetchError: the site does not allow it, there are none or more, or they can't lie in folders.

    """
    from cwl_ui_plugin.fetching import site
    from cwl_ui_plugin.fetching.storage import listed

    address = rules.address(location, is_folder=True)
    objects = listed(address, most, _FILES_OPTION, site.document_limits(), check_stopped)
    start = len(address.key) + 1 if address.key else 0
    paths = [found.address.key[start:] for found in objects]
    check_paths(paths, address.url)
    named = [(path, found.identity) for path, found in zip(paths, objects, strict=True)]
    return StoredFolder(_key(address_key, named), address, objects, paths)


def check_paths(paths: Sequence[str], url: str) -> None:
    """Raise :class:`OtherContent` for keys that can't be files beside each other; a store takes more than a disk.

    ``paths`` are relative to the folder with the address ``url``; those of folders end with a slash.
    """
    files = {path for path in paths if not path.endswith("/")}
    for path in paths:
        parts = path.removesuffix("/").split("/")
        for part in parts:
            if reason := name_problem(part):
                raise OtherContent(f"{shown(f'{url}/{path}')} can't lie in a folder: {reason}.")
        for end in range(1, len(parts) + path.endswith("/")):
            if "/".join(parts[:end]) in files:
                raise OtherContent(
                    f"{shown(url)} can't be made a folder: {shown('/'.join(parts[:end]))} in it is a file, and there "
                    "are objects below it."
                )


def _key(address_key: str, content: object) -> str:
    """Return the key of an address with what lies there; its beginning tells the address alone."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return address_key + digest[: len(digest) - len(address_key)]
