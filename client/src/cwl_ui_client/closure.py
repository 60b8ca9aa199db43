"""Which local files a CWL document needs: what has to be sent, or copied, with it.

This only gathers files. What the document means is for cwltool to say, at the other end, within the gathered files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag

from cwl_ui_client.errors import UsageError
from cwl_ui_client.names import absolute, is_expression, secondary_name

MAX_FILES = 5000
_DOCUMENT_KEYS = ("run", "$import", "$mixin")
_FILE_KEYS = ("$include", "$schemas")
_SECONDARY_KEY = "secondaryFiles"
_WITHOUT_YAML = (
    "{} is YAML that may refer to other files; to find them, install PyYAML (pip install cwl-ui-client[yaml]), "
    "or give a zip of all files."
)
_REFERENCE = re.compile(r"(\b(run|location|path)|[$](import|mixin|include|schemas))['\"]?\s*:")
"""What every reference to another file has in it, and some documents without any."""


class TooManyFiles(UsageError):
    """A document refers to more files than anybody would send."""


def closure(main: Path, within: Path | None = None, most: int | None = None) -> list[Path]:
    """Return ``main`` and every local file that it refers to, directly or through others, sorted.

    ``within`` leaves out, and does not look at, what is elsewhere; what documents refer to is looked at in ``most``
    bytes of them all together: for those that others have sent.

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
        if path in found or not _is_in(path, within) or not _is_file(path):
            continue
        found.add(path)
        if len(found) > MAX_FILES:
            raise TooManyFiles(f"{main} refers to more than {MAX_FILES} files.")
        if most is not None and (size := path.stat().st_size) > most:
            continue
        most = None if most is None else most - size
        references = _references(path)
        waiting.extend(references.documents)
        others.update(references.others)
        patterns.update(references.patterns)
    found.update(file for other in others if _is_in(other, within) for file in _files(other, patterns))
    return sorted(found)


def _is_in(path: Path, folder: Path | None) -> bool:
    """Whether a path, as it is written, is in a folder, where one is given."""
    return folder is None or Path(os.path.normpath(path)).is_relative_to(folder)


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
            found = (path.parent / name for name in [secondary_name(path.name, pattern)] if name and "/" not in name)
        yield from (file for file in found if file != path and _exists(file))


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
    except (ValueError, RecursionError):
        return references
    for key, text in _walk(content):
        if key == _SECONDARY_KEY:
            references.patterns.append(text.removesuffix("?"))
        elif (target := _local(text, path.parent)) is not None:
            (references.documents if key in _DOCUMENT_KEYS else references.others).append(target)
    return references


def _read(path: Path) -> object:
    """Return the content of a document; ValueError for what is none, or what no parser should try."""
    text = path.read_bytes().decode()  # a YAML reader would take other encodings for something else than we look at
    with contextlib.suppress(ValueError):
        return json.loads(text)
    try:
        import yaml
    except ImportError as error:
        if _REFERENCE.search(text):
            raise UsageError(_WITHOUT_YAML.format(path)) from error
        return None
    from cwl_ui_client.yaml_bounds import what_is_wrong

    if what_is_wrong(text):  # a reader merges what aliases name, as often as they do
        raise ValueError
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is the safe one
    except yaml.YAMLError as error:
        raise ValueError from error


def _walk(content: object) -> Iterator[tuple[str, str]]:
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


def _named_in(node: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    is_file = node.get("class") in ("File", "Directory")
    for key, value in node.items():
        if key in _DOCUMENT_KEYS + _FILE_KEYS or (is_file and key in ("location", "path")):
            yield from ((str(key), item) for item in _texts(value))
        elif key == _SECONDARY_KEY and not is_file:
            yield from ((_SECONDARY_KEY, item) for item in _texts(_patterns_in(value)))


def _patterns_in(value: object) -> list[object]:
    entries = value if isinstance(value, list) else [value]
    return [entry.get("pattern") if isinstance(entry, dict) else entry for entry in entries]


def _texts(value: object) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _local(reference: str, folder: Path) -> Path | None:
    try:
        path = urldefrag(reference).url
    except ValueError:  # such as http://[#x
        return None
    if not path or "://" in path or "\n" in path:
        return None
    plain = folder / path
    return plain if _exists(plain) else folder / unquote(path)


def _exists(path: Path) -> bool:
    """Whether there is something; not where there can't be, as for a name that no file system takes."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for a name that is too long


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - as above


def _files(path: Path, patterns: Iterable[str]) -> Iterator[Path]:
    normal = Path(os.path.normpath(path))
    if _is_file(normal):
        yield normal
        for companion in companions(normal, patterns):
            yield from _files_of(companion)
    elif os.path.isdir(normal):  # noqa: PTH112 - as above
        yield from _files_of(normal)


def _files_of(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())
