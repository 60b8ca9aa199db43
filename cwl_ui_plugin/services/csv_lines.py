"""Lines of CSV that any spreadsheet and any encoding takes: no cell is a formula, none has half of a character."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Iterable[object]) -> str:
    """Return a line of CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Outputs and names of files may have halves of surrogate pairs, which become ``?``.
    """
    line = io.StringIO()
    csv.writer(line).writerow([_safe(cell) for cell in cells])
    return line.getvalue().encode("utf-8", "replace").decode()


def _safe(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _is_number(cell):
        return f"'{cell}"
    return "" if cell is None else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and not any(character.isspace() for character in text)
