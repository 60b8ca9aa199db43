"""Folders as objects: a list of all that is in them, and the bytes of small files, so that 100,000 are one object.

::

    cwl-folder 1 <bytes of the list>\\n
    {"folders": ["sub", "sub/empty"], "files": [["a.txt", 3, false, ""], ["sub/b.bam", 900000, false, "<digest>"]]}
    <the bytes of all files without a digest, one after the other>

Entries are sorted, so that equal folders are the same object. A file has its path, size, whether it may be executed,
and where it is large, the digest of the object that it is. Bytes of names that are no UTF-8 are as Python has them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cwl_ui_plugin.cwl.jobs.file_objects import name_problem
from cwl_ui_plugin.dags.staging.errors import NotPlain
from cwl_ui_plugin.dags.staging.sources import CHUNK, MayRead, opened

INLINE_BYTES = 64 * 1024
"""Files up to this size are in the folder's own object."""
MAX_LIST = 1 << 30
_START = b"cwl-folder 1 "
_MAX_START = 64
_DEEPEST = 200


@dataclass(frozen=True)
class Entry:
    """A file of a folder; ``digest`` is empty where its bytes are in the folder's object."""

    path: str
    size: int
    is_executable: bool
    digest: str = ""


@dataclass
class Listing:
    """What is in a folder, at any depth: folders before what is in them."""

    folders: list[str] = field(default_factory=list)
    files: list[Entry] = field(default_factory=list)

    def text(self) -> bytes:
        """Return the list as an object has it."""
        entries = [[entry.path, entry.size, entry.is_executable, entry.digest] for entry in self.files]
        content = json.dumps({"folders": self.folders, "files": entries}, separators=(",", ":")).encode()
        return _START + str(len(content)).encode() + b"\n" + content

    @property
    def objects(self) -> set[str]:
        """The digests of the files that are objects of their own."""
        return {entry.digest for entry in self.files if entry.digest}


def walked(
    top: Path, may_read: MayRead, on_wait: Callable[[], None]
) -> Iterator[tuple[str, Path, os.stat_result | None]]:
    """Yield path, place and state of each file in a folder, links followed; of folders in it without a state.

    Raises:
        NotPlain: something is neither a file nor a folder, is a link to nothing, or a folder is in itself.
        OSError: a folder can't be read.

    """
    yield from _below(top, "", (), may_read, on_wait)


def _below(
    folder: Path, within: str, above: tuple[tuple[int, int], ...], may_read: MayRead, on_wait: Callable[[], None]
) -> Iterator[tuple[str, Path, os.stat_result | None]]:
    real = Path(os.path.realpath(folder))
    state = real.stat()
    identity = (state.st_dev, state.st_ino)
    if identity in above or len(above) > _DEEPEST:
        raise NotPlain(f"{within or folder.name} is a link to a folder that it is in itself, or lies too deep")
    if not may_read(real):
        raise NotPlain(f"{within or folder.name} is, or leads to, a folder that this run may not read")
    on_wait()
    with os.scandir(real) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{within}/{entry.name}" if within else entry.name
        try:
            found_state = entry.stat()
        except FileNotFoundError:
            raise NotPlain(f"{name} is a link to what is not there") from None
        if entry.is_dir():
            yield name, Path(entry.path), None
            yield from _below(Path(entry.path), name, (*above, identity), may_read, on_wait)
        else:
            yield name, Path(entry.path), found_state


def write(listing: Listing, top: Path, target: Path, may_read: MayRead, on_wait: Callable[[], None]) -> str:
    """Write the object of a folder to a file; return its SHA-256.

    Raises:
        NotPlain: a file was changed, or may not be read.
        OSError: it can't be read or written.

    """
    digest = hashlib.sha256()
    with target.open("xb") as out:

        def add(content: bytes) -> None:
            digest.update(content)
            out.write(content)

        add(listing.text())
        for entry in listing.files:
            if entry.digest:
                continue
            on_wait()
            with opened(top / entry.path, may_read) as (file, _real):
                content = file.read(INLINE_BYTES + 1)
            if len(content) != entry.size:
                raise NotPlain(
                    f"{entry.path} was changed while it was read: a process of the task may still write to it"
                )
            add(content)
    return digest.hexdigest()


def read(file: BinaryIO) -> Listing:
    """Read the list at the beginning of a folder's object; what follows are the bytes of its small files.

    Raises:
        NotPlain: it is none.

    """
    start = file.readline(_MAX_START)
    try:
        if not start.startswith(_START) or not 0 <= (size := int(start[len(_START) :])) <= MAX_LIST:
            raise ValueError
        found: dict[str, Any] = json.loads(file.read(size))
        listing = Listing(list(found["folders"]), [Entry(*entry) for entry in found["files"]])
        paths = [*listing.folders, *(entry.path for entry in listing.files)]
        if any(name_problem(part) for path in paths for part in path.split("/")):
            raise ValueError
    except (ValueError, TypeError, LookupError):
        raise NotPlain("what is stored of a folder is not what a task has put there") from None
    return listing


def unpack(file: BinaryIO, listing: Listing, top: Path, on_wait: Callable[[], None]) -> None:
    """Make a folder with its folders and small files, from what follows the list."""
    top.mkdir(parents=True)
    for name in listing.folders:
        (top / name).mkdir()
    for entry in listing.files:
        if entry.digest:
            continue
        on_wait()
        mode = 0o755 if entry.is_executable else 0o644
        descriptor = os.open(top / entry.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as out:
            left = entry.size
            while left and (chunk := file.read(min(left, CHUNK))):
                out.write(chunk)
                left -= len(chunk)
        if left:
            raise NotPlain("what is stored of a folder ends too early")
