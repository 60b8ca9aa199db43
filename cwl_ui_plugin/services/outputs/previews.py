"""What a page can show of an output file: its kind, and of texts and tables the beginning."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

TEXT_BYTES = 128 * 1024
MAX_ROWS = 200
MAX_COLUMNS = 50
MAX_CELL = 500
MAX_SHOWN = 64 * 1024 * 1024
"""Pictures and documents beyond that are only for download."""
TEXT, TABLE, JSON, IMAGE, PDF, HTML, NONE = "text", "table", "json", "image", "pdf", "html", "none"
IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
MEDIA_TYPES = {**IMAGES, ".pdf": "application/pdf", ".html": "text/html", ".htm": "text/html", ".xhtml": "text/html"}
"""Of what a browser may show itself; everything else is sent as bytes or as plain text."""
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".bed": "\t", ".gff": "\t", ".gtf": "\t", ".vcf": "\t"}


@dataclass(frozen=True)
class Preview:
    """What to show; ``is_part`` tells that the file is longer. ``rows`` are those of a table."""

    kind: str
    size: int
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    is_part: bool = False


def preview(file: BinaryIO, name: str) -> Preview:
    """Return what can be shown of an open file of that name."""
    size, suffix = os.fstat(file.fileno()).st_size, PurePosixPath(name).suffix.lower()
    if suffix in MEDIA_TYPES:
        kind = IMAGE if suffix in IMAGES else PDF if suffix == ".pdf" else HTML
        return Preview(kind if size <= MAX_SHOWN else NONE, size)
    content = file.read(TEXT_BYTES)
    if not _is_text(content):
        return Preview(NONE, size)
    text = content.decode("utf-8", "replace")
    is_part = size > len(content)
    if suffix in _SEPARATORS:
        return _table(text, _SEPARATORS[suffix], size, is_part)
    if suffix == ".json" and not is_part and (pretty := _pretty(text)):
        return Preview(JSON, size, text=pretty)
    return Preview(TEXT, size, text=text, is_part=is_part)


def _is_text(content: bytes) -> bool:
    """Whether bytes look like text: no NUL, and UTF-8 except for a character that is cut at the end."""
    if b"\0" in content:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(content) - 3
    return True


def _table(text: str, separator: str, size: int, is_part: bool) -> Preview:
    lines = text.splitlines()[:-1] if is_part and "\n" in text else text.splitlines()
    rows: list[tuple[str, ...]] = []
    try:
        for row in _reader("\n".join(lines), separator):
            if len(rows) == MAX_ROWS:
                is_part = True
                break
            is_part = is_part or len(row) > MAX_COLUMNS
            rows.append(tuple(cell[:MAX_CELL] for cell in row[:MAX_COLUMNS]))
    except csv.Error:
        return Preview(TEXT, size, text=text, is_part=is_part)
    return Preview(TABLE, size, rows=tuple(rows), is_part=is_part)


def _reader(text: str, separator: str) -> Iterable[list[str]]:
    if separator == ",":
        return csv.reader(io.StringIO(text))
    return csv.reader(io.StringIO(text), delimiter=separator, quoting=csv.QUOTE_NONE)


def _pretty(text: str) -> str | None:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
