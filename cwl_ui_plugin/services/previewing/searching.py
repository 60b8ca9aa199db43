"""Looking for words in a file that is too long to be shown: line by line, as far as a request may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cwl_ui_plugin.services.previewing.unpacking import Unpacked, is_gzip

MAX_BYTES = 256 * 1024 * 1024
SECONDS = 2.0
MAX_FOUND = 200
MAX_LINE = 1000
MAX_WORDS = 200
_CHUNK_BYTES = 256 * 1024
_AROUND = 300


@dataclass(frozen=True)
class Found:
    """Lines with what was looked for, numbered from 1; ``searched`` bytes were looked at, ``is_all`` if all were."""

    lines: tuple[tuple[int, str], ...]
    searched: int
    is_all: bool
    problem: str = ""


def search(file: BinaryIO, words: str) -> Found:
    """Return the lines of an open file that have these words, in small letters or capitals (of ASCII)."""
    wanted = words[:MAX_WORDS].encode("utf-8", "replace").lower()
    unpacked = Unpacked(file, MAX_BYTES, SECONDS) if is_gzip(file) else None
    source: BinaryIO | Unpacked = unpacked or file
    reader = _Chunks(source)
    lines: list[tuple[int, str]] = []
    first, rest = 1, b""
    for chunk in reader:
        body, newline, rest = (rest + chunk).rpartition(b"\n")
        if not newline and len(rest) > _CHUNK_BYTES:  # a line without an end
            body, rest = rest, b""
        lines += _lines(body, wanted, first)
        first += body.count(b"\n") + len(newline)
        if len(lines) >= MAX_FOUND:
            break
    if reader.is_at_end and wanted in rest.lower():
        lines.append((first, _around(rest, wanted)))
    is_all = reader.is_at_end and len(lines) <= MAX_FOUND and not (unpacked and unpacked.is_cut)
    return Found(tuple(lines[:MAX_FOUND]), reader.count, is_all, unpacked.problem if unpacked else "")


class _Chunks:
    """The parts of a file, until its end, or until it has been enough."""

    def __init__(self, source: BinaryIO | Unpacked) -> None:
        self.count = 0
        self.is_at_end = False
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        until = time.monotonic() + SECONDS
        while self.count < MAX_BYTES and time.monotonic() < until:
            chunk = self._source.read(_CHUNK_BYTES)
            if not chunk:
                self.is_at_end = True
                return
            self.count += len(chunk)
            yield chunk


def _lines(body: bytes, wanted: bytes, first: int) -> list[tuple[int, str]]:
    if wanted not in body.lower():
        return []
    numbered = enumerate(body.split(b"\n"), start=first)
    return [(number, _around(line, wanted)) for number, line in numbered if wanted in line.lower()]


def _around(line: bytes, wanted: bytes) -> str:
    """Return a line; of a long one what is around the words."""
    if len(line) <= MAX_LINE:
        return line.decode("utf-8", "replace").rstrip("\r")
    at = max(0, line.lower().find(wanted) - _AROUND)
    return "…" + line[at : at + 2 * _AROUND].decode("utf-8", "replace") + "…"
