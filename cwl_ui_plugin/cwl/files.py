"""File and Directory objects in a job, in outputs or in values: where they are on this machine. Needs no cwltool."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from cwl_ui_client.names import SCHEME as SCHEME
from cwl_ui_client.names import local_path as local_path

from cwl_ui_plugin.cwl.value_files import LongList

CLASSES = ("File", "Directory")


def local_paths(node: object) -> Iterator[Path]:
    """Yield the path of every File and Directory in a value, at any depth."""
    if isinstance(node, (list, LongList)):
        for item in node:
            yield from local_paths(item)
    elif isinstance(node, dict):
        if node.get("class") in CLASSES and (path := local_path(node)) is not None:
            yield path
        for value in node.values():
            yield from local_paths(value)


def file_objects(node: object) -> Iterator[dict[str, object]]:
    """Yield every File and Directory in a JSON value, at any depth."""
    return objects_of(node, CLASSES)


def objects_of(node: object, classes: Collection[str]) -> Iterator[dict[str, object]]:
    """Yield every object of these classes in a JSON value, at any depth."""
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, LongList):
            for part in item.parts():
                yield from objects_of(part, classes)
        elif isinstance(item, dict):
            waiting += item.values()
            if item.get("class") in classes:
                yield item


def outer_objects(node: object) -> Iterator[dict[str, object]]:
    """Yield the Files and Directories of a JSON value in order, but not what is within these."""
    return _objects(node, within=())


def handed_on(node: object) -> Iterator[dict[str, object]]:
    """Yield the Files and Directories of a JSON value in order, with secondary files, without what folders list."""
    return _objects(node, within=("secondaryFiles",))


def _objects(node: object, within: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """Yield Files and Directories, and those that these fields of them have."""
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, LongList):
            for part in item.parts():
                yield from _objects(part, within)
        elif isinstance(item, dict) and item.get("class") in CLASSES:
            yield item
            waiting += [item.get(name) for name in within]
        elif isinstance(item, dict):
            waiting += reversed(item.values())


def total_size(node: object) -> int:
    """Return the size of all files of some values, in bytes; a file whose size is not known counts nothing."""
    if isinstance(node, list):
        return sum(total_size(item) for item in node)
    if not isinstance(node, dict):
        return 0
    own = node.get("size") if node.get("class") == "File" else 0
    rest = sum(total_size(item) for item in node.values() if isinstance(item, (dict, list)))
    return rest + (own if isinstance(own, int) else 0)
