"""Reading files that may be compressed, without ever unpacking more than was asked for: a gzip file may be a bomb."""

from __future__ import annotations

import math
import re
import time
import zlib
from typing import BinaryIO

from cwl_ui_plugin.opened import size_of
from cwl_ui_plugin.services.previewing.models import TEXT_BYTES, Beginning

GZIP = b"\x1f\x8b"
CHUNK_BYTES = 64 * 1024
MAX_PACKED = 4 * 1024 * 1024
"""How much of a compressed file is read for its beginning: it may be of millions of empty parts."""
_FIRST_BYTES = 256
"""How much of a member is unpacked at once at first; twice as much each time."""
_NO_FILLING = re.compile(rb"[^\0]")
_WITH_HEADER = 31  # zlib's number for: a gzip header, and the largest window


class Unpacked:
    """A gzip file as what is in it (RFC 1952; of many members as bgzip writes them), read from front to back.

    It ends early after ``max_packed`` bytes of the file or ``seconds``, which sets ``is_cut``, and where the file is
    damaged, which sets ``problem``.
    """

    def __init__(self, file: BinaryIO, max_packed: int = MAX_PACKED, seconds: float = math.inf) -> None:
        self.problem = ""
        self.is_cut = False
        self._file = file
        self._left = max_packed
        self._until = time.monotonic() + seconds
        self._member = zlib.decompressobj(_WITH_HEADER)
        self._has_begun = False  # of this member something was read
        self._packed, self._at = b"", 0
        self._step = _FIRST_BYTES
        self._is_over = False

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; fewer only at the end."""
        parts: list[bytes] = []
        while size > 0 and not self._is_over:
            part = self._some(size)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        """Go on by one part of the file; return some bytes, perhaps none."""
        if time.monotonic() > self._until:
            self.is_cut = self._is_over = True
        elif self._member.eof:
            self._next_member()
        elif self._at == len(self._packed):
            self._read_on()
        else:
            return self._unpacked(size)
        return b""

    def _unpacked(self, size: int) -> bytes:
        """Unpack a part of what was read: a small one at first and for few bytes, as zlib copies what it leaves."""
        packed = memoryview(self._packed)[self._at : self._at + min(self._step, max(size, _FIRST_BYTES))]
        try:
            part = self._member.decompress(packed, size)
        except zlib.error as error:
            return self._damaged(str(error))
        left = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        self._at += len(packed) - len(left)
        self._has_begun = True
        self._step = min(2 * self._step, CHUNK_BYTES)
        return part

    def _next_member(self) -> None:
        self._member = zlib.decompressobj(_WITH_HEADER)
        self._has_begun = False
        self._step = _FIRST_BYTES
        self._skip_filling()

    def _skip_filling(self) -> None:
        """Pass over zeros between members: some programs fill the last block of a tape."""
        found = _NO_FILLING.search(self._packed, self._at)
        self._at = found.start() if found else len(self._packed)

    def _read_on(self) -> None:
        self._packed, self._at = self._file.read(max(0, min(CHUNK_BYTES, self._left))), 0
        self._left -= len(self._packed)
        if not self._packed:
            self._end()
        elif not self._has_begun:
            self._skip_filling()

    def _end(self) -> None:
        self._is_over = True
        if self._left <= 0:
            self.is_cut = True
        elif self._has_begun:
            self.problem = "The gzip file ends in the middle: it was not written to its end, or not copied whole."

    def _damaged(self, why: str) -> bytes:
        self._is_over = True
        self.problem = f"The gzip file is damaged, what comes after this can't be read ({why})."
        return b""


def is_gzip(file: BinaryIO) -> bool:
    """Whether an open file begins as a gzip file does; it is at its beginning afterwards."""
    file.seek(0)
    start = file.read(2)
    file.seek(0)
    return start == GZIP


def beginning(file: BinaryIO, limit: int = TEXT_BYTES) -> Beginning:
    """Return the first ``limit`` bytes of what is in an open file."""
    size = size_of(file)
    if not is_gzip(file):
        content = file.read(limit)
        return Beginning(size, content, size > len(content))
    unpacked = Unpacked(file)
    content = unpacked.read(limit + 1)
    is_part = len(content) > limit or unpacked.is_cut or bool(unpacked.problem)
    return Beginning(size, content[:limit], is_part, is_compressed=True, problem=unpacked.problem)
