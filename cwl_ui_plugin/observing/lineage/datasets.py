"""File and Directory objects of CWL as datasets, named as OpenLineage names files: by where they are.

A job may have any number of files, an event may not: :data:`MAX_DATASETS` are named, all are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin.cwl.files import CLASSES, local_path
from cwl_ui_plugin.cwl.plan import CwlObject

MAX_DATASETS = 200
"""In each direction of an event."""
MAX_CHARACTERS = 200_000
"""Of the names of those."""
FILE_NAMESPACE = "file"
_BUCKETS = ("s3", "gs")
_HOSTS = ("http", "https", "ftp", "ftps")


@dataclass(frozen=True)
class FileDataset:
    """A dataset, and the File or Directory object that it is."""

    namespace: str
    name: str
    item: CwlObject


@dataclass(frozen=True)
class FileDatasets:
    """The datasets of some values that an event names, and how many there are."""

    named: tuple[FileDataset, ...]
    count: int


def datasets_of(values: object) -> FileDatasets:
    """Return the datasets of all Files (with their secondary files) and Directories in ``values``, each once.

    What is in a Directory is not listed, and what has no place of its own (a literal) is no dataset.
    """
    seen: set[tuple[str, str]] = set()
    named: list[FileDataset] = []
    characters = 0
    for item in _objects(values):
        place = _place(item)
        if place is None or place in seen:
            continue
        seen.add(place)
        characters += len(place[0]) + len(place[1])
        if len(named) < MAX_DATASETS and characters <= MAX_CHARACTERS:
            named.append(FileDataset(*place, item))
    return FileDatasets(tuple(named), len(seen))


def _objects(values: object) -> Iterator[dict[str, object]]:
    waiting = [values]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (list, tuple)):
            waiting += reversed(node)
        elif isinstance(node, dict) and node.get("class") in CLASSES:
            yield node
            waiting.append(node.get("secondaryFiles") or [])
        elif isinstance(node, dict):
            waiting += reversed(list(node.values()))


def _place(item: Mapping[str, object]) -> tuple[str, str] | None:
    """Return namespace and name. Credentials and queries of URLs, which may be secrets, are no part of these."""
    path = local_path(item)
    if path is not None:
        return FILE_NAMESPACE, _sendable(str(path))
    parts = urlsplit(str(item.get("location", "")))
    if not parts.hostname:
        return None
    if parts.scheme in _BUCKETS:
        return f"{parts.scheme}://{parts.hostname}", _sendable(unquote(parts.path).lstrip("/")) or "/"
    if parts.scheme in _HOSTS:
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}", _sendable(parts.path) or "/"
    return None


def _sendable(name: str) -> str:
    """Return a name without halves of surrogate pairs, which names of files may have and JSON may not."""
    return name.encode("utf-8", "replace").decode()
