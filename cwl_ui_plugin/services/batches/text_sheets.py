"""Tables that are texts: which encoding, which separator, and rows by Python's csv. Nothing is guessed silently."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

from cwl_ui_plugin.services.batches.models import Cell, InvalidSheet, SheetProblem

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, ""),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SEPARATORS = ("\t", ",", ";", "|")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""As ``strict_json.is_text``, which would take a second for a large sheet."""
_LOOKED_AT = 20
"""Rows that tell what separates cells."""
Row = tuple[int, list[Cell], list[SheetProblem]]


def read(content: bytes) -> Iterator[Row]:
    """Yield the rows of a text: UTF-8, or UTF-16 with a byte order mark; raise :class:`InvalidSheet`."""
    return parse(_decoded(content))


def parse(text: str) -> Iterator[Row]:
    """Yield the rows of a text; raise :class:`InvalidSheet` for quotes that are broken."""
    text = text.removeprefix("\ufeff")
    if found := _NO_TEXT.search(text):
        row = text.count("\n", 0, found.start()) + 1
        raise _unusable(row, "The text has a null character in it, or half of a pair: it is no text, or a broken one.")
    return _rows(text, _separator(text))


def _decoded(content: bytes) -> str:
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            if not encoding:
                raise _unusable(1, "The file is in UTF-32. Save it as UTF-8.")
            return _decode(content[len(mark) :], encoding)
    return _decode(content, "utf-8")


def _decode(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content[: error.start].decode(encoding, "ignore").count("\n") + 1
        raise _unusable(
            row,
            f"This is not {encoding.upper()}: the bytes {content[error.start : error.start + 4].hex(' ')} mean no "
            "character there. Save the file as UTF-8 (in Excel: “CSV UTF-8”).",
        ) from None


def _separator(text: str) -> str:
    """Return what separates most cells of the header, and as many in most of the rows below it."""
    best, score = ",", (0, 0)
    for separator in _SEPARATORS:
        try:
            rows = list(islice((row for row in _reader(text, separator) if row), _LOOKED_AT))
        except csv.Error:
            continue
        if rows and len(rows[0]) > 1:
            alike = sum(len(row) == len(rows[0]) for row in rows)
            if (alike, len(rows[0])) > score:
                best, score = separator, (alike, len(rows[0]))
    return best


def _reader(text: str, separator: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _rows(text: str, separator: str) -> Iterator[Row]:
    reader, number = _reader(text, separator), 0
    while True:
        number += 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _unusable(number, _explained(str(error), separator)) from None
        if row is None:
            return
        yield number, [cell.strip() or None for cell in row], []


def _explained(reason: str, separator: str) -> str:
    if "limit" in reason or "unexpected end" in reason:
        return (
            "A quotation mark that opens in this row is not closed, or a cell has more than "
            f"{csv.field_size_limit()} characters."
        )
    if "expected after" in reason:
        shown = "a tab" if separator == "\t" else separator
        return f'After a closing quotation mark comes {shown} or the end of the row; write " within quotes as "".'
    return f"The row can't be read: {reason}."


def _unusable(row: int, message: str) -> InvalidSheet:
    return InvalidSheet(message, (SheetProblem(row, None, message),))
