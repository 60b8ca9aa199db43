"""The outputs of a run as a tree to open bit by bit: lists and folders may be long, so each is given in pages."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from cwl_ui_plugin.opened import Entry, Place
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.outputs.output_files import MAX_FILES, folder_entries, load, name_in

PAGE = 100
FILE, FOLDER, LIST, RECORD, VALUE, ELSEWHERE = "file", "folder", "list", "record", "value", "elsewhere"


@dataclass(frozen=True)
class OutputNode:
    """One line of the tree. ``path`` is relative to the run's output folder, ``place`` names it in the output object.

    A ``value`` is no file; ``elsewhere`` is a File or Directory that is not in the run's output folder.
    """

    name: str
    kind: str
    place: tuple[str, ...] = ()
    path: str | None = None
    size: int | None = None
    checksum: str | None = None
    format: str | None = None
    value: Any = None
    total: int = 0
    children: tuple[OutputNode, ...] | None = None
    """Of a list or a record: what is in it, or None if that is to be asked for."""


def output_nodes(
    dag_id: str, run_id: str, place: Sequence[str] = (), offset: int = 0, *, known: dict[str, Any] | None = None
) -> Page[OutputNode]:
    """Return what is at a place of the output object, at most :data:`PAGE` of it; raise :class:`NotFound`.

    ``known`` is the output object, where it is known.
    """
    outputs, run_place = load(dag_id, run_id, known)
    value: Any = outputs or {}
    for key in place:
        value = _item(value, key)
    items = _items(value)
    budget = _Budget(PAGE)
    shown = items[offset : offset + PAGE]
    return Page(tuple(_node(name, item, (*place, name), run_place, budget) for name, item in shown), len(items))


def folder_nodes(dag_id: str, run_id: str, path: str, offset: int = 0) -> Page[OutputNode]:
    """Return what is in a folder of the outputs, at most :data:`PAGE` of it; raise :class:`NotFound`.

    Of a folder with more than :data:`MAX_FILES` entries only so many are looked at.
    """
    place, entries, is_cut = folder_entries(dag_id, run_id, path, MAX_FILES)
    shown = entries[offset : offset + PAGE]
    folder = place.below(path)
    base = "/".join(folder.parts[len(place.parts) :])
    return Page(tuple(_on_disk(entry, folder, base) for entry in shown), len(entries), is_cut)


class _Budget:
    """How many more lines are given with those that they are in."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> bool:
        if count > self.left:
            return False
        self.left -= count
        return True


def _item(value: Any, key: str) -> Any:
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    if isinstance(value, dict) and key in value:
        return value[key]
    raise NotFound("The outputs have no such part.")


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(str(number), item) for number, item in enumerate(value)]
    return list(value.items()) if isinstance(value, dict) else []


def _node(name: str, value: Any, place: tuple[str, ...], folder: Place, budget: _Budget) -> OutputNode:
    if isinstance(value, dict) and value.get("class") in ("File", "Directory"):
        return _file_node(name, value, place, folder, budget)
    if not _holds_files(value):
        return OutputNode(name, VALUE, place, value=value)
    items = _items(value)
    kind = LIST if isinstance(value, list) else RECORD
    children = tuple(_children(items, place, folder, budget)) if budget.take(len(items)) else None
    return OutputNode(name, kind, place, total=len(items), children=children)


def _children(
    items: list[tuple[str, Any]], place: tuple[str, ...], folder: Place, budget: _Budget
) -> Iterator[OutputNode]:
    for name, item in items:
        yield _node(name, item, (*place, name), folder, budget)


def _holds_files(value: Any) -> bool:
    """Whether there is a File or a Directory in a value; all others are shown as they are."""
    if isinstance(value, dict):
        return value.get("class") in ("File", "Directory") or any(map(_holds_files, value.values()))
    return isinstance(value, list) and any(map(_holds_files, value))


def _file_node(name: str, value: dict[str, Any], place: tuple[str, ...], folder: Place, budget: _Budget) -> OutputNode:
    path = name_in(folder, value.get("location") or value.get("path"))
    state = _state(folder, path)
    basename = str(value.get("basename") or (PurePosixPath(path).name if path else "") or value.get("location") or name)
    secondary = value.get("secondaryFiles")
    items = [(str(number), item) for number, item in enumerate(secondary)] if isinstance(secondary, list) else []
    below = (*place, "secondaryFiles")
    children = tuple(_children(items, below, folder, budget)) if items and budget.take(len(items)) else None
    is_folder = value["class"] == "Directory"
    if state is None or stat.S_ISDIR(state.st_mode) != is_folder:
        return OutputNode(basename, ELSEWHERE, place, value=str(value.get("location") or ""))
    return OutputNode(
        basename,
        FOLDER if is_folder else FILE,
        place,
        path=path,
        size=None if is_folder else _size(value, state),
        checksum=value["checksum"] if isinstance(value.get("checksum"), str) else None,
        format=value["format"] if isinstance(value.get("format"), str) else None,
        total=len(items),
        children=children,
    )


def _size(value: dict[str, Any], state: os.stat_result) -> int:
    size = value.get("size")
    return size if isinstance(size, int) else state.st_size


def _state(place: Place, name: str | None) -> os.stat_result | None:
    """Return what is known of a plain file or folder, or None where there is none."""
    try:
        return place.state(name) if name is not None else None
    except (OSError, ValueError):
        return None


def _on_disk(entry: Entry, folder: Place, base: str) -> OutputNode:
    path = f"{base}/{entry.name}"
    state = _state(folder, entry.name)
    if state is None:
        return OutputNode(entry.name, ELSEWHERE, value="a link or a special file")
    if stat.S_ISDIR(state.st_mode):
        return OutputNode(entry.name, FOLDER, path=path)
    return OutputNode(entry.name, FILE, path=path, size=state.st_size)
