"""Having the objects of values on this machine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from cwl_ui_plugin.cwl.files import CLASSES
from cwl_ui_plugin.cwl.jobs.file_objects import name_problem
from cwl_ui_plugin.dags.staging import folders, parallel
from cwl_ui_plugin.dags.staging.cache import Cache
from cwl_ui_plugin.dags.staging.errors import NotPlain
from cwl_ui_plugin.dags.staging.references import Reference, References
from cwl_ui_plugin.fetching.errors import NotThere

AT_ONCE = 8
Wait = Callable[[], None]
Note = Callable[[Path, Reference], None]
Others = Callable[[Iterable[str], Wait], set[str]]
"""Tells which objects are of no task of the run."""


@dataclass(frozen=True)
class _Wanted:
    reference: Reference
    size: int
    target: Path


class Fetching:
    """Files and folders of some values, in a folder of the task: each in one of its own, with what belongs to it."""

    def __init__(
        self, references: References, cache: Cache, place: Path, note: Note, others: Others, *, is_own: bool
    ) -> None:
        self._references, self._cache, self._place = references, cache, place
        self._note, self._others, self._is_own = note, others, is_own
        self._numbers = count()
        self._wanted: list[_Wanted] = []
        self._targets: set[Path] = set()
        self._single: dict[tuple[str, str], Path] = {}
        self.places: dict[Path, str] = {}
        """Where what was asked for is here, and where it is in the store."""

    def fetched(self, values: object, on_wait: Wait) -> Any:
        """Return values with their files here.

        Raises:
            FetchError: an object can't be had, or is not what it should be.
            NotPlain: a value is not what a task has put.
            OSError: a file can't be written.

        """
        here = self._local(values)
        for path in {wanted.target.parent for wanted in self._wanted}:
            path.mkdir(parents=True, exist_ok=True)
        self._check_own(on_wait)
        parallel.each(self._wanted, self._fetch, AT_ONCE, on_wait)
        return here

    def _check_own(self, on_wait: Wait) -> None:
        """Refuse objects of other runs: who can change a value may know their digests."""
        others = self._others({wanted.reference.key for wanted in self._wanted}, on_wait)
        for wanted in self._wanted:
            if wanted.reference.key in others:
                place = self._references.location(wanted.reference)
                raise NotThere(f"No task of this run has said to hand on {place}.", 404)

    def _local(self, node: object, beside: Path | None = None) -> Any:
        if isinstance(node, list):
            return [self._local(item, beside) for item in node]
        if not isinstance(node, dict):
            return node
        if node.get("class") in CLASSES and self._references.has(node.get("location")):
            return self._file_or_folder(node, beside)
        return {key: self._local(value) for key, value in node.items()}

    def _file_or_folder(self, item: Mapping[str, Any], beside: Path | None) -> dict[str, Any]:
        reference, name, size = self._references.of(item["location"]), item.get("basename"), item.get("size")
        if reference is None or reference.is_folder != (item["class"] == "Directory"):
            raise NotPlain(f"{str(item['location'])[:200]} is no object of a {item['class']}")
        if name_problem(name) or not isinstance(size, int) or size < 0:
            raise NotPlain(f"{str(item['location'])[:200]} has no name, or no size")
        path = self._path(item, reference, str(name), size, beside)
        found: dict[str, Any] = {**item, "location": path.as_uri()}
        if item.get("secondaryFiles"):
            found["secondaryFiles"] = [self._local(part, path.parent) for part in item["secondaryFiles"]]
        if item.get("listing"):
            found["listing"] = [_within(entry, path) for entry in item["listing"]]
        if reference.is_folder:
            del found["size"]
        return found

    def _path(self, item: Mapping[str, Any], reference: Reference, name: str, size: int, beside: Path | None) -> Path:
        """Return where an object is going to be; what belongs to a file lies beside it."""
        is_single = beside is None and not item.get("secondaryFiles") and not self._is_own
        known = self._single.get((str(item["location"]), name)) if is_single else None
        if known is not None:
            return known
        is_free = beside is not None and beside / name not in self._targets
        path = (beside if beside and is_free else self._place / str(next(self._numbers))) / name
        self._targets.add(path)
        self.places[path] = str(item["location"])
        self._wanted.append(_Wanted(reference, size, path))
        if is_single:
            self._single[str(item["location"]), name] = path
        return path

    def _fetch(self, wanted: _Wanted, on_wait: Wait) -> None:
        if wanted.reference.is_folder:
            self._fetch_folder(wanted, on_wait)
        else:
            self._fetch_file(wanted.reference, wanted.size, wanted.target, on_wait)

    def _fetch_file(self, reference: Reference, size: int, target: Path, on_wait: Wait) -> None:
        self._cache.place(reference, size, target, on_wait, is_own=self._is_own)
        self._note(target, reference)

    def _fetch_folder(self, wanted: _Wanted, on_wait: Wait) -> None:
        packed = wanted.target.with_name(f".{uuid.uuid4().hex}.folder")  # equal folders may lie side by side
        self._cache.place(wanted.reference, wanted.size, packed, on_wait, is_own=False)
        with packed.open("rb") as file:
            listing = folders.read(file)
            folders.unpack(file, listing, wanted.target, on_wait)
        packed.unlink()
        for entry in listing.files:
            if entry.digest:
                reference = Reference(entry.digest, is_executable=entry.is_executable)
                self._fetch_file(reference, entry.size, wanted.target / entry.path, on_wait)


def _within(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what a folder lists, as it is in the folder."""
    name = entry.get("basename")
    if name_problem(name):
        raise NotPlain("a folder lists something without a name")
    path = folder / str(name)
    found = {**entry, "location": path.as_uri()}
    if entry.get("class") == "Directory":
        found.pop("size", None)
    if entry.get("listing"):
        found["listing"] = [_within(inner, path) for inner in entry["listing"]]
    return found
