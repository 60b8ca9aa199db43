"""Names of files: paths as they are given, and what secondary files of a file are called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

_EXPRESSIONS = ("$(", "${")
SCHEME = "file://"


def absolute(path: Path) -> Path:
    """Return a path without ``..`` in it, as cwltool takes it; through a link to a folder where that differs."""
    plain = Path(os.path.abspath(path))  # noqa: PTH100 - links stay: a document is where its name says
    return plain if plain.exists() or not path.exists() else path.resolve()


def secondary_name(basename: str, pattern: str) -> str:
    """Return the name of a secondary file: each ``^`` takes one extension away, the rest is appended."""
    while pattern.startswith("^"):
        stem, dot, _extension = basename.rpartition(".")
        basename, pattern = (stem, pattern[1:]) if dot else (basename, pattern.lstrip("^"))
    return basename + pattern


def is_expression(text: str) -> bool:
    """Whether a field of a document has an expression in it."""
    return any(mark in text for mark in _EXPRESSIONS)


def local_path(item: Mapping[str, object]) -> Path | None:
    """Return the path of a File or Directory whose location is on this machine, else None."""
    location = item.get("location")
    if not isinstance(location, str):
        return None
    if location.startswith(SCHEME):
        try:
            return Path(unquote(urlsplit(location).path))
        except ValueError:  # such as file://[x
            return None
    return Path(location) if location.startswith("/") else None
