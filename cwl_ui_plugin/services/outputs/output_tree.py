"""The outputs of a run as a tree to open bit by bit: lists and folders may be long, so each is given in pages."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

from cwl_ui_plugin.cwl.value_files import LongList
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.outputs.output_files import MAX_FILES, folder_entries, load, name_in
from cwl_ui_plugin.services.outputs.value_tree import (
    ELSEWHERE,
    FILE,
    FOLDER,
    PAGE,
    Node,
    basename_of,
    entry_nodes,
    nodes_of,
    state_of,
    text_of,
)
from cwl_ui_plugin.services.previewing.kinds import IMAGES
from cwl_ui_plugin.strict_json import is_text


def output_nodes(
    dag_id: str, run_id: str, place: Sequence[str] = (), offset: int = 0, *, known: Mapping[str, object] | None = None
) -> Page[Node]:
    """Return what is at a place of the output object, at most :data:`PAGE` of it; raise :class:`NotFound`.

    ``known`` is the output object, where it is known.
    """
    outputs, run_place = load(dag_id, run_id, known)
    return nodes_of(outputs or {}, partial(_file_node, run_place), place, offset)


def folder_nodes(dag_id: str, run_id: str, path: str, offset: int = 0) -> Page[Node]:
    """Return what is in a folder of the outputs, at most :data:`PAGE` of it; raise :class:`NotFound`.

    Of a folder with more than :data:`MAX_FILES` entries only so many are looked at.
    """
    place, entries, is_cut = folder_entries(dag_id, run_id, path, MAX_FILES)
    folder = place.below(path)
    base = "/".join(folder.parts[len(place.parts) :])
    shown = tuple(entry_nodes(entries[offset : offset + PAGE], folder, base))
    return Page(shown, len(entries), is_cut)


def _file_node(folder: Place, name: str, value: dict[str, object], place: tuple[str, ...]) -> Node:
    path = name_in(folder, value.get("location") or value.get("path"))
    state = state_of(folder, path)
    basename, is_folder = basename_of(value, name), value["class"] == "Directory"
    if state is None or stat.S_ISDIR(state.st_mode) != is_folder:
        return Node(basename, ELSEWHERE, place, value=str(value.get("location") or ""))
    return Node(
        basename,
        FOLDER if is_folder else FILE,
        place,
        path=path,
        size=None if is_folder else _size(value, state),
        checksum=text_of(value.get("checksum")),
        format=text_of(value.get("format")),
    )


def _size(value: Mapping[str, object], state: os.stat_result) -> int:
    size = value.get("size")
    return size if isinstance(size, int) else state.st_size


@dataclass(frozen=True)
class Picture:
    """A picture among the outputs, by its path in the run's output folder; ``output`` is the id of its output."""

    path: str
    output: str
    size: int


def pictures(dag_id: str, run_id: str, offset: int = 0) -> Page[Picture]:
    """Return the pictures among the first :data:`MAX_FILES` files of a run's outputs, at most :data:`PAGE` of them.

    Raise :class:`NotFound`.
    """
    files = output_files.files_of(dag_id, run_id)
    found = list(_pictures(islice(files, MAX_FILES)))
    return Page(tuple(found[offset : offset + PAGE]), len(found), next(files, None) is not None)


def _pictures(files: Iterator[output_files.FoundFile]) -> Iterator[Picture]:
    for file in files:
        if is_picture(file.path) and is_text(file.path):
            yield Picture(file.path, file.output, file.size)


def has_pictures(outputs: object) -> bool:
    """Whether an output object names two pictures or more; folders are not looked into unless they are listed.

    Of a list :data:`MAX_FILES` items are looked at, as when pictures are shown.
    """
    return len(list(islice(_named_pictures(outputs), 2))) == 2


def _named_pictures(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (list, LongList)):
            waiting += node[:MAX_FILES]
        elif isinstance(node, dict):
            waiting += node.values()
            if node.get("class") == "File" and is_picture(name := basename_of(node, "")):
                yield name


def is_picture(name: str) -> bool:
    """Whether a browser shows a file of that name as a picture."""
    return PurePosixPath(name.lower()).suffix in IMAGES
