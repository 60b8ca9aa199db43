"""What an input asks of its files beyond their type: a format, and the secondary files that must lie beside them.

cwltool checks the same when the run starts; what only an expression can tell is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cwl_ui_client.names import is_expression, secondary_name

from cwl_ui_plugin.cwl.edam import format_name
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import CwlObject, Parameter


def formats(item: Parameter) -> list[str]:
    """Return the formats that files of an input may have; empty where any will do, or an expression decides."""
    declared = item.format if isinstance(item.format, list) else [item.format]
    plain = [name for name in declared if isinstance(name, str) and name and not is_expression(name)]
    return plain if len(plain) == len(declared) else []


def file_problems(item: Parameter, value: object, where: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the files of a checked value; ``where`` is the place of the value in the input."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from file_problems(item, element, f"{where}[{index}]")
    elif isinstance(value, dict) and value.get("class") == "File":
        if formats(item) and "format" not in value:
            taken = " or ".join(_named(address) for address in formats(item))
            yield Problem(f"the file has no format; this input takes {taken}", input=where)
        for name in _missing_beside(item, value):
            yield Problem(f"the secondary file {name} is not beside the file", input=where)


def _named(address: str) -> str:
    name = format_name(address)
    return address if name == address else f"{name} ({address})"


def _missing_beside(item: Parameter, value: CwlObject) -> list[str]:
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


def _basename(part: Mapping[str, object]) -> str:
    return str(part.get("basename") or unquote(str(part.get("location", "")).rstrip("/").rpartition("/")[2]))
