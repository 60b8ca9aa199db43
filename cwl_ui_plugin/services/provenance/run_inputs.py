"""The inputs of a run: its job as a tree, whose files whoever asks may open as far as they may use them themselves.

A job names paths; what is there now may be another file, a link, a pipe. So a path is looked at only where
:class:`InputAccess` opens it, and a file is opened first, without following a link below the folder that opens it: see
:mod:`cwl_ui_plugin.opened`.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cwl_ui_plugin.cwl.files import CLASSES
from cwl_ui_plugin.cwl.jobs.types import is_remote
from cwl_ui_plugin.opened import Place, parts_of
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.inputs.access import InputAccess, real_path
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.outputs.output_files import MAX_FILES, local_path
from cwl_ui_plugin.services.outputs.value_tree import (
    CLOSED,
    ELSEWHERE,
    FILE,
    FOLDER,
    MISSING,
    PAGE,
    REMOTE,
    VALUE,
    Node,
    basename_of,
    entry_nodes,
    nodes_of,
    state_of,
    text_of,
    value_at,
)
from cwl_ui_plugin.services.provenance.run_files import location_of

MISSING_TEXT = "There is no such file among the inputs of the run that you may open."


@dataclass(frozen=True)
class _Opened:
    """A path without links, as the folder that it is in, and its name there."""

    folder: Place
    name: str

    @property
    def as_folder(self) -> Place:
        return self.folder.below(self.name) if self.name else self.folder


def input_nodes(
    dag_id: str,
    run_id: str,
    access: InputAccess,
    place: Sequence[str] = (),
    offset: int = 0,
    *,
    known: Mapping[str, object] | None = None,
) -> Page[Node]:
    """Return what is at a place of a run's job, at most :data:`PAGE` of it, without its secrets.

    ``known`` is that job, where it is known. Raise :class:`NotFound`.
    """
    job = job_of(dag_id, run_id) if known is None else known
    return nodes_of(job, partial(_file_node, access), place, offset)


def folder_nodes(
    dag_id: str, run_id: str, access: InputAccess, place: Sequence[str], path: str = "", offset: int = 0
) -> Page[Node]:
    """Return what is in a Directory of a run's job, or at ``path`` below it; raise :class:`NotFound`."""
    found = _below(_named(dag_id, run_id, place), access, path)
    try:
        entries, is_cut = found.as_folder.entries(most=MAX_FILES)
    except (OSError, ValueError):
        raise NotFound(MISSING_TEXT) from None
    shown = entries[offset : offset + PAGE]
    return Page(tuple(entry_nodes(shown, found.as_folder, path, tuple(place))), len(entries), is_cut)


def open_input(
    dag_id: str, run_id: str, access: InputAccess, place: Sequence[str], path: str = ""
) -> tuple[str, BinaryIO]:
    """Open a File of a run's job, or one at ``path`` below a Directory of it; return its name, too.

    Raise :class:`NotFound` where there is none that ``access`` opens.
    """
    value = _named(dag_id, run_id, place)
    found = _below(value, access, path)
    try:
        return (found.name if path else basename_of(value, found.name)), found.folder.open(found.name)
    except (OSError, ValueError):
        raise NotFound(MISSING_TEXT) from None


def named_input(dag_id: str, run_id: str, place: Sequence[str], path: str = "") -> tuple[str, str]:
    """Return what a File or Directory of a run's job is called, and where it is: a path without links, or an address.

    It is not looked at. Raise :class:`NotFound` where the job has none there.
    """
    value = _named(dag_id, run_id, place)
    location = location_of(value)
    if location is None:
        raise NotFound(MISSING_TEXT)
    if not path:
        return basename_of(value, place[-1]), location
    try:
        parts = parts_of(path)
    except OSError:
        raise NotFound(MISSING_TEXT) from None
    return parts[-1], str(Path(location, *parts))


def job_of(dag_id: str, run_id: str) -> dict[str, object]:
    """Return the job of a run without its secrets; raise :class:`NotFound`."""
    source = queries.run_source(dag_id, run_id)
    return {name: value for name, value in source.job.items() if name not in source.secrets}


def _named(dag_id: str, run_id: str, place: Sequence[str]) -> dict[str, object]:
    """Return the File or Directory at a place of the job."""
    value = value_at(job_of(dag_id, run_id), place)
    if not place or not isinstance(value, dict) or value.get("class") not in CLASSES:
        raise NotFound(MISSING_TEXT)
    return value


def _below(value: Mapping[str, object], access: InputAccess, path: str) -> _Opened:
    """Return what ``path`` is below a File or Directory; the path may be empty."""
    found = _opened(local_path(value.get("location") or value.get("path")), access)
    if found is None or (path and value["class"] != "Directory"):
        raise NotFound(MISSING_TEXT)
    try:
        below = found.as_folder.below(path) if path else None
    except OSError:
        raise NotFound(MISSING_TEXT) from None
    if below is None:
        return found
    if access.root_of(below.path) is None:  # a folder of somebody's within one of everybody's
        raise NotFound(MISSING_TEXT)
    return _Opened(Place(below.root, below.parts[:-1]), below.parts[-1])


def _opened(path: Path | None, access: InputAccess) -> _Opened | None:
    """Return where a path of the job is, if whoever asks may use it."""
    real = real_path(path) if path is not None else None
    root = access.root_of(real) if real is not None else None
    if real is None or root is None:
        return None
    parts = real.relative_to(root).parts
    return _Opened(Place(root, parts[:-1]), parts[-1] if parts else "")


def _file_node(access: InputAccess, name: str, value: dict[str, object], place: tuple[str, ...]) -> Node:
    location = value.get("location") or value.get("path")
    basename, format_ = basename_of(value, name), text_of(value.get("format"))
    if location is None and isinstance(value.get("contents"), str):
        return Node(basename, VALUE, place, value=value["contents"])
    path = local_path(location)
    if path is None:
        kind, address = (REMOTE if is_remote(location) else ELSEWHERE), text_of(location) or ""
        return Node(_plain(basename) if kind == REMOTE else basename, kind, place, value=address)
    found = _opened(path, access)
    if found is None:
        return Node(basename, CLOSED, place, value=str(path))
    state = state_of(found.folder, found.name)
    if state is None:
        is_special = _is_there(found)
        return Node(basename, ELSEWHERE if is_special else MISSING, place, value=str(path))
    is_folder = stat.S_ISDIR(state.st_mode)
    size = None if is_folder else state.st_size
    return Node(basename, FOLDER if is_folder else FILE, place, size=size, format=format_)


def _plain(basename: str) -> str:
    """Return the last part of an address without its query."""
    return basename.partition("?")[0]


def _is_there(found: _Opened) -> bool:
    """Whether there is something that is neither a plain file nor a folder."""
    try:
        entries, _is_cut = found.folder.entries(most=MAX_FILES)
    except (OSError, ValueError):
        return False
    return any(entry.name == found.name for entry in entries)
