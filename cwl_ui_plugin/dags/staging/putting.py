"""Making objects of the files of values that a task hands on."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cwl_ui_plugin.cwl.files import CLASSES, local_path
from cwl_ui_plugin.cwl.jobs.file_objects import name_problem
from cwl_ui_plugin.dags.staging import folders, parallel
from cwl_ui_plugin.dags.staging.errors import NotPlain
from cwl_ui_plugin.dags.staging.references import Reference, References
from cwl_ui_plugin.dags.staging.sources import MayRead, State, digest_of, opened

MAX_LISTED = 1000
"""Entries of a folder that stay in its value; the next task finds them on its disk."""
_DERIVED = ("path", "dirname")
_ELSEWHERE = ("_:", "http://", "https://")
AT_ONCE = 8
Wait = Callable[[], None]
Known = Callable[[Path, State], "Reference | None"]


@dataclass(frozen=True)
class Made:
    """A file or folder of a value as an object: where its bytes are, and the objects that belong to it."""

    reference: Reference
    size: int
    source: Path
    others: Mapping[str, Path] = field(default_factory=dict)
    """Digests of large files of a folder, and where each is."""
    is_known: bool = False

    @property
    def keys(self) -> set[str]:
        """All objects that whoever reads it needs."""
        return {self.reference.key, *(Reference(digest).key for digest in self.others)}


class Putting:
    """The files of some values, each of which becomes an object once."""

    def __init__(self, references: References, place: Path, may_read: MayRead, known: Known) -> None:
        self._references, self._place = references, place
        self._may_read, self._known = may_read, known
        self.made: dict[tuple[str, Path], Made] = {}

    def prepare(self, values: object, on_wait: Wait) -> None:
        """Compute what the files of values become.

        Raises:
            NotPlain: one can't be handed on.
            OSError: one can't be read.

        """
        wanted = dict.fromkeys(self._places(values))
        parallel.each(wanted, self._prepare, AT_ONCE, on_wait)

    def referred(self, node: object, given: Mapping[str, str]) -> Any:
        """Return values with references in the place of the files that were prepared.

        ``given`` has the references that the task was given, each with its class: it may hand these on, and no others.
        """
        if isinstance(node, list):
            return [self.referred(item, given) for item in node]
        if not isinstance(node, dict):
            return node
        if node.get("class") not in CLASSES:
            return {key: self.referred(value, given) for key, value in node.items()}
        return self._referred(node, given)

    def keys(self, values: object) -> set[str]:
        """Return the objects of the files of values that were prepared: all that whoever reads them needs."""
        return set().union(*(self.made[place].keys for place in self._places(values)))

    def _places(self, node: object) -> Iterator[tuple[str, Path]]:
        """Yield class and place of the files of values."""
        if isinstance(node, list):
            for item in node:
                yield from self._places(item)
        elif isinstance(node, dict):
            path = local_path(node) if node.get("class") in CLASSES else None
            if path is not None:
                yield str(node["class"]), path
            for value in node.values():
                yield from self._places(value)

    def _referred(self, item: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
        kind, location, path = str(item["class"]), item.get("location"), local_path(item)
        found = {key: value for key, value in item.items() if key not in (*_DERIVED, "secondaryFiles")}
        if item.get("secondaryFiles"):
            found["secondaryFiles"] = self.referred(item["secondaryFiles"], given)
        if path is None and item.get("listing"):
            found["listing"] = self.referred(item["listing"], given)
        if path is not None:
            made = self.made[kind, path]
            found["location"] = self._references.location(made.reference)
            found["basename"] = _basename(item, path)
            found["size"] = made.size
        elif self._references.has(location):
            if given.get(str(location)) != kind:
                raise NotPlain(f"{str(location)[:200]} is no object that this task was given")
        elif location is not None and not str(location).startswith(_ELSEWHERE):
            raise NotPlain(f"{str(location)[:200]} is no place of a file that can be handed on")
        return found

    def _prepare(self, wanted: tuple[str, Path], on_wait: Wait) -> None:
        kind, path = wanted
        self.made[wanted] = (self._file if kind == "File" else self._folder)(path, on_wait)

    def _file(self, path: Path, on_wait: Wait) -> Made:
        with opened(path, self._may_read) as (file, real):
            state = State.of(file)
            known = self._known(real, state)
            if known is not None:
                return Made(known, state.size, real, is_known=True)
            digest = digest_of(file, state.size, on_wait)
        return Made(Reference(digest, is_executable=state.is_executable), state.size, real)

    def _folder(self, path: Path, on_wait: Wait) -> Made:
        listing, others = folders.Listing(), {}
        for name, place, state in folders.walked(path, self._may_read, on_wait):
            if state is None:
                listing.folders.append(name)
                continue
            made = self._file(place, on_wait) if state.st_size > folders.INLINE_BYTES else None
            is_executable = bool(state.st_mode & 0o100)
            digest = made.reference.digest if made else ""
            listing.files.append(folders.Entry(name, made.size if made else state.st_size, is_executable, digest))
            if made:
                others[digest] = made.source
        target = self._place / f"{uuid.uuid4().hex}.folder"
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = folders.write(listing, path, target, self._may_read, on_wait)
        return Made(Reference(digest, is_folder=True), target.stat().st_size, target, others)


def with_plain_folders(node: object) -> Any:
    """Return values whose folders on the disk list nothing but what is in them there.

    What is listed so has no location, and is left out where it is much: whoever reads the folder finds it there. A
    folder that lists something from elsewhere becomes one that is on no disk, with all that belongs to it.
    """
    if isinstance(node, list):
        return [with_plain_folders(item) for item in node]
    if not isinstance(node, dict):
        return node
    path = local_path(node) if node.get("class") == "Directory" else None
    listing = node.get("listing")
    if path is None or not isinstance(listing, list):
        return {key: with_plain_folders(value) for key, value in node.items()}
    others = {key: value for key, value in node.items() if key != "listing"}
    if all(_is_in(entry, path) for entry in listing):
        return {**others, "listing": _placeless(listing)} if _count(listing) <= MAX_LISTED else others
    names = {entry.get("basename") for entry in listing if isinstance(entry, dict)}
    rest = [entry for entry in _entries(path) if entry["basename"] not in names]
    plain = {key: value for key, value in others.items() if key not in ("location", *_DERIVED)}
    return {**plain, "basename": _basename(node, path), "listing": with_plain_folders([*listing, *rest])}


def _is_in(entry: object, folder: Path) -> bool:
    if not isinstance(entry, dict) or not isinstance(name := entry.get("basename"), str):
        return False
    path = folder / name
    if local_path(entry) != path or entry.get("secondaryFiles"):
        return False
    return all(_is_in(inner, path) for inner in entry.get("listing") or ())


def _placeless(listing: list[Any]) -> list[Any]:
    found = [{key: value for key, value in entry.items() if key not in ("location", *_DERIVED)} for entry in listing]
    return [{**entry, "listing": _placeless(entry["listing"])} if entry.get("listing") else entry for entry in found]


def _count(listing: list[Any]) -> int:
    waiting, count = [listing], 0
    while waiting and count <= MAX_LISTED:
        entries = waiting.pop()
        count += len(entries)
        waiting += [inner for entry in entries if isinstance(entry, dict) and (inner := entry.get("listing"))]
    return count


def _entries(folder: Path) -> list[dict[str, Any]]:
    with os.scandir(folder) as found:
        return [
            {
                "class": "Directory" if entry.is_dir() else "File",
                "location": Path(entry.path).as_uri(),
                "basename": entry.name,
            }
            for entry in sorted(found, key=lambda entry: entry.name)
        ]


def _basename(item: Mapping[str, Any], path: Path) -> str:
    name = item.get("basename") or path.name or os.path.basename(os.path.realpath(path))  # noqa: PTH119
    if reason := name_problem(name):
        raise NotPlain(reason)
    return str(name)
