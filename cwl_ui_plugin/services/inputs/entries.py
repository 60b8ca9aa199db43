"""What the chooser of input files shows of a folder, on a disk or in a store, and which names a filter lets through."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import translate

from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest

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
    """A file or folder; ``path`` is what a job calls it, ``modified`` when it was written, where that is known."""

    name: str
    path: str
    kind: str
    size: int | None = None
    size_text: str = ""
    modified: str = ""


@dataclass(frozen=True)
class Folder:
    """What is in a folder, and the folders that lead to it; ``path`` is empty for the list of allowed folders."""

    path: str
    trail: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    truncated: bool = False
    hidden: int = 0
    """How many files of the folder do not match what was asked for."""
    unusable: int = 0
    """How many objects of a store have keys that no job can name."""
    after: str = ""
    """What asks for the next entries of a store; empty where there are no more."""

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


def file_entry(name: str, path: str, size: int, modified: datetime | None) -> Entry:
    """Return the entry of a file."""
    moment = modified.isoformat(timespec="seconds") if modified else ""
    return Entry(name, path, FILE, size, bytes_text(size), moment)


def matcher(match: str, *, anywhere: bool = True) -> Callable[[str], bool]:
    """Return what tells whether a name fits one of some patterns; words stand ``anywhere`` in it, or begin it.

    Raises:
        BadRequest: too many or too long patterns.

    """
    patterns = match.lower().split()
    if len(match) > MAX_MATCH or len(patterns) > MAX_PATTERNS or any(text.count("*") > MAX_STARS for text in patterns):
        raise BadRequest(f"Give at most {MAX_PATTERNS} patterns of names, with {MAX_STARS} stars each.")
    before = "*" if anywhere else ""
    known = [re.compile(translate(text if _WILD.search(text) else f"{before}{text}*")).match for text in patterns]
    return lambda name: not known or any(fits(name.lower()) for fits in known)


def common_start(match: str) -> str:
    """Return what all names begin with that a filter lets through, where words begin them."""
    patterns = match.split()
    return _WILD.split(patterns[0], maxsplit=1)[0] if len(patterns) == 1 else ""


def in_order(entry: Entry) -> tuple[bool, list[str | int], str]:
    """Return what entries are sorted by: folders first, `s2` before `s10`.

    Texts and numbers take turns, beginning with a text.
    """
    parts = _NUMBER.split(entry.name.lower())
    natural = [int(part) if index % 2 else part for index, part in enumerate(parts)]
    return entry.kind != FOLDER, natural, entry.name
