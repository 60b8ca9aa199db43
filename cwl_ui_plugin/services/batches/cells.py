"""From a cell to a value of CWL, by the type of its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.cwl.cwl_types import CwlType, OneType, kinds_but_null
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs.checks import check_depth
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.run_job import with_files
from cwl_ui_plugin.fetching.storage_roots import is_stored
from cwl_ui_plugin.services.batches.models import Cell
from cwl_ui_plugin.services.batches.paths import is_array, is_record

FILES = ("File", "Directory")
_TRUE, _FALSE = ("true", "yes", "y", "t", "1"), ("false", "no", "n", "f", "0")
_INT = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_SHOWN = 80


class CellError(ValueError):
    """A cell does not fit; ``str()`` says why."""


def value_of(declared: CwlType, cell: Cell, folder: str = "") -> object:
    """Return the value of a cell that is not empty; raise :class:`CellError`.

    ``folder`` is what relative names of files are in. What is compound stands as JSON in a cell; one plain value makes
    a list of one.
    """
    options = kinds_but_null(declared)
    if any(not isinstance(option, str) or option == "Any" for option in options) and _is_json(cell):
        return in_folder(_parsed(declared, str(cell)), folder)
    tried = [option for option in options if not is_record(option)]
    for option in tried:
        found = _plain(option, cell, folder)
        if found is not _NOTHING:
            return found
    if any(is_record(option) for option in options):
        raise CellError(f"expected {type_text(declared)}: write it as JSON, or give each field a column of its own")
    raise CellError(f"expected {type_text(declared)}, but got {_shown(cell)}")


_NOTHING = object()


def _plain(option: OneType, cell: Cell, folder: str) -> object:
    if is_array(option):
        try:
            return [value_of(option["items"], cell, folder)]
        except CellError:
            return _NOTHING
    if not isinstance(option, str):
        return _symbol(option["symbols"], text_of(cell)) if option["type"] == "enum" else _NOTHING
    if option in FILES:
        return in_folder(_file(option, text_of(cell)), folder)
    reader = _SCALARS.get(option)
    return reader(cell) if reader else _NOTHING


def text_of(cell: Cell) -> str:
    """Return a cell as text."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell)


def _file(kind: str, text: str) -> object:
    if text.startswith("{"):
        return _parsed(kind, text)
    return {"class": kind, "location": text}


def _symbol(symbols: list[str], text: str) -> object:
    if text in symbols:
        return text
    alike = [symbol for symbol in symbols if symbol.lower() == text.lower()]
    return alike[0] if len(alike) == 1 else _NOTHING


def _boolean(cell: Cell) -> object:
    text = text_of(cell).lower()
    return True if text in _TRUE else False if text in _FALSE else _NOTHING


def _integer(cell: Cell) -> object:
    if isinstance(cell, bool):
        return _NOTHING
    return int(str(cell)) if _INT.fullmatch(str(cell)) else _NOTHING


def _number(cell: Cell) -> object:
    if isinstance(cell, bool):
        return _NOTHING
    if isinstance(cell, (int, float)):
        return cell
    text = str(cell)
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if len(text) < _SHOWN and _FLOAT.fullmatch(text) else _NOTHING


_SCALARS: dict[str, Callable[[Cell], object]] = {
    "boolean": _boolean,
    "int": _integer,
    "long": _integer,
    "float": _number,
    "double": _number,
    "string": text_of,
    "Any": lambda cell: cell,
}


def _is_json(cell: Cell) -> bool:
    return isinstance(cell, str) and cell.startswith(("{", "["))


def _parsed(declared: CwlType, text: str) -> object:
    """Return JSON with File objects where it has paths of files."""
    try:
        value = strict_json.loads(text)
        check_depth(value)
    except RecursionError:
        raise CellError("the JSON is nested too deeply") from None
    except ValueError as error:
        raise CellError(f"this is no JSON: {error}") from None
    except JobError as error:
        raise CellError(error.message) from None
    return with_files([Parameter("cell", declared)], {"cell": value})["cell"]


def in_folder(value: object, folder: str) -> object:
    """Return a value in which relative names of files are in a folder."""
    if not folder:
        return value
    if isinstance(value, list):
        return [in_folder(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: in_folder(item, folder) for name, item in value.items()}
    if made.get("class") in FILES:
        for name in ("location", "path"):
            place = made.get(name)
            if isinstance(place, str) and place and not place.startswith("/"):
                made[name] = _joined(folder, place)
    return made


def _joined(folder: str, name: str) -> str:
    if "://" in name or name.startswith("_:"):
        return name
    is_uri = "://" in folder and not is_stored(folder)
    return f"{folder.rstrip('/')}/{quote(name) if is_uri else name}"


def _shown(cell: Cell) -> str:
    kind = "the number" if isinstance(cell, (int, float)) and not isinstance(cell, bool) else "the text"
    text = text_of(cell)
    return f"{kind} {text[:_SHOWN]!r}" if kind == "the text" else f"{kind} {text[:_SHOWN]}"
