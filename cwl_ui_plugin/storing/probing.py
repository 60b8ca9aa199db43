"""Whether places of object stores that the site names can be used as they have to be: looked into, and written to."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cwl_ui_plugin.fetching import pages, site
from cwl_ui_plugin.fetching.quick_answers import LOOKING, WRITING, answered
from cwl_ui_plugin.fetching.storage import is_s3
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PROBE = ".cwl-ui-plugin-probe-"
"""What the name of the object begins with that is written to see whether one can be; it is removed at once."""


@dataclass(frozen=True)
class Place:
    """A place of a store, and whether the plugin writes there. ``root.option`` is where the site names it."""

    root: StorageRoot
    is_written: bool


def places() -> Iterator[Place]:
    """Yield the places of object stores that the options of ``[cwl]`` name; raise :class:`ConfigError`."""
    yield from (Place(root, is_written=False) for root in site.storage_rules().roots)
    written = (*site.destinations(), site.uploads_root(), site.intermediate_root(), site.workflows_root())
    yield from (Place(root, is_written=True) for root in written if root is not None)


def look(place: Place, seconds: float) -> None:
    """Ask for one name; raise :class:`FetchError`, in words, where that is not told in time."""
    folder = StorageAddress(place.root, place.root.prefix.removesuffix("/"))
    answered(folder, lambda system: pages.read_page(system, folder, ("", 1)), LOOKING, seconds=seconds)


def write(place: Place, seconds: float) -> None:
    """Write an object and remove it; raise :class:`FetchError`, in words, where that can't be done in time."""
    address = StorageAddress(place.root, f"{place.root.prefix}{PROBE}{uuid.uuid4().hex}")
    answered(address, lambda system: _written(system, address), WRITING, seconds=seconds)


def _written(system: AbstractFileSystem, address: StorageAddress) -> None:
    if is_s3(system):
        place = {"Bucket": address.root.bucket, "Key": address.key}
        system.call_s3("put_object", **place, Body=b"")
        system.call_s3("delete_object", **place)
    else:
        system.pipe_file(address.url, b"")
        system.rm_file(address.url)
