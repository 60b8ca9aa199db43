"""Looking for input files on the server: only in the folders that inputs may come from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fnmatch import translate
from itertools import islice
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.config import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, NotFound, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess

MAX_ENTRIES = 1000
MAX_SCANNED = 20_000
"""How many entries of a folder are looked at: a folder may have millions."""
MAX_MATCH = 500
MAX_PATTERNS = 40
MAX_STARS = 8
"""In one pattern: each one more multiplies the time that a long name can take."""
FOLDER = "folder"
FILE = "file"
_NUMBER = re.compile(r"([0-9]{1,18})")
_WILD = re.compile(r"[*?\[]")


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
    hidden: int = 0
    """How many files of the folder do not match what was asked for."""

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


def browse(access: InputAccess, path: str = "", match: str = "") -> Folder:
    """Return a folder, or the folders that everybody's inputs may come from.

    Only what ``access`` allows is shown, with links resolved: nothing that other people sent, no outputs of others.
    ``match`` has patterns of names, separated by spaces (``*_R1.fastq.gz *.fq``); a word without ``*``, ``?`` or ``[``
    may stand anywhere in a name. Upper and lower case are the same. Folders are shown whatever they are called.

    Raises:
        BadRequest: too many or too long patterns.
        NotFound: no such folder, or one where inputs may not come from.
        Unavailable: it can't be read.

    """
    matches = _matcher(match)
    if not path:
        return Folder("", (), tuple(_root_entry(root) for root in config.input_roots()))
    folder, root = _folder(path, access)
    try:
        names, cut = _names(folder)
        entries = sorted(
            _entries(folder, names, access), key=lambda entry: (entry.kind != FOLDER, _natural(entry.name))
        )
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


def _matcher(match: str) -> Callable[[str], bool]:
    patterns = match.lower().split()
    if len(match) > MAX_MATCH or len(patterns) > MAX_PATTERNS or any(text.count("*") > MAX_STARS for text in patterns):
        raise BadRequest(f"Give at most {MAX_PATTERNS} patterns of names, with {MAX_STARS} stars each.")
    known = [re.compile(translate(text if _WILD.search(text) else f"*{text}*")).match for text in patterns]
    return lambda name: not known or any(fits(name.lower()) for fits in known)


def _natural(name: str) -> tuple[list[str | int], str]:
    """Return what names are sorted by: `s2` before `s10`; texts and numbers take turns, beginning with a text."""
    parts = _NUMBER.split(name.lower())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


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
