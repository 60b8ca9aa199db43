"""A CWL object as a tree to open bit by bit: lists may be long, so each is given in pages."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from cwl_ui_plugin.cwl.files import CLASSES, file_objects
from cwl_ui_plugin.cwl.value_files import LongList, has_long
from cwl_ui_plugin.opened import Entry, Place
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.strict_json import is_text

PAGE = 100
MAX_DEPTH = 15
"""Lists in lists that are given at once; deeper ones are asked for."""
FILE, FOLDER, LIST, RECORD, VALUE = "file", "folder", "list", "record", "value"
ELSEWHERE, MISSING, CLOSED, REMOTE = "elsewhere", "missing", "closed", "remote"


@dataclass(frozen=True)
class Node:
    """One line of the tree. ``place`` names it in the object; ``path`` is a file's in the run's output folder.

    A ``value`` is no file. Files and folders that can't be opened are ``missing``, ``closed`` to whoever asks,
    ``remote``: on the network, from where the run has fetched them; or ``elsewhere``: none of the run's folder.
    """

    name: str
    kind: str
    place: tuple[str, ...] = ()
    path: str | None = None
    size: int | None = None
    checksum: str | None = None
    format: str | None = None
    value: object = None
    total: int = 0
    children: tuple[Node, ...] | None = None
    """Of a list, a record or secondary files: what is in it, or None if that is to be asked for."""


Describe = Callable[[str, dict[str, object], tuple[str, ...]], Node]
"""Makes the node of a File or Directory, without secondary files, of its name, itself, and its place."""


def nodes_of(value: object, describe: Describe, place: Sequence[str] = (), offset: int = 0) -> Page[Node]:
    """Return what is at a place of an object, at most :data:`PAGE` of it; raise :class:`NotFound`."""
    found = value_at(value, place)
    tree = _Tree(describe, PAGE, len(place) + MAX_DEPTH)
    shown = _items(found, offset, offset + PAGE)
    return Page(tuple(tree.node(name, item, (*place, name)) for name, item in shown), _count(found))


def value_at(value: object, place: Sequence[str]) -> object:
    """Return what is at a place of an object; raise :class:`NotFound`."""
    for key in place:
        value = _item(value, key)
    return value


class _Tree:
    """Makes nodes with those that they have, as long as ``left`` more are to be given, down to some ``depth``."""

    def __init__(self, describe: Describe, left: int, depth: int) -> None:
        self._describe = describe
        self._left = left
        self._depth = depth

    def node(self, name: str, value: object, place: tuple[str, ...]) -> Node:
        if isinstance(value, dict) and value.get("class") in CLASSES:
            return self._file(name, value, place)
        if not has_long(value) and not _holds_files(value):
            return Node(name, VALUE, place, value=value)
        kind = RECORD if isinstance(value, dict) else LIST
        return Node(name, kind, place, total=_count(value), children=self._children(value, place))

    def _file(self, name: str, value: dict[str, object], place: tuple[str, ...]) -> Node:
        found = self._describe(name, value, place)
        secondary = value.get("secondaryFiles")
        if found.kind != FILE or not isinstance(secondary, list) or not secondary:
            return found
        children = self._children(secondary, (*place, "secondaryFiles"))
        return replace(found, total=len(secondary), children=children)

    def _children(self, value: object, place: tuple[str, ...]) -> tuple[Node, ...] | None:
        count = _count(value)
        if count > self._left or len(place) > self._depth:
            return None
        self._left -= count
        return tuple(self.node(name, item, (*place, name)) for name, item in _items(value, 0, count))


def basename_of(value: Mapping[str, object], otherwise: str) -> str:
    """Return what a File or Directory is called."""
    location = str(value.get("location") or value.get("path") or "")
    return str(value.get("basename") or location.rstrip("/").rpartition("/")[2] or otherwise)


def text_of(value: object) -> str | None:
    """Return a text, None for anything else."""
    return value if isinstance(value, str) else None


def state_of(place: Place, name: str | None) -> os.stat_result | None:
    """Return what is known of a plain file or folder, or None where there is none."""
    try:
        return place.state(name) if name is not None else None
    except (OSError, ValueError):
        return None


def entry_nodes(entries: Sequence[Entry], folder: Place, base: str, place: tuple[str, ...] = ()) -> Iterator[Node]:
    """Yield nodes of what a folder on the disk has; ``base`` is what its path is called."""
    for entry in entries:
        path = f"{base}/{entry.name}" if base else entry.name
        state = state_of(folder, entry.name)
        if not is_text(entry.name):  # no address can name it; a zip of the folder has it
            yield Node(entry.name, ELSEWHERE, place, value="its name is no Unicode: download the folder as a zip")
        elif state is None:
            yield Node(entry.name, ELSEWHERE, place, value="a link or a special file")
        elif stat.S_ISDIR(state.st_mode):
            yield Node(entry.name, FOLDER, place, path=path)
        else:
            yield Node(entry.name, FILE, place, path=path, size=state.st_size)


def _item(value: object, key: str) -> object:
    if isinstance(value, (list, LongList)) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    if isinstance(value, dict) and key in value:
        return value[key]
    raise NotFound("There is no such part.")


def _count(value: object) -> int:
    return len(value) if isinstance(value, (list, LongList, dict)) else 0


def _items(value: object, start: int, stop: int) -> list[tuple[str, object]]:
    """Return some of what a list or a record has, each with its name there."""
    if isinstance(value, (list, LongList)):
        return [(str(number), item) for number, item in enumerate(value[start:stop], start)]
    return list(islice(value.items(), start, stop)) if isinstance(value, dict) else []


def _holds_files(value: object) -> bool:
    """Whether there is a File or a Directory in a value; all others are shown as they are."""
    return next(file_objects(value), None) is not None
