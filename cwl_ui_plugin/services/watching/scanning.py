"""Looking into a watched folder: names that others choose, files that are half copied, links, a share that is away."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cwl_ui_plugin.cwl.jobs.file_sets import Found
from cwl_ui_plugin.opened import FILE, FOLDER, Entry, Place

MAX_ENTRIES = 100_000
"""Names that are looked at in one folder and those in it."""
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".temp", ".swp", "~")
"""How programs that copy or download end the names of files that are not whole yet."""
MAX_REFUSED = 1000


@dataclass
class Scan:
    """What a folder has. ``refused`` is ``{name: why}`` for files that are not used, ``problem`` why nothing was read.

    ``ignored`` counts hidden files and those with names of unfinished ones.
    """

    files: list[Found] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    ignored: int = 0
    problem: str = ""

    def refuse(self, name: str, why: str) -> None:
        """Note a file that is not used."""
        if len(self.refused) < MAX_REFUSED:
            self.refused[shown(name)] = why


def scan(folder: Path, depth: int) -> Scan:
    """Return what is in a folder, and in the folders in it down to a depth; never raises for what others put there."""
    found, seen = Scan(), 0
    try:
        real = folder.resolve(strict=True)
        for path, entry in _entries(Place(real), "", depth, found):
            seen += 1
            if seen > MAX_ENTRIES:
                found.problem = (
                    f"There are more than {MAX_ENTRIES:,} names in the folder, so nothing is started: move away what "
                    "was processed."
                )
                break
            _look_at(real, path, entry, found)
    except FileNotFoundError:
        found.problem = (
            f"The folder {folder} is not there. It is looked for again; nothing that it had is started twice."
        )
    except (OSError, RuntimeError) as error:
        found.problem = f"The folder {folder} can't be read: {getattr(error, 'strerror', None) or error}."
    return found


def shown(name: str) -> str:
    """Return a name that may not be UTF-8 as text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _entries(place: Place, folder: str, depth: int, found: Scan) -> Iterator[tuple[str, Entry]]:
    """Yield what is in a folder, with its path relative to the watched one; what is in folders after them."""
    entries, is_cut = place.entries(folder, MAX_ENTRIES)
    if is_cut:
        entries.append(Entry("", FILE))  # so that there are too many
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.name.startswith(".") or entry.name.lower().endswith(UNFINISHED):
            found.ignored += 1
        elif entry.kind != FOLDER:
            yield path, entry
        elif depth > 0:
            try:
                yield from _entries(place, path, depth - 1, found)
            except OSError as error:
                found.refuse(path, f"The folder can't be read: {error.strerror}.")


def _look_at(folder: Path, path: str, entry: Entry, found: Scan) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return found.refuse(path, "Its name is not UTF-8: rename it.")
    try:
        if entry.kind != FILE and not (folder / path).resolve(strict=True).is_relative_to(folder):
            return found.refuse(path, "It is a link to what lies outside of the folder: put the file itself there.")
        state = (folder / path).stat()
    except FileNotFoundError:  # it went meanwhile, or it is a link to nothing
        return None if entry.kind == FILE else found.refuse(path, "It is a link to a file that is not there.")
    except (OSError, RuntimeError) as error:
        return found.refuse(path, f"It can't be looked at: {getattr(error, 'strerror', None) or error}.")
    if not stat.S_ISREG(state.st_mode):
        return found.refuse(path, "It is no file.")
    if not os.access(folder / path, os.R_OK):
        return found.refuse(path, "The server may not read it: change its rights.")
    found.files.append(Found(path, state.st_size, state.st_mtime_ns))
    return None
