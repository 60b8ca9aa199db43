"""Looking for input files on the server: only in the folders that inputs may come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.config import bytes_text
from cwl_ui_plugin.services.errors import NotFound, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess

MAX_ENTRIES = 1000
MAX_SCANNED = 20_000
"""How many entries of a folder are looked at: a folder may have millions."""
FOLDER = "folder"
FILE = "file"


@dataclass(frozen=True)
class Entry:
    """A file or folder; ``path`` is what a job calls it."""

    name: str
    path: str
    kind: str
    size: int | None = None
    size_text: str = ""


@dataclass(frozen=True)
class Folder:
    """What is in a folder, and the folders that lead to it; ``path`` is empty for the list of allowed folders."""

    path: str
    trail: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    truncated: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for an API's answer."""
        return asdict(self)


def browse(access: InputAccess, path: str = "") -> Folder:
    """Return a folder, or the folders that everybody's inputs may come from.

    Only what ``access`` allows is shown, with links resolved: nothing that other people sent, no outputs of others.

    Raises:
        NotFound: no such folder, or one where inputs may not come from.
        Unavailable: it can't be read.

    """
    if not path:
        return Folder("", (), tuple(_root_entry(root) for root in config.input_roots()))
    folder, root = _folder(path, access)
    try:
        names, cut = _names(folder)
        found = sorted(_entries(folder, names, access), key=lambda entry: (entry.kind != FOLDER, entry.name))
    except OSError as error:
        raise Unavailable(f"The folder {path!r} can't be read: {error.strerror or error}.") from error
    return Folder(_job_path(folder), _trail(folder, root), tuple(found[:MAX_ENTRIES]), cut or len(found) > MAX_ENTRIES)


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
        size = real.stat().st_size
    except (OSError, RuntimeError):
        return None
    return Entry(path.name, _job_path(path), FILE, size, bytes_text(size))


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
