"""Looking for input files in the places of object stores that inputs may come from, a page at a time.

A store is asked for names that begin with something; all else of a filter is looked for in what it answers. Its folders
are what keys have in common up to a slash: with a slash at the end they are told from files, also where they have no
name (``a//b``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.fetching.errors import FetchError, HostNotAllowed, NotThere, OtherContent
from cwl_ui_plugin.fetching.site import storage_rules
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot, key_problem
from cwl_ui_plugin.services.errors import BadRequest, NotFound, Unavailable
from cwl_ui_plugin.services.inputs.entries import FOLDER, Entry, Folder, common_start, file_entry, in_order, matcher

if TYPE_CHECKING:
    from cwl_ui_plugin.fetching.pages import Listed

PAGE_ENTRIES = 500
MAX_TOKEN = 4096
PAGES_LOOKED_AT = 10
"""For a filter that nothing fits so far."""
LOOK_SECONDS = 5.0
"""After which no further page is asked for."""


def root_entries() -> Iterator[Entry]:
    """Yield the places of stores that everybody's inputs may come from."""
    try:
        roots = storage_rules().roots
    except ConfigError:
        return  # each look into one of them tells
    yield from map(_root_entry, roots)


def browse(location: str, match: str, after: str) -> Folder:
    """Return a page of a folder of a store: the first one, or the one that the page before names by its ``after``.

    Words of ``match`` begin names, and the whole listing is never read: a page may have nothing that fits, and there
    may be more. A filter of one word, or what stands in one pattern before its first ``*``, ``?`` or ``[``, is asked of
    the store, which tells capitals from small letters, for files and folders.

    Raises:
        BadRequest: too many or too long patterns, or no such page.
        NotFound: no such place, or one where inputs may not come from.
        Unavailable: the store can't be asked, or does not answer in time.

    """
    if len(after) > MAX_TOKEN:
        raise BadRequest("There is no such page of a folder.")
    fits = matcher(match, anywhere=False)
    try:
        rules = storage_rules()
        folder = rules.address(location, is_folder=True, whole=False)
        return _looked(folder, rules.hides, fits, (common_start(match), after))
    except (HostNotAllowed, NotThere, OtherContent) as error:
        raise NotFound(str(error)) from error
    except FetchError as error:
        raise Unavailable(str(error)) from error


def _looked(
    folder: StorageAddress,
    hides: Callable[[StorageAddress], bool],
    fits_name: Callable[[str], bool],
    part: tuple[str, str],
) -> Folder:
    """Return the first page in which something fits, looking at some more where nothing does."""
    from cwl_ui_plugin.fetching import pages

    start, after = part
    until, hidden, unusable = time.monotonic() + LOOK_SECONDS, 0, 0
    for _page in range(PAGES_LOOKED_AT):
        page = pages.page_of(folder, start, after, PAGE_ENTRIES)
        shown = [item for item in page.entries if not hides(folder.below(item.key))]
        usable = [entry for item in shown if (entry := _entry(folder, item)) is not None]
        entries = sorted((entry for entry in usable if entry.kind == FOLDER or fits_name(entry.name)), key=in_order)
        hidden, unusable = hidden + len(usable) - len(entries), unusable + len(shown) - len(usable)
        after = page.after
        if entries or not after or time.monotonic() > until:
            break
    return Folder(_url(folder), _trail(folder), tuple(entries), False, hidden, unusable, after)


def _entry(folder: StorageAddress, item: Listed) -> Entry | None:
    """Return an entry; None for a key that no job can name, or no field of a form can hold."""
    name = item.key.removesuffix("/") if item.is_folder else item.key
    name = name[len(folder.key) + 1 if folder.key else 0 :]
    if key_problem(item.key) or not name.isprintable() or (item.key.endswith("/") and not item.is_folder):
        return None
    path = folder.below(item.key).url
    return Entry(name, path, FOLDER) if item.is_folder else file_entry(name, path, item.size or 0, item.modified)


def _root_entry(root: StorageRoot) -> Entry:
    address = StorageAddress(root, root.prefix).url
    return Entry(address, address, FOLDER)


def _trail(folder: StorageAddress) -> tuple[Entry, ...]:
    root, entries = folder.root, []
    below = f"{folder.key}/"[len(root.prefix) :] if folder.key else ""
    key = root.prefix
    for part in below.split("/")[:-1]:
        key += f"{part}/"
        entries.append(Entry(part, StorageAddress(root, key).url, FOLDER))
    return (_root_entry(root), *entries)


def _url(folder: StorageAddress) -> str:
    return folder.below(f"{folder.key}/" if folder.key else "").url
