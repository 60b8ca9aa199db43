"""The header and the first alignments of BAM files, read as the SAM specification says (SAMv1, section 4.2).

No program is run on a file that somebody else wrote: what is read here is small, and so is what it may cost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from cwl_ui_plugin.services.previewing.models import MAX_CELL, TABLE, Preview
from cwl_ui_plugin.services.previewing.tables import MAX_HEADER, SAM
from cwl_ui_plugin.services.previewing.unpacking import Unpacked

MAX_ALIGNMENTS = 50
MAX_REFERENCES = 100_000
MAX_NAME = 1000
MAX_RECORD = 256 * 1024
MAX_TEXT = 16 * 1024 * 1024
_MAGIC = b"BAM\1"
_FIXED = struct.Struct("<iiBBHHHiiii")
_BASES = "=ACMGRSVTWYHKDBN"
_OPERATIONS = "MIDNSHP=X"
_SHOWN = SAM[:10]


class _Wrong(Exception):
    """What is wrong with a file; its text is for people."""


def bam_preview(file: BinaryIO, size: int) -> Preview:
    """Return the header and the first alignments of a BAM file."""
    unpacked = Unpacked(file)
    header, names = "", list[str]()
    rows: list[tuple[str, ...]] = []
    problem, has_more = "", False
    try:
        header = _header(unpacked)
        names = list(_references(unpacked))
        for row in _alignments(unpacked, names):
            if len(rows) == MAX_ALIGNMENTS:
                has_more = True
                break
            rows.append(row)
    except _Wrong as wrong:
        problem = unpacked.problem or f"This is no valid BAM: {wrong}"
    facts = (("Reference sequences", f"{len(names):,}"),) if names else ()
    return Preview(
        TABLE,
        size,
        columns=_SHOWN,
        rows=tuple(rows),
        header=header,
        facts=facts,
        problem=problem,
        is_part=has_more or bool(problem),
        is_compressed=True,
    )


def _header(unpacked: Unpacked) -> str:
    if unpacked.read(4) != _MAGIC:
        raise _Wrong("it does not begin as one.")
    length = _number(unpacked)
    if not 0 <= length <= MAX_TEXT:
        raise _Wrong(f"its header has {length} bytes.")
    text = _bytes(unpacked, min(length, MAX_HEADER))
    left = length - len(text)
    while left:
        left -= len(_bytes(unpacked, min(left, MAX_HEADER)))
    return text.rstrip(b"\0").decode("utf-8", "replace")


def _references(unpacked: Unpacked) -> Iterator[str]:
    count = _number(unpacked)
    if not 0 <= count <= MAX_REFERENCES:
        raise _Wrong(f"it has {count} reference sequences; at most {MAX_REFERENCES} are read.")
    for _place in range(count):
        length = _number(unpacked)
        if not 1 <= length <= MAX_NAME:
            raise _Wrong(f"the name of a reference sequence has {length} bytes.")
        yield _text(_bytes(unpacked, length))
        _number(unpacked)


def _alignments(unpacked: Unpacked, names: list[str]) -> Iterator[tuple[str, ...]]:
    while start := unpacked.read(4):
        if len(start) < 4:
            raise _Wrong("it ends within an alignment.")
        (length,) = struct.unpack("<i", start)
        if not _FIXED.size <= length <= MAX_RECORD:
            raise _Wrong(f"an alignment has {length} bytes; at most {MAX_RECORD} are read.")
        yield _alignment(_bytes(unpacked, length), names)
    if unpacked.problem:
        raise _Wrong("it is damaged.")


def _alignment(record: bytes, names: list[str]) -> tuple[str, ...]:
    reference, place, name_length, quality, _bin, operations, flags, bases, mate, mate_place, span = _FIXED.unpack_from(
        record
    )
    cigar_at = _FIXED.size + name_length
    bases_at = cigar_at + 4 * operations
    if bases < 0 or bases_at + (bases + 1) // 2 > len(record):
        raise _Wrong("an alignment is shorter than it says.")
    cigar = struct.unpack_from(f"<{operations}I", record, cigar_at)
    return (
        _text(record[_FIXED.size : cigar_at]),
        str(flags),
        _named(names, reference),
        str(place + 1),
        str(quality),
        "".join(f"{item >> 4}{_OPERATIONS[min(item & 15, 8)]}" for item in cigar)[:MAX_CELL] or "*",
        "=" if mate == reference and mate >= 0 else _named(names, mate),
        str(mate_place + 1),
        str(span),
        _sequence(record[bases_at : bases_at + MAX_CELL // 2], min(bases, MAX_CELL)) or "*",
    )


def _sequence(packed: bytes, length: int) -> str:
    return "".join(_BASES[byte >> 4] + _BASES[byte & 15] for byte in packed)[:length]


def _named(names: list[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else "*"


def _number(unpacked: Unpacked) -> int:
    return int(struct.unpack("<i", _bytes(unpacked, 4))[0])


def _bytes(unpacked: Unpacked, length: int) -> bytes:
    content = unpacked.read(length)
    if len(content) < length:
        raise _Wrong("it ends too early." if not unpacked.is_cut else "its header is too long to be shown.")
    return content


def _text(content: bytes) -> str:
    return content.rstrip(b"\0").decode("utf-8", "replace")
