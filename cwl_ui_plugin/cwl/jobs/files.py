"""What an input asks of its files beyond their type: a format, and the secondary files that must lie beside them.

cwltool checks the same when the run starts; what only an expression can tell is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import Parameter

_EXPRESSIONS = ("$(", "${")


def formats(item: Parameter) -> list[str]:
    """Return the formats that files of an input may have; empty where any will do, or an expression decides."""
    declared = item.format if isinstance(item.format, list) else [item.format]
    plain = [name for name in declared if isinstance(name, str) and name and not is_expression(name)]
    return plain if len(plain) == len(declared) else []


def file_problems(item: Parameter, value: Any, where: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the files of a checked value; ``where`` is the place of the value in the input."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from file_problems(item, element, f"{where}[{index}]")
    elif isinstance(value, dict) and value.get("class") == "File":
        if formats(item) and "format" not in value:
            yield Problem(f"the file has no format; this input takes {' or '.join(formats(item))}", input=where)
        for name in _missing_beside(item, value):
            yield Problem(f"the secondary file {name} is not beside the file", input=where)


def secondary_name(basename: str, pattern: str) -> str:
    """Return the name of a secondary file: each ``^`` takes one extension away, the rest is appended."""
    while pattern.startswith("^"):
        stem, dot, _extension = basename.rpartition(".")
        basename, pattern = (stem, pattern[1:]) if dot else (basename, pattern.lstrip("^"))
    return basename + pattern


def _missing_beside(item: Parameter, value: dict[str, Any]) -> list[str]:
    location = value.get("location")
    if not isinstance(location, str) or urlsplit(location).scheme != "file":
        return []
    path = Path(unquote(urlsplit(location).path))
    if not path.is_file():
        return []
    basename = value.get("basename") or path.name
    given = {_basename(part) for part in value.get("secondaryFiles") or [] if isinstance(part, dict)}
    wanted = [
        secondary_name(str(basename), entry["pattern"])
        for entry in item.secondary_files
        if entry.get("required") in (None, True) and not is_expression(str(entry["pattern"]))
    ]
    return [name for name in wanted if name not in given and not (path.parent / name).exists()]


def _basename(part: dict[str, Any]) -> str:
    return str(part.get("basename") or unquote(str(part.get("location", "")).rstrip("/").rpartition("/")[2]))


def is_expression(text: str) -> bool:
    """Whether a field of a document has an expression in it."""
    return any(mark in text for mark in _EXPRESSIONS)
