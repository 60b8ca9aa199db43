"""Which local files a CWL document needs: what has to be sent, or copied, with it.

This only gathers files. What the document means is for cwltool to say, at the other end, within the gathered files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urldefrag

import yaml

from cwl_ui_plugin.cwl.jobs.files import is_expression, secondary_name
from cwl_ui_plugin.cwl.yaml_bounds import is_too_deep
from cwl_ui_plugin.library.paths import absolute

MAX_FILES = 5000
_DOCUMENT_KEYS = ("run", "$import", "$mixin")
_FILE_KEYS = ("$include", "$schemas")
_SECONDARY_KEY = "secondaryFiles"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooManyFiles(ValueError):
    """A document refers to more files than anybody would send."""


def closure(main: Path) -> list[Path]:
    """Return ``main`` and every local file that it refers to, directly or through others, sorted.

    Followed are ``run``, ``$import``, ``$mixin``, ``$include``, ``$schemas`` and the locations of File and Directory
    defaults, these with the secondary files that patterns anywhere in the documents name. What does not exist is left
    out: cwltool then says at which line it is missing.

    Raises:
        TooManyFiles: more than :data:`MAX_FILES`.

    """
    found: set[Path] = set()
    others: set[Path] = set()
    patterns: set[str] = set()
    waiting = [absolute(main)]
    while waiting:
        path = Path(os.path.normpath(waiting.pop()))
        if path in found or not path.is_file():
            continue
        found.add(path)
        if len(found) > MAX_FILES:
            raise TooManyFiles(f"{main} refers to more than {MAX_FILES} files.")
        references = _references(path)
        waiting.extend(references.documents)
        others.update(references.others)
        patterns.update(references.patterns)
    found.update(file for other in others for file in _files(other, patterns))
    return sorted(found)


def companions(path: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Yield what there is of the secondary files that patterns name for a file.

    What an expression names only cwltool can tell: where there is one, these are all files whose names have the
    file's name in them, or begin as it does up to a dot.
    """
    stem = path.name.partition(".")[0]
    for pattern in patterns:
        if is_expression(pattern):
            found = (
                file for file in path.parent.iterdir() if path.name in file.name or file.name.startswith(f"{stem}.")
            )
        else:
            found = (path.with_name(secondary_name(path.name, pattern)) for _ in range(1))
        yield from (file for file in found if file != path and file.exists())


def common_folder(files: list[Path]) -> Path:
    """Return the folder that all files are in."""
    return Path(os.path.commonpath([path.parent for path in files]))


class _References(NamedTuple):
    documents: list[Path]
    others: list[Path]
    patterns: list[str]


def _references(path: Path) -> _References:
    """Return what a document names: documents, other files, patterns of secondary files; nothing if it is no YAML."""
    references = _References([], [], [])
    try:
        content = _read(path)
    except (yaml.YAMLError, ValueError, RecursionError):
        return references
    for key, text in _walk(content):
        if key == _SECONDARY_KEY:
            references.patterns.append(text.removesuffix("?"))
        elif (target := _local(text, path.parent)) is not None:
            (references.documents if key in _DOCUMENT_KEYS else references.others).append(target)
    return references


def _read(path: Path) -> Any:
    """Return the content of a document; ValueError for one that is nested so deeply that no parser should try."""
    text = path.read_bytes()
    if is_too_deep(text):
        raise ValueError
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - it is the safe one


def _walk(content: Any) -> Iterator[tuple[str, str]]:
    """Yield key and value of everything that names a file, or a pattern of names; what aliases repeat, once."""
    waiting, seen = [content], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        if isinstance(node, list):
            seen.add(id(node))
            waiting += node
        elif isinstance(node, dict):
            seen.add(id(node))
            waiting += node.values()
            yield from _named_in(node)


def _named_in(node: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    is_file = node.get("class") in ("File", "Directory")
    for key, value in node.items():
        if key in _DOCUMENT_KEYS + _FILE_KEYS or (is_file and key in ("location", "path")):
            yield from ((str(key), item) for item in _texts(value))
        elif key == _SECONDARY_KEY and not is_file:
            yield from ((_SECONDARY_KEY, item) for item in _texts(_patterns_in(value)))


def _patterns_in(value: Any) -> list[Any]:
    entries = value if isinstance(value, list) else [value]
    return [entry.get("pattern") if isinstance(entry, dict) else entry for entry in entries]


def _texts(value: Any) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _local(reference: str, folder: Path) -> Path | None:
    path = urldefrag(reference).url
    if not path or "://" in path or "\n" in path:
        return None
    plain = folder / path
    return plain if plain.exists() else folder / unquote(path)


def _files(path: Path, patterns: Iterable[str]) -> Iterator[Path]:
    normal = Path(os.path.normpath(path))
    if normal.is_file():
        yield normal
        for companion in companions(normal, patterns):
            yield from _files_of(companion)
    elif normal.is_dir():
        yield from _files_of(normal)


def _files_of(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())
