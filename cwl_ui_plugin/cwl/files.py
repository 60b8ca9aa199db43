"""File and Directory objects in a job, in outputs or in values: where they are on this machine. Needs no cwltool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CLASSES = ("File", "Directory")
SCHEME = "file://"


def local_path(item: dict[str, Any]) -> Path | None:
    """Return the path of a File or Directory whose location is on this machine, else None."""
    location = item.get("location")
    if not isinstance(location, str):
        return None
    if location.startswith(SCHEME):
        return Path(unquote(urlsplit(location).path))
    return Path(location) if location.startswith("/") else None


def local_paths(node: Any) -> Iterator[Path]:
    """Yield the path of every File and Directory in a JSON value, at any depth."""
    if isinstance(node, list):
        for item in node:
            yield from local_paths(item)
    elif isinstance(node, dict):
        if node.get("class") in CLASSES and (path := local_path(node)) is not None:
            yield path
        for value in node.values():
            yield from local_paths(value)


def file_objects(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every File and Directory in a JSON value, at any depth."""
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
            if item.get("class") in CLASSES:
                yield item


def total_size(node: Any) -> int:
    """Return the size of all files of some values, in bytes; a file whose size is not known counts nothing."""
    if isinstance(node, list):
        return sum(total_size(item) for item in node)
    if not isinstance(node, dict):
        return 0
    own = node.get("size") if node.get("class") == "File" else 0
    rest = sum(total_size(item) for item in node.values() if isinstance(item, (dict, list)))
    return rest + (own if isinstance(own, int) else 0)
