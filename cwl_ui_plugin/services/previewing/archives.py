"""What is in a zip or tar archive, without unpacking a file of it."""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import BinaryIO

from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.previewing.models import MAX_CELL, NONE, TABLE, Preview
from cwl_ui_plugin.services.previewing.unpacking import Unpacked, is_gzip

MAX_ENTRIES = 500
MAX_DIRECTORY = 1024 * 1024
"""How much of the list at the end of a zip is read."""
MAX_UNPACKED = 64 * 1024 * 1024
"""How much of a compressed tar archive is unpacked: its list is spread over all of it."""
MAX_HEADERS = 4 * 1024 * 1024
"""How much of a tar archive's headers is read: a name in them may say that it has gigabytes."""
SECONDS = 1.0
_COLUMNS = ("Name", "Size", "Changed")
_END = struct.Struct("<4s4H2IH")  # APPNOTE.TXT 4.3.16
_ENTRY = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_LONGEST_COMMENT = 65_535
_IS_UTF8 = 0x800
_ELSEWHERE = 0xFFFFFFFF


@dataclass(frozen=True)
class _Listed:
    rows: tuple[tuple[str, ...], ...]
    is_part: bool
    problem: str = ""


def zip_preview(file: BinaryIO, size: int) -> Preview:
    """Return what the list at the end of a zip has, its first :data:`MAX_ENTRIES`."""
    return _shown(_zip(file, size), size)


def tar_preview(file: BinaryIO, size: int) -> Preview:
    """Return the first entries of a tar archive, plain or with gzip."""
    return _shown(_tar(file), size)


def _shown(listed: _Listed, size: int) -> Preview:
    kind = TABLE if listed.rows or not listed.problem else NONE
    return Preview(kind, size, columns=_COLUMNS, rows=listed.rows, is_part=listed.is_part, problem=listed.problem)


def _zip(file: BinaryIO, size: int) -> _Listed:
    file.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    tail = file.read(_END.size + _LONGEST_COMMENT)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        return _Listed((), is_part=False, problem="This is no valid zip: it has no list of files at its end.")
    _mark, _disk, _first, _here, count, length, _offset, _comment = _END.unpack_from(tail, at)
    start = size - len(tail) + at - length
    if length == _ELSEWHERE or start < 0:
        return _Listed((), is_part=True, problem="The list of files of this zip is too long to be shown (zip64).")
    file.seek(start)
    rows = tuple(_zip_entries(file.read(min(length, MAX_DIRECTORY))))
    is_whole = len(rows) == count
    wrong = "" if is_whole or len(rows) == MAX_ENTRIES or length > MAX_DIRECTORY else "The list of files is damaged."
    return _Listed(rows, is_part=not is_whole, problem=wrong)


def _zip_entries(content: bytes) -> Iterator[tuple[str, ...]]:
    at = 0
    for _number in range(MAX_ENTRIES):
        if at + _ENTRY.size > len(content):
            return
        fields = _ENTRY.unpack_from(content, at)
        if fields[0] != b"PK\1\2":
            return
        flags, time_of_day, date, size = fields[3], fields[5], fields[6], fields[9]
        name_length, extra, comment = fields[10:13]
        name = content[at + _ENTRY.size : at + _ENTRY.size + name_length]
        text = name.decode("utf-8" if flags & _IS_UTF8 else "cp437", "replace")[:MAX_CELL]
        yield text, "4 GB or more" if size == _ELSEWHERE else bytes_text(size), _dos_time(date, time_of_day)
        at += _ENTRY.size + name_length + extra + comment


def _dos_time(date: int, time_of_day: int) -> str:
    return f"{1980 + (date >> 9)}-{date >> 5 & 15:02}-{date & 31:02} {time_of_day >> 11:02}:{time_of_day >> 5 & 63:02}"


class _Bounded:
    """A plain tar archive whose headers are read, and whose files are passed over."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_HEADERS

    def read(self, size: int) -> bytes:
        content = self._file.read(max(0, min(size, self._left)))
        self._left -= len(content)
        return content

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


class _Stream:
    """A compressed tar archive: to pass over a file is to unpack it, so it ends after some bytes or a second."""

    def __init__(self, file: BinaryIO) -> None:
        self._unpacked = Unpacked(file, MAX_UNPACKED, SECONDS)
        self._left = MAX_UNPACKED

    @property
    def problem(self) -> str:
        return self._unpacked.problem

    @property
    def is_cut(self) -> bool:
        return self._unpacked.is_cut or self._left <= 0

    def read(self, size: int) -> bytes:
        if self.is_cut:
            return b""
        content = self._unpacked.read(min(size, self._left))
        self._left -= len(content)
        return content


def _tar(file: BinaryIO) -> _Listed:
    if is_gzip(file):
        stream = _Stream(file)
        listed = _tar_listed(stream, "r|")
        problem = stream.problem or ("" if stream.is_cut else listed.problem)
        return _Listed(listed.rows, listed.is_part or stream.is_cut, problem)
    return _tar_listed(_Bounded(file), "r:")


def _tar_listed(source: object, mode: str) -> _Listed:
    rows: list[tuple[str, ...]] = []
    try:
        with tarfile.open(fileobj=source, mode=mode) as archive:  # type: ignore[call-overload]
            for member in archive:
                if len(rows) == MAX_ENTRIES:
                    return _Listed(tuple(rows), is_part=True)
                rows.append(_tar_row(member))
    except RecursionError:  # tarfile reads a header within the header that names it
        return _Listed(tuple(rows), is_part=True, problem="An entry of this archive has too many headers to be read.")
    except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError) as error:
        if rows:
            return _Listed(tuple(rows), is_part=True, problem=f"The rest of the archive can't be read: {error}.")
        return _Listed((), is_part=False, problem=f"This is no valid tar archive: {error}.")
    return _Listed(tuple(rows), is_part=False)


def _tar_row(member: tarfile.TarInfo) -> tuple[str, ...]:
    if member.isreg():
        size = bytes_text(member.size)
    elif member.isdir():
        size = "folder"
    else:
        size = f"link to {member.linkname}" if member.linkname else "special file"
    return member.name[:MAX_CELL], size[:MAX_CELL], _changed(member.mtime)


def _changed(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""
