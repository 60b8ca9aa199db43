"""What a step does, and on what, as one digest: two that are equal lead to the same outputs. Needs no cwltool.

In it is the compiled document of the step, with the files of the upload that it names by their contents; the values
that it reads; the container engine and the version of cwltool. Nothing large is read for it, so that every step can
have one: a file that a step of a run has made counts by the checksum that cwltool has given it, or as the same file on
the disk; a file from elsewhere by its place and by what the disk says of its last change. What can't be told for
certain has no fingerprint.

Names in documents that mean nothing are left out: that of the main document, ids that the compiler draws, and names of
standard output that it makes of these.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cwl_ui_plugin.cwl.files import CLASSES, local_path, objects_of
from cwl_ui_plugin.cwl.plan import SOURCE_TOKEN, installed_engine, step_document_text

RESULTS = ".results"
"""In the folder of a run: a record of what each step has made, by its fingerprint."""
TAKEN = "taken"
"""In the folder of a try: files that were taken over from another run."""
MAX_LISTED = 10_000
"""Entries of a folder that are looked at; one with more has no fingerprint."""
_COMPARED_OTHERWISE = frozenset({"location", "path", "dirname", "secondaryFiles", "listing"})
"""Of a File or Directory. An expression may read all else, also fields that CWL does not know (``metadata``)."""
_LITERAL = "_:"
_CHUNK = 1 << 20
_DRAWN_NAME = re.compile(r"[0-9a-f]{40}")
"""What cwltool calls the standard output of a tool that names none: a digest of the tool with its drawn id."""


class NotCertain(Exception):
    """Whether a value is the same as another can't be told."""


@dataclass(frozen=True)
class RunPlaces:
    """Where files of values are: ``runs`` are folders with files that steps have made, ``source`` is the upload.

    ``seen`` has what the disk has said of files: the elements of a scattered step share some. ``fetched`` are files and
    folders that were fetched for the task, each with the name of what it was fetched from, which tells its content.
    """

    runs: tuple[Path, ...]
    source: Path
    seen: dict[Path, object] = field(default_factory=dict, compare=False)
    fetched: Mapping[Path, str] = field(default_factory=dict, compare=False)

    def is_made(self, path: Path) -> bool:
        """Whether a step of one of the runs has made a file."""
        return any(path.is_relative_to(folder) for folder in self.runs)

    def content_of(self, path: Path) -> list[str] | None:
        """Return what tells the content of what was fetched, or lies in a folder that was; None for all else."""
        around = (
            next((place for place in (path, *path.parents) if place in self.fetched), None) if self.fetched else None
        )
        return None if around is None else [self.fetched[around], path.relative_to(around).as_posix()]


class StepIdentity:
    """A step by its documents: ``names`` of them; ``main`` is the main document of the workflow."""

    def __init__(self, compiled: Path, source: Path, main: str, *names: str) -> None:
        self._compiled, self._source, self._names = compiled, source, names
        self._main = _id_of(main)
        self._uri = f"{SOURCE_TOKEN}{quote(main)}"

    @cached_property
    def digest(self) -> str | None:
        """The digest of what the step does; None where it asks for no reuse, or a file of the upload is not there."""
        try:
            texts = [step_document_text(self._compiled, name) for name in self._names]
            documents = [json.loads(self.plain(text)) for text in texts]
            if any(item.get("enableReuse") is not True for item in objects_of(documents, ["WorkReuse"])):
                return None
            return _digest([self._known(document) for document in documents])
        except (OSError, NotCertain, RecursionError):
            return None

    def plain(self, text: str) -> str:
        """Return ids, or a text with ids in it, without the name of the main document."""
        return text.replace(self._main, "cwl:#")

    def full(self, name: str) -> str:
        """Return an id with the name of the main document in it."""
        return name.replace("cwl:#", self._main, 1) if name.startswith("cwl:#") else name

    def _known(self, node: object) -> object:
        if isinstance(node, list):
            return [self._known(item) for item in node]
        if not isinstance(node, dict):
            return node
        location = node.get("location")
        if node.get("class") in CLASSES and isinstance(location, str) and location.startswith(SOURCE_TOKEN):
            path = local_path({"location": location.replace(SOURCE_TOKEN, self._source.resolve().as_uri() + "/")})
            return {**{key: self._known(value) for key, value in node.items() if key != "location"}, "": _content(path)}
        return {key: self._known(value) for key, value in self._named(node).items()}

    def _named(self, node: Mapping[str, object]) -> Mapping[str, object]:
        """Return an object without names that the compiler has drawn."""
        drawn = {node.get(stream) for stream in ("stdout", "stderr") if _is_drawn(node.get(stream))}
        found = {key: value for key, value in node.items() if key != "id" or not _means_nothing(value, self._uri)}
        return _without(found, drawn) if drawn else found


