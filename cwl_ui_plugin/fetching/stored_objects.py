"""Objects of stores: their bytes, and what changes when they are written anew."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cwl_ui_plugin.fetching.errors import Away
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, shown

_IDENTITY = ("ETag", "etag", "md5", "content_hash", "mtime", "LastModified", "last_modified", "created")
"""What stores tell of an object that changes with its content; the first of these that one tells counts."""


@dataclass(frozen=True)
class StoredObject:
    """An object of a store: its bytes, what the store tells of it, and what changes when it is written anew."""

    address: StorageAddress
    size: int
    told: Mapping[str, object]
    identity: str

    @classmethod
    def of(cls, address: StorageAddress, details: Mapping[str, Any]) -> StoredObject:
        """Read what a library says of an object; one of which nothing tells whether it changed is always another."""
        told = {name: details[name] for name in _IDENTITY if details.get(name)}
        size = max(0, int(details.get("size") or 0))
        return cls(address, size, told, f"{size} {_text(next(iter(told.values()), uuid.uuid4().hex))}")

    def is_other(self, details: Mapping[str, Any]) -> bool:
        """Whether what a library says now is of other content; False where nothing tells.

        Libraries have moments as numbers in listings, and as dates elsewhere: these are not compared.
        """
        common = next((name for name in self.told if details.get(name)), None)
        if common is None or type(details[common]) is not type(self.told[common]):
            return False
        return _text(details[common]) != _text(self.told[common])

    def changed(self) -> Away:
        """Return the error that says so."""
        return Away(f"{shown(self.address.url)} was changed while it was fetched, or the store told of an earlier one.")


def _text(told: object) -> str:
    """Return what a store tells in one form: ETags have no quotes in some listings."""
    return str(told).removeprefix("W/").strip('"')
