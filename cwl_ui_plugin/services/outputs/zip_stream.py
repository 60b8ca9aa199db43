"""A zip that is made while it is sent: nothing of it is kept in memory or on the disk."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

CHUNK_BYTES = 256 * 1024
MAX_FILES = 100_000
"""A zip keeps its list of files in memory until its end."""
TOO_MANY = "NOT-EVERYTHING-IS-HERE.txt"
_DATE = (1980, 1, 1, 0, 0, 0)  # the same files make the same zip


def zip_stream(entries: Iterable[tuple[str, Callable[[], BinaryIO]]]) -> Iterator[bytes]:
    """Yield a zip of files, each with its name in it and what opens it; what can't be opened any more is left out.

    Files are stored as they are: outputs are often compressed, and to compress them would take the server's time.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for number, (name, open_file) in enumerate(entries):
            if number == MAX_FILES:
                archive.writestr(zipfile.ZipInfo(TOO_MANY, date_time=_DATE), f"Only the first {MAX_FILES} files.\n")
                break
            try:
                source = open_file()
            except OSError:
                continue
            yield from _add(archive, pipe, _writable(name), source)
    yield pipe.take()


def _add(archive: zipfile.ZipFile, pipe: _Pipe, name: str, source: BinaryIO) -> Iterator[bytes]:
    with source:
        info = zipfile.ZipInfo(name, date_time=_DATE)
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        with archive.open(info, "w", force_zip64=True) as target:
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)
                yield pipe.take()


def _writable(name: str) -> str:
    """Return a file's name as a zip can hold it: names on the disk need not be Unicode."""
    return name.encode("utf-8", "replace").decode()


class _Pipe(io.RawIOBase):
    """What has been written since it was last taken; it can't seek, so the zip is written from front to back."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data