def fingerprint(identity: StepIdentity, values: object, places: RunPlaces, engine: str) -> str | None:
    """Return the fingerprint of a step on values; None where it has none, see above."""
    if identity.digest is None:
        return None
    try:
        text = json.dumps(_value(values, places), sort_keys=True, default=str)
    except (OSError, NotCertain, RecursionError):
        return None
    return _digest([identity.digest, identity.plain(text), engine, installed_engine()])


def _id_of(main: str) -> str:
    return f"cwl:{main}#"


def _is_drawn(name: object) -> bool:
    return isinstance(name, str) and _DRAWN_NAME.fullmatch(name) is not None


def _means_nothing(name: object, main: str) -> bool:
    return isinstance(name, str) and (name.startswith(_LITERAL) or name == main)


def _without(node: object, drawn: set[object]) -> Any:
    """Return a tool with the same word in the place of each drawn name."""
    if isinstance(node, list):
        return [_without(item, drawn) for item in node]
    if isinstance(node, dict):
        return {key: _without(value, drawn) for key, value in node.items()}
    return "drawn" if isinstance(node, str) and node in drawn else node


def _value(node: object, places: RunPlaces) -> object:
    """Return a value with every File and Directory as what tells it from another one."""
    if isinstance(node, list):
        return [_value(item, places) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") not in CLASSES:
        return {key: _value(value, places) for key, value in node.items()}
    found = {key: _value(value, places) for key, value in node.items() if key not in _COMPARED_OTHERWISE}
    found[""] = _what(node, places)
    for key in ("secondaryFiles", "listing"):
        if node.get(key):
            found[key] = _value(node[key], places)
    return found


def _what(item: Mapping[str, object], places: RunPlaces) -> object:
    path = local_path(item)
    if path is None:
        _check_literal(item)
        return None
    if fetched := places.content_of(path):
        return fetched  # and no checksum of the value, which a tool may have written
    if places.is_made(path) and item.get("checksum"):
        return [item["checksum"], item.get("size")]
    if path not in places.seen:
        places.seen[path] = _looked_at(path, places)
    return places.seen[path]


def _looked_at(path: Path, places: RunPlaces) -> object:
    if places.is_made(path):
        return _same_files(path)
    return _content(path) if path.is_relative_to(places.source) else [str(path), _changes(path)]


def _check_literal(item: Mapping[str, object]) -> None:
    """Check that contents or listing say all of a file that is on no disk; what the network has may change."""
    is_literal = str(item.get("location", _LITERAL)).startswith(_LITERAL)
    if not is_literal or not item.keys() & {"contents", "listing"}:
        raise NotCertain


def _same_files(path: Path) -> object:
    """Return what a file that a step has made is, or those of a folder, by their inodes: other names have the same."""
    return [
        [name, *((state.st_ino, state.st_size, state.st_mtime_ns) if state else ())] for name, state in _states(path)
    ]


def _changes(path: Path) -> object:
    """Return what the disk says of a file from elsewhere, or of all in a folder: a change of it changes that."""
    return [
        [name, *((state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns) if state else ())]
        for name, state in _states(path)
    ]


def _content(path: Path | None) -> object:
    """Return the digest of a file of the upload, or those of a folder."""
    if path is None:
        raise NotCertain
    if path.is_dir():
        return [[name, _content(path / name) if state else None] for name, state in _states(path)]
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _states(path: Path) -> list[tuple[str, os.stat_result | None]]:
    """Return a file, or all that is in a folder, by name; of folders in it, those with nothing in them, as None."""
    if not path.is_dir():
        return [("", path.stat())]
    found: list[tuple[str, os.stat_result | None]] = []
    for parent, folders, names in os.walk(path, onerror=_give_up):
        if any(Path(parent, name).is_symlink() for name in folders):
            raise NotCertain  # what is behind it is not looked at
        found += [(_below(path, parent, name), Path(parent, name).stat()) for name in names]
        if not folders and not names:
            found.append((_below(path, parent, "."), None))
        if len(found) > MAX_LISTED:
            raise NotCertain
    return sorted(found, key=lambda entry: entry[0])


def _below(folder: Path, parent: str, name: str) -> str:
    return Path(parent, name).relative_to(folder).as_posix()


def _give_up(error: OSError) -> None:
    raise error


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
