"""Looking for input files on the server: only in the folders that inputs may come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.fetching.storage_roots import is_stored
from cwl_ui_plugin.services.errors import NotFound, Unavailable
from cwl_ui_plugin.services.inputs import stored_browsing
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.inputs.entries import FOLDER, Entry, Folder, file_entry, in_order, matcher

MAX_ENTRIES = 1000
MAX_SCANNED = 20_000
"""How many entries of a folder are looked at: a folder may have millions."""


def browse(access: InputAccess, path: str = "", match: str = "", after: str = "") -> Folder:
    """Return a folder, or the folders and places of stores that everybody's inputs may come from.

    Only what ``access`` allows is shown, with links resolved: nothing that other people sent, no outputs of others.
    ``match`` has patterns of names, separated by spaces (``*_R1.fastq.gz *.fq``); a word without ``*``, ``?`` or ``[``
    may stand anywhere in a name. Upper and lower case are the same. Folders are shown whatever they are called. For a
    store :mod:`stored_browsing` says what differs; it goes on ``after`` the page that had this.

    Raises:
        BadRequest: too many or too long patterns.
        NotFound: no such folder, or one where inputs may not come from.
        Unavailable: it can't be read.

    """
    if is_stored(path):
        return stored_browsing.browse(path, match, after)
    matches = matcher(match)
    if not path:
        return Folder("", (), (*map(_root_entry, config.input_roots()), *stored_browsing.root_entries()))
    folder, root = _folder(path, access)
    try:
        names, cut = _names(folder)
        entries = sorted(_entries(folder, names, access), key=in_order)
    except OSError as error:
        raise Unavailable(f"The folder {path!r} can't be read: {error.strerror or error}.") from error
    found = [entry for entry in entries if entry.kind == FOLDER or matches(entry.name)]
    return Folder(
        _job_path(folder),
        _trail(folder, root),
        tuple(found[:MAX_ENTRIES]),
        truncated=cut or len(found) > MAX_ENTRIES,
        hidden=len(entries) - len(found),
    )


def _folder(path: str, access: InputAccess) -> tuple[Path, Path]:
    """Return a folder without links, and the root that it is in."""
    missing = NotFound(f"There is no folder {path[:200]!r} that inputs may come from.")
    try:
        folder = (config.inputs_folder() / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise missing from None
    root = access.root_of(folder)
    if root is None or not folder.is_dir():
        raise missing
    return folder, root


def _names(folder: Path) -> tuple[list[str], bool]:
    """Return the names in a folder, at most :data:`MAX_SCANNED`, and whether it has more."""
    with os.scandir(folder) as found:
        names = [item.name for item in islice(found, MAX_SCANNED)]
        return names, next(found, None) is not None


def _entries(folder: Path, names: list[str], access: InputAccess) -> Iterator[Entry]:
    for name in filter(_is_text, names):
        entry = _entry(folder / name, access)
        if entry:
            yield entry


def _entry(path: Path, access: InputAccess) -> Entry | None:
    try:
        real = path.resolve(strict=True)
        if access.root_of(real) is None:
            return None
        if real.is_dir():
            return Entry(path.name, _job_path(path), FOLDER)
        if not real.is_file():
            return None
        found = real.stat()
        modified = datetime.fromtimestamp(found.st_mtime, timezone.utc)
    except (OSError, RuntimeError, OverflowError, ValueError):
        return None
    return file_entry(path.name, _job_path(path), found.st_size, modified)


def _root_entry(root: Path) -> Entry:
    return Entry("Inputs" if root == config.inputs_folder() else str(root), str(root), FOLDER)


def _trail(folder: Path, root: Path) -> tuple[Entry, ...]:
    inner = [folder, *folder.parents]
    below = [path for path in inner if path != root and path.is_relative_to(root)]
    return (_root_entry(root), *(Entry(path.name, _job_path(path), FOLDER) for path in reversed(below)))


def _job_path(path: Path) -> str:
    """Return what a job calls a path: relative to the folder for inputs where it lies in there."""
    base = config.inputs_folder()
    return str(path.relative_to(base)) if path.is_relative_to(base) and path != base else str(path)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
