"""Which local files a CWL document needs: what has to be sent, or copied, with it.

This only gathers files. What the document means is for cwltool to say, at the other end, within the gathered files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import yaml

MAX_FILES = 5000
_DOCUMENT_KEYS = ("run", "$import", "$mixin")
_FILE_KEYS = ("$include", "$schemas")
MOST_COMPANIONS = 50
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooManyFiles(ValueError):
    """A document refers to more files than anybody would send."""


def closure(main: Path) -> list[Path]:
    """Return ``main`` and every local file that it refers to, directly or through others, sorted.

    Followed are ``run``, ``$import``, ``$mixin``, ``$include``, ``$schemas`` and the locations of File and Directory
    defaults, these with what may be their secondary files. What does not exist is left out: cwltool then says at which
    line it is missing.

    Raises:
        TooManyFiles: more than :data:`MAX_FILES`.

    """
    found: set[Path] = set()
    waiting = [main.absolute()]
    while waiting:
        path = Path(os.path.normpath(waiting.pop()))
        if path in found or not path.is_file():
            continue
        found.add(path)
        if len(found) > MAX_FILES:
            raise TooManyFiles(f"{main} refers to more than {MAX_FILES} files.")
        documents, others = _references(path)
        waiting.extend(documents)
        found.update(file for other in others for file in _files(other))
    return sorted(found)


def companions(path: Path) -> list[Path]:
    """Return files beside ``path`` that may be its secondary files: those whose names begin as its own does."""
    stem = path.name.split(".")[0]
    if not stem:
        return []
    found = [file for file in path.parent.iterdir() if file.name.startswith(stem) and file.is_file() and file != path]
    return found if len(found) <= MOST_COMPANIONS else []


def common_folder(files: list[Path]) -> Path:
    """Return the folder that all files are in."""
    return Path(os.path.commonpath([path.parent for path in files]))


def _references(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the documents and the other files that a document names; nothing for what is no YAML."""
    try:
        content = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506 - it is the safe one
    except (yaml.YAMLError, ValueError, RecursionError):
        return [], []
    documents: list[Path] = []
    others: list[Path] = []
    for key, reference in _walk(content):
        target = _local(reference, path.parent)
        if target is not None:
            (documents if key in _DOCUMENT_KEYS else others).append(target)
    return documents, others


def _walk(node: Any) -> Iterator[tuple[str, str]]:
    """Yield key and value of everything that names a file."""
    if isinstance(node, list):
        for item in node:
            yield from _walk(item)
    elif isinstance(node, dict):
        is_file = node.get("class") in ("File", "Directory")
        for key, value in node.items():
            if key in _DOCUMENT_KEYS + _FILE_KEYS or (is_file and key in ("location", "path")):
                yield from ((str(key), item) for item in _texts(value))
            yield from _walk(value)


def _texts(value: Any) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _local(reference: str, folder: Path) -> Path | None:
    path = urldefrag(reference).url
    if not path or "://" in path or "\n" in path:
        return None
    plain = folder / path
    return plain if plain.exists() else folder / unquote(path)


def _files(path: Path) -> Iterator[Path]:
    normal = Path(os.path.normpath(path))
    if normal.is_file():
        yield normal
        yield from companions(normal)
    elif normal.is_dir():
        yield from (file for file in normal.rglob("*") if file.is_file())
