"""Reading a table of samples: CSV, TSV, or whatever else separates the cells of a text; XLSX. All sizes are bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import BinaryIO

from cwl_ui_plugin.config import MEBIBYTE, batch_max_rows
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.batches import text_sheets, workbooks
from cwl_ui_plugin.services.batches.models import Cell, InvalidSheet, Sheet, SheetProblem, SheetRow
from cwl_ui_plugin.services.errors import TooLarge

MAX_BYTES = 16 * MEBIBYTE
MAX_COLUMNS = 500
MAX_CELLS = 1_000_000
"""Cells that are not empty."""
MAX_TEXT = 16 * MEBIBYTE
"""Characters of all cells together: a workbook may have one long text in each of them and be small."""
MAX_WRONG = 10_000
"""Cells and rows that can't be read."""
MAX_GAPS = 10_000
"""Empty rows that are read over."""
MAX_NAME = 250
_HEADER = 1
_OTHER_PROGRAMS = {".xls": "an older Excel format", ".xlsb": "a binary Excel format", ".ods": "OpenDocument"}
_NOT_SHEETS = ((b"\xd0\xcf\x11\xe0", "an older Excel file, or one with a password"), (b"%PDF", "a PDF"))
Row = tuple[int, list[Cell], list[SheetProblem]]
"""Its number, its cells, and what is wrong with one of them."""


def read(filename: str, stream: BinaryIO) -> Sheet:
    """Return the table in a file; the name only helps to tell what it is.

    Raises:
        TooLarge: it has more than :data:`MAX_BYTES`.
        InvalidSheet: it can't be used; with one problem for each place.

    """
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TooLarge(f"A sheet may have {bytes_text(MAX_BYTES)}. Split it, and make several batches.")
    if content.startswith(b"PK\x03\x04"):
        return _sheet(*workbooks.read(content))
    _check_kind(filename, content)
    return _sheet(text_sheets.read(content), None)


def read_text(text: str) -> Sheet:
    """Return the table in a text that was pasted; raise as :func:`read` does."""
    if len(text) > MAX_BYTES:
        raise TooLarge(f"A table may have {MAX_BYTES} characters. Split it, and make several batches.")
    return _sheet(text_sheets.parse(text), None)


def _check_kind(filename: str, content: bytes) -> None:
    suffix = PurePath(filename).suffix.lower()
    what = next((name for magic, name in _NOT_SHEETS if content.startswith(magic)), _OTHER_PROGRAMS.get(suffix))
    if what is None and suffix in (".xlsx", ".xlsm"):
        what = "called a workbook, but is none"
    if what:
        raise unusable(f"The file is {what}. Save it as XLSX or as CSV (UTF-8).")


def unusable(message: str, row: int = _HEADER, column: str | None = None) -> InvalidSheet:
    """Return the error that a sheet as a whole can't be used."""
    return InvalidSheet(message, (SheetProblem(row, column, message),))


def _sheet(lines: Iterable[Row], title: str | None) -> Sheet:
    """Put rows together: the first that is not empty is the header."""
    found = _filled(lines)
    header = next(found, None)
    if header is None:
        raise unusable("The sheet is empty. The first row must have the names of the columns.")
    number, names, problems = header
    columns = _columns(number, names, problems)
    rows: list[SheetRow] = []
    wrong: list[SheetProblem] = []
    limit, counted = batch_max_rows(), _Counted()
    for number, cells, problems in found:
        counted.add(number, cells)
        if len(rows) == limit:
            raise unusable(f"The sheet has more than {limit} rows ([cwl] batch_max_rows). Split it.", number)
        rows.append(SheetRow(number, _fitted(cells, len(columns))))
        wrong += _wrong_in(number, cells, problems, columns)
        if len(wrong) > MAX_WRONG:
            raise InvalidSheet(f"More than {MAX_WRONG} cells of the sheet can't be read.", tuple(wrong), len(rows))
    if not rows:
        raise unusable("The sheet has a header, and no row below it.", number)
    return Sheet(*_without_blank(columns, rows), problems=tuple(wrong), sheet=title)


