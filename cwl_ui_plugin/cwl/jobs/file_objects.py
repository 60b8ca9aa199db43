"""What a File or Directory object of a job may say about itself, besides where it is. Needs no cwltool.

A runner makes paths of names: a ``basename`` with a slash in it would be a way out of a task's folder. What the runner
finds out by itself (sizes, checksums, what is in a folder) is not taken from a job.
See https://www.commonwl.org/v1.2/CommandLineTool.html#File and #Directory.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import CwlObject
from cwl_ui_plugin.fetching.storage_roots import is_stored, key_in

LITERAL_BYTES = 64 * 1024
MAX_NAME = 255
"""Bytes that a name may have on the file systems of Linux."""
_KEPT = {
    "File": ("class", "location", "basename", "contents", "format", "secondaryFiles"),
    "Directory": ("class", "location", "basename", "listing"),
}
_PARTS = {"File": "secondaryFiles", "Directory": "listing"}
_PARTS_OF_LITERALS = {"File": "contents", "Directory": "listing"}
_MARKS = ("$", "@", ":", "#")
"""What stands in names of directives and of other vocabularies: ``$import``, ``@type``, ``cwl:requirements``."""
_LITERAL = "_:"


def is_directive(name: str) -> bool:
    """Whether the name of a field means more to runners than a name: ``$import``, ``cwltool:overrides``, an IRI."""
    return name.startswith(_MARKS) or ":" in name or "#" in name


def name_problem(name: object) -> str | None:
    """Return why something can't be a ``basename``, or None: CWL wants the name of a file, and not a path."""
    if not isinstance(name, str) or not name:
        return "a basename is a text with at least one character"
    if name in (".", "..") or "/" in name or "\0" in name:
        return f"the basename {name[:80]!r} is not the name of a file: it may not hold a slash, or be . or .."
    if len(name.encode("utf-8", "replace")) > MAX_NAME:
        return f"the basename {name[:80]!r}... is longer than {MAX_NAME} bytes"
    return None


def file_object(value: CwlObject, problems: list[Problem]) -> CwlObject:
    """Return what a job may say of a File or Directory, its ``path`` as ``location``; add what is wrong."""
    kind = value["class"]
    for name in value:
        if is_directive(str(name)):
            problems.append(Problem(f"a {kind} has no field {str(name)[:80]!r}"))
    kept = {name: value[name] for name in _KEPT[kind] if value.get(name) is not None}
    if "location" not in kept and value.get("path") is not None:
        kept["location"] = value["path"]
    if _is_literal_name(kept.get("location")) and _PARTS_OF_LITERALS[kind] in kept:
        del kept["location"]  # as cwltool writes literals
    if "location" in kept:
        kept.pop(_PARTS_OF_LITERALS[kind], None)  # the file or folder says what is in it
    problems += _wrong_types(kept)
    problems += _wrong_names(value, kept)
    return kept


def parts_problems(value: CwlObject) -> Iterator[Problem]:
    """Yield what is wrong with the names of secondary files, or of what is in a folder: they lie beside each other."""
    kind = value["class"]
    parts = value.get(_PARTS[kind])
    if not isinstance(parts, list):
        return
    names = [basename_of(part) for part in parts if isinstance(part, dict)]
    if kind == "File":
        names.append(basename_of(value))
    for name, count in Counter(names).items():
        if name and count > 1:
            yield Problem(f"{_PARTS[kind]}: {count} files have the name {name[:80]!r}")


def basename_of(value: dict[str, object]) -> str:
    """Return the name that a File or Directory has in a task's folder; empty where cwltool makes one up."""
    if isinstance(value.get("basename"), str):
        return str(value["basename"])
    location = value.get("location")
    if not isinstance(location, str):
        return ""
    return PurePosixPath(_path(location)).name


def _is_literal_name(location: object) -> bool:
    return isinstance(location, str) and location.startswith(_LITERAL)


def _wrong_types(value: dict[str, object]) -> Iterator[Problem]:
    for name in ("contents", "format"):
        if name in value and not isinstance(value[name], str):
            yield Problem(f"{name} is a text")
    for name in ("secondaryFiles", "listing"):
        if name in value and not isinstance(value[name], list):
            yield Problem(f"{name} is a list of objects of class File or Directory")
    contents = value.get("contents")
    if isinstance(contents, str) and len(contents.encode("utf-8", "replace")) > LITERAL_BYTES:
        yield Problem("contents of a file may have 64 KiB; give a larger one by its location")


def _wrong_names(given: dict[str, object], kept: dict[str, object]) -> Iterator[Problem]:
    """Yield what is wrong with the basename, and with what CWL derives from it and the location."""
    if "basename" in given and (reason := name_problem(given["basename"])):
        if given["basename"] is not None:
            yield Problem(reason)
        return
    if kept["class"] != "File":
        return
    basename = basename_of(kept)
    root, extension = posixpath.splitext(basename)
    for name, derived in (("nameroot", root), ("nameext", extension)):
        said = given.get(name)
        if said is not None and said != derived:
            yield Problem(f"{name} is {derived!r} for the basename {basename[:80]!r}; leave it out")
    if given.get("dirname") is not None and given["dirname"] != _dirname(kept.get("location")):
        yield Problem("dirname is not the folder of the location; leave it out")


def _dirname(location: object) -> str | None:
    if not isinstance(location, str):
        return None
    return posixpath.dirname(_path(location))


def _path(location: str) -> str:
    if is_stored(location):
        return key_in(location)
    try:
        return unquote(urlsplit(location).path) if "://" in location else location
    except ValueError:
        return ""
