"""Workbooks (XLSX) by openpyxl, read-only. No formula is evaluated; what a small file could swell to is bounded first.

Excel writes its parts in UTF-8 and without a document type. A part that has another encoding or a DOCTYPE is refused,
so that no entity of XML is ever expanded or fetched, whichever parser openpyxl finds.
"""

from __future__ import annotations

import codecs
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import IO, Any
from xml.parsers import expat

from cwl_ui_plugin.config import MEBIBYTE
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.batches.models import Cell, InvalidSheet, SheetProblem

MAX_PARTS = 1000
MAX_UNPACKED = 100 * MEBIBYTE
MAX_PART = 24 * MEBIBYTE
"""Of all parts but worksheets: what these hold is kept in memory whole."""
MAX_ELEMENTS = 5_000_000
"""Of XML, in all parts together; openpyxl makes an object of each."""
MAX_OTHER_ELEMENTS = 250_000
"""Of these, such that are no cells nor their texts: styles, merged cells, and the like, which are large objects."""
MAX_ROW_ELEMENTS = 100_000
"""Of one row, which is kept in memory whole. Excel has 16,384 cells in a row."""
MAX_READ_CELLS = 10_000_000
"""With the empty ones that a row has before its last cell."""
MAX_CELL = 131_072
"""Characters of a cell, as Python takes from a CSV. Excel itself keeps 32,767."""
_SHOWN = 20
_OF_CELLS = frozenset({"row", "c", "v", "f", "is", "t", "si", "r"})
_ROW, _SHARED_TEXT = (3, "row"), (2, "sst", "si")
"""What begins a row of a worksheet, and a text of the table of texts: how deep it is (in what), its name."""
_CHUNK = MEBIBYTE
_XML = (".xml", ".rels", ".vml")
_BEFORE_XML = b"\xef\xbb\xbf\xfe\xff\0 \t\r\n"
_STARTS = (b"<", b"\x4c\x6f\xa7\x94")
"""How XML begins, whatever the part is called: any part may be named as a worksheet. The second is EBCDIC."""
_DECLARED = re.compile(rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_BROKEN = "The workbook can't be read: it is damaged, or no XLSX. Save it anew, or save the table as CSV (UTF-8)."
Row = tuple[int, list[Cell], list[SheetProblem]]


def read(content: bytes) -> tuple[Iterator[Row], str]:
    """Return the rows of the first worksheet that is not hidden, and its name; raise :class:`InvalidSheet`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive)
        values, formulas = _open(content, data_only=True), _open(content, data_only=False)
        title = next((sheet.title for sheet in values.worksheets if sheet.sheet_state == "visible"), None)
    except InvalidSheet:
        raise
    except Exception as error:  # openpyxl lets whatever its reading of XML meets through
        raise _unusable(_BROKEN) from error
    if title is None:
        raise _unusable("The workbook has no worksheet with cells.")
    return _guarded(_rows(values[title], formulas[title])), title


def _open(content: bytes, *, data_only: bool) -> Any:
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about extensions that it leaves out
        return load_workbook(io.BytesIO(content), read_only=True, data_only=data_only, keep_links=False)


def _check(archive: zipfile.ZipFile) -> None:
    """Refuse what would not stay small, and XML that is more than Excel writes."""
    parts = archive.infolist()
    if len(parts) > MAX_PARTS:
        raise _unusable(f"The workbook has more than {MAX_PARTS} parts. Save the table alone, or as CSV.")
    if sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise _unusable(f"The workbook unpacks to more than {bytes_text(MAX_UNPACKED)}. Save the table alone.")
    counted = _Elements()
    for part in parts:
        if part.flag_bits & 1:
            raise _unusable("The workbook has a password. Save it without.")
        if part.file_size > MAX_PART and not part.filename.startswith("xl/worksheets/"):
            raise _unusable(f"{part.filename} in the workbook is larger than {bytes_text(MAX_PART)}.")
        with archive.open(part) as file:
            start = file.read(_CHUNK)
            if part.filename.lower().endswith(_XML) or start.lstrip(_BEFORE_XML).startswith(_STARTS):
                # Excel itself writes drawings of comments that are not well-formed
                _check_xml(start, file, counted, is_strict=not part.filename.lower().endswith(".vml"))


class _Elements:
    """Counts the elements of XML, and refuses more than a table of samples has."""

    def __init__(self) -> None:
        self._all = self._others = self._in_row = self._depth = 0
        self._root = ""

    def parser(self) -> expat.XMLParserType:
        """Return what reads the next part."""
        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._begin, self._end
        self._in_row = self._depth = 0
        return parser

    def add_others(self, count: int) -> None:
        """Count elements that are no cells."""
        self._others += count
        if self._others > MAX_OTHER_ELEMENTS:
            raise _unusable("The workbook has too many styles, merged cells or the like. Save the table as CSV.")

    def _begin(self, name: str, _attributes: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        self._depth += 1
        self._root = name if self._depth == 1 else self._root
        is_line = (self._depth, name) == _ROW or (self._depth, self._root, name) == _SHARED_TEXT
        self._in_row = 0 if is_line else self._in_row + 1
        self._all += 1
        if name not in _OF_CELLS:
            self.add_others(1)
        elif self._in_row > MAX_ROW_ELEMENTS or self._all > MAX_ELEMENTS:
            raise _unusable("The workbook, or one of its rows, has too many cells. Save the table alone, or as CSV.")

    def _end(self, _name: str) -> None:
        self._depth -= 1


def _check_xml(chunk: bytes, file: IO[bytes], counted: _Elements, *, is_strict: bool) -> None:
    """Refuse XML in other encodings than UTF-8, with a document type, or of too many elements.

    ``chunk`` is the start of the part. Where it need not be well-formed, each ``<`` counts from its fault on.
    """
    declared = _DECLARED.match(chunk)
    encoding = declared[1].lower() if declared else b"utf-8"
    begins = chunk.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<") and b"\0" not in chunk[:4]
    if not begins or encoding not in (b"utf-8", b"us-ascii", b"ascii"):
        raise _unusable("A part of the workbook is not in UTF-8, as Excel writes it. Save it anew, or as CSV.")
    before, parser = b"", counted.parser()
    is_well_formed = True
    while chunk:
        if _DOCTYPE.search(before + chunk):
            raise _unusable("A part of the workbook declares a document type, as Excel never does. It is not read.")
        is_well_formed = is_well_formed and _count(parser, chunk, is_strict=is_strict)
        if not is_well_formed:
            counted.add_others(chunk.count(b"<"))
        before, chunk = chunk[-10:], file.read(_CHUNK)


def _count(parser: expat.XMLParserType, chunk: bytes, *, is_strict: bool) -> bool:
    """Let the elements of a chunk be counted; return whether it is well-formed."""
    try:
        parser.Parse(chunk)
    except expat.ExpatError:
        if is_strict:
            raise
        return False
    return True


def _guarded(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows; turn what openpyxl raises on the way into words."""
    try:
        yield from rows
    except (InvalidSheet, GeneratorExit):
        raise
    except (Exception, zlib.error) as error:
        raise _unusable(_BROKEN) from error


def _rows(values: Any, formulas: Any) -> Iterator[Row]:
    """Yield the rows of a worksheet. It is read twice at the same time: the values that were kept, and the formulas."""
    for sheet in (values, formulas):
        sheet.reset_dimensions()  # what the file says of them need not be true
    read = 0
    for number, (found, kept) in enumerate(zip(formulas.rows, values.rows, strict=False), start=1):
        read += len(found)
        if read > MAX_READ_CELLS:
            raise _unusable("The workbook has too many empty cells before others. Save the table alone, or as CSV.")
        yield number, *_cells(number, found, kept)


def _cells(number: int, found: Iterable[Any], kept: Iterable[Any]) -> tuple[list[Cell], list[SheetProblem]]:
    cells: list[Cell] = []
    problems: list[SheetProblem] = []
    for place, (cell, value) in enumerate(zip(found, kept, strict=False), start=1):
        if cell.value is None:
            cells.append(None)
        elif cell.data_type == "f" and value.value is None:
            words = "the cell has a formula whose value the file does not have: open it in Excel and save it again"
            problems.append(SheetProblem(number, str(place), words))
            cells.append(None)
        elif value.data_type == "e":
            problems.append(SheetProblem(number, str(place), f"the cell has the error {str(value.value)[:_SHOWN]}"))
            cells.append(None)
        elif isinstance(value.value, str) and len(value.value) > MAX_CELL:
            problems.append(SheetProblem(number, str(place), f"the cell has more than {MAX_CELL} characters"))
            cells.append(None)
        else:
            cells.append(plain(value.value))
    return cells, problems


def plain(value: object) -> Cell:
    """Return what a cell holds: dates and times as ISO 8601, whole numbers without a point."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, int):
        return value
    return str(value).strip() or None


def _unusable(message: str) -> InvalidSheet:
    return InvalidSheet(message, (SheetProblem(1, None, message),))
