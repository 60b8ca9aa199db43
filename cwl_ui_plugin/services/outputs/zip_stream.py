"""A zip that is made while it is sent: of a million files as little is kept in memory as of one.

The format is that of PKWARE's APPNOTE 6.3.9: files are stored as they are, their checksums and sizes follow them, and
the list of all files at the end is collected in a temporary file. All sizes are written with 64 bits.
"""

from __future__ import annotations

import stat
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

CHUNK_BYTES = 256 * 1024
MAX_FILES = 1_000_000
JOINED_BYTES = 64 * 1024
SPOOLED_BYTES = 4 * 1024 * 1024
"""A list of files that is longer goes to the disk."""
TOO_MANY = "NOT-EVERYTHING-IS-HERE.txt"
_VERSION = 45
"""What is needed to read sizes of 64 bits."""
_UNIX = 3
_SIZES_FOLLOW, _UTF_8 = 0x08, 0x800
_TIME, _DATE = 0, 1 << 5 | 1  # the first of January 1980: the same files make the same zip
_LONG, _SHORT = 0xFFFFFFFF, 0xFFFF
"""What stands for a number that is written elsewhere, with 64 bits."""
_LOCAL = struct.Struct("<4s5H3L2H")
_DESCRIPTOR = struct.Struct("<4sLQQ")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL_SIZES = struct.Struct("<2H2Q")
_CENTRAL_SIZES = struct.Struct("<2H3Q")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")


def zip_stream(entries: Iterable[tuple[str, Callable[[], BinaryIO]]]) -> Iterator[bytes]:
    """Yield a zip of files, each with its name in it and what opens it; what can't be opened any more is left out.

    Files are stored as they are: outputs are often compressed, and to compress them would take the server's time.
    """
    parts: list[bytes] = []
    size = 0
    for part in _parts(entries):
        parts.append(part)
        size += len(part)
        if size >= JOINED_BYTES:  # sending takes longer for each part than to make a small file's
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)


def _parts(entries: Iterable[tuple[str, Callable[[], BinaryIO]]]) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as listed:
        archive = _Archive(listed)
        for number, (name, open_file) in enumerate(entries):
            if number == MAX_FILES:
                yield from archive.add(TOO_MANY, BytesIO(f"Only the first {MAX_FILES} files.\n".encode()))
                break
            try:
                source = open_file()
            except OSError:
                continue
            yield from archive.add(_writable(name), source)
        yield from archive.end()


class _Archive:
    """A zip as far as it was made; ``listed`` takes the list of its files."""

    def __init__(self, listed: tempfile.SpooledTemporaryFile[bytes]) -> None:
        self._listed = listed
        self._count = 0
        self._offset = 0

    def add(self, name: str, source: BinaryIO) -> Iterator[bytes]:
        """Yield a file."""
        encoded = name.encode()
        flags = _SIZES_FOLLOW | (0 if name.isascii() else _UTF_8)
        sizes = _LOCAL_SIZES.pack(1, 16, 0, 0)
        about = (_VERSION, flags, 0, _TIME, _DATE, 0, _LONG, _LONG, len(encoded), len(sizes))
        header = _LOCAL.pack(b"PK\3\4", *about) + encoded + sizes
        yield header
        checksum, size = 0, 0
        with source:
            while chunk := source.read(CHUNK_BYTES):
                checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
                yield chunk
        yield _DESCRIPTOR.pack(b"PK\7\x08", checksum, size, size)
        self._list(encoded, flags, checksum, size)
        self._offset += len(header) + size + _DESCRIPTOR.size

    def end(self) -> Iterator[bytes]:
        """Yield the list of the files, and where it is."""
        length = self._listed.tell()
        self._listed.seek(0)
        while chunk := self._listed.read(CHUNK_BYTES):
            yield chunk
        count, after = self._count, self._offset + length
        yield _END_64.pack(b"PK\6\6", _END_64.size - 12, _VERSION, _VERSION, 0, 0, count, count, length, self._offset)
        yield _LOCATOR_64.pack(b"PK\6\7", 0, after, 1)
        yield _END.pack(b"PK\5\6", 0, 0, _SHORT, _SHORT, _LONG, _LONG, 0)

    def _list(self, name: bytes, flags: int, checksum: int, size: int) -> None:
        made_by, rights = _UNIX << 8 | _VERSION, (stat.S_IFREG | 0o644) << 16
        sizes = _CENTRAL_SIZES.pack(1, 24, size, size, self._offset)
        about = (made_by, _VERSION, flags, 0, _TIME, _DATE, checksum, _LONG, _LONG, len(name), len(sizes))
        self._listed.write(_CENTRAL.pack(b"PK\1\2", *about, 0, 0, 0, rights, _LONG) + name + sizes)
        self._count += 1


def _writable(name: str) -> str:
    """Return a file's name as a zip can hold it: names on the disk need not be Unicode."""
    return name.encode("utf-8", "replace").decode()
