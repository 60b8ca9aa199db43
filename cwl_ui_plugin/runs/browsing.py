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
from cwl_ui_plugin.runs.errors import NotFound, Unavailable
from cwl_ui_plugin.runs.inputs import UPLOADS

MOST_ENTRIES = 1000
MOST_SCANNED = 20_000
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


def browse(path: str = "") -> Folder:
    """Return a folder, or the folders that inputs may come from.

    Links that lead out of these folders are not shown, nor what other people sent.

    Raises:
        NotFound: no such folder, or one where inputs may not come from.
        Unavailable: it can't be read.

    """
    roots = _roots()
    if not path:
        return Folder("", (), tuple(_root_entry(root) for root in roots))
    folder, root = _folder(path, roots)
    try:
        names, cut = _names(folder)
        found = sorted(_entries(folder, names, roots), key=lambda entry: (entry.kind != FOLDER, entry.name))
    except OSError as error:
        raise Unavailable(f"The folder {path!r} can't be read: {error.strerror or error}.") from error
    return Folder(
        _job_path(folder), _trail(folder, root), tuple(found[:MOST_ENTRIES]), cut or len(found) > MOST_ENTRIES
    )


def _roots() -> list[Path]:
    """The folders to look in: not that of outputs, where each workflow has its own readers."""
    return [root for root in config.input_roots() if root != config.outputs_folder()]


def _folder(path: str, roots: list[Path]) -> tuple[Path, Path]:
    missing = NotFound(f"There is no folder {path[:200]!r} that inputs may come from.")
    try:
        folder = (config.inputs_folder() / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise missing from None
    root = next((root for root in roots if folder.is_relative_to(root.resolve())), None)
    if root is None or not folder.is_dir() or folder.is_relative_to(_uploads()):
        raise missing
    return folder, root.resolve()


def _names(folder: Path) -> tuple[list[str], bool]:
    """Return the names in a folder, at most :data:`MOST_SCANNED`, and whether it has more."""
    with os.scandir(folder) as found:
        names = [item.name for item in islice(found, MOST_SCANNED)]
        return names, next(found, None) is not None


def _entries(folder: Path, names: list[str], roots: list[Path]) -> Iterator[Entry]:
    resolved = [root.resolve() for root in roots]
    for name in filter(_is_text, names):
        entry = _entry(folder / name, resolved)
        if entry:
            yield entry


def _entry(path: Path, roots: list[Path]) -> Entry | None:
    try:
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(root) for root in roots) or real.is_relative_to(_uploads()):
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


def _uploads() -> Path:
    return (config.inputs_folder() / UPLOADS).resolve()


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