class _Counted:
    """Counts the cells of a sheet and the characters in them, and refuses more than there may be."""

    def __init__(self) -> None:
        self._cells = self._characters = 0

    def add(self, number: int, cells: list[Cell]) -> None:
        """Count a row; raise :class:`InvalidSheet`."""
        self._cells += sum(cell is not None for cell in cells)
        self._characters += sum(len(cell) for cell in cells if isinstance(cell, str))
        if self._cells > MAX_CELLS:
            raise unusable(f"The sheet has more than {MAX_CELLS} cells. Split it, and make several batches.", number)
        if self._characters > MAX_TEXT:
            raise unusable(
                f"The cells of the sheet have more than {MAX_TEXT} characters. Split it, and make several batches.",
                number,
            )


def _wrong_in(
    number: int, cells: list[Cell], problems: list[SheetProblem], columns: tuple[str, ...]
) -> Iterator[SheetProblem]:
    """Yield what is wrong with a row."""
    yield from (_named(problem, columns) for problem in problems)
    if len(cells) > len(columns):
        yield _too_long(number, len(cells), len(columns))
    yield from _unnamed_cells(number, cells, columns)


def _filled(lines: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows that have something in them, without empty cells at their end."""
    limit = batch_max_rows() + MAX_GAPS
    for number, cells, problems in lines:
        if number > limit:
            raise unusable(
                f"The sheet goes on beyond row {limit}, with empty rows or with more than {batch_max_rows()} "
                "([cwl] batch_max_rows). Remove what is below the table, or split it.",
                number,
            )
        while cells and cells[-1] is None and not any(problem.column == str(len(cells)) for problem in problems):
            cells.pop()
        if cells:
            yield number, cells, problems


def _columns(number: int, names: list[Cell], problems: list[SheetProblem]) -> tuple[str, ...]:
    """Return the names of the columns; empty for one that has none."""
    if problems:
        raise InvalidSheet("The header can't be read.", tuple(problems))
    if len(names) > MAX_COLUMNS:
        raise unusable(f"The sheet has {len(names)} columns; {MAX_COLUMNS} are allowed.", number)
    columns = tuple("" if name is None else str(name).strip() for name in names)
    counted = Counter(name for name in columns if name)
    wrong = [
        SheetProblem(number, name[:MAX_NAME], "there are several columns of this name: each needs its own")
        for name, count in counted.items()
        if count > 1
    ]
    wrong += [
        SheetProblem(number, name[:MAX_NAME], f"the name of a column may have {MAX_NAME} characters")
        for name in columns
        if len(name) > MAX_NAME
    ]
    if wrong:
        raise InvalidSheet("The names of the columns can't be used.", tuple(wrong))
    return columns


def _fitted(cells: list[Cell], count: int) -> tuple[Cell, ...]:
    return (*cells[:count], *[None] * (count - len(cells)))


def _named(problem: SheetProblem, columns: tuple[str, ...]) -> SheetProblem:
    """Return a problem with the name of its column, which readers give by its number from 1."""
    if problem.column is None:
        return problem
    place = int(problem.column) - 1
    name = columns[place] if place < len(columns) else ""
    return SheetProblem(problem.row, name or f"number {place + 1}", problem.message)


def _too_long(number: int, count: int, columns: int) -> SheetProblem:
    words = f"the row has {count} cells, and the header {columns}: a separator too many, or quotes that are missing?"
    return SheetProblem(number, None, words)


def _unnamed_cells(number: int, cells: list[Cell], columns: tuple[str, ...]) -> Iterator[SheetProblem]:
    for place, (cell, name) in enumerate(zip(cells, columns, strict=False), start=1):
        if cell is not None and not name:
            yield SheetProblem(number, None, f"column number {place} has no name in the header, but a cell here")


def _without_blank(columns: tuple[str, ...], rows: list[SheetRow]) -> tuple[tuple[str, ...], tuple[SheetRow, ...]]:
    """Leave out columns without a name."""
    if all(columns):
        return columns, tuple(rows)
    kept = [place for place, name in enumerate(columns) if name]
    fewer = tuple(SheetRow(row.number, tuple(row.cells[place] for place in kept)) for row in rows)
    return tuple(columns[place] for place in kept), fewer
