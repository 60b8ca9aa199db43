"""The files of a run in its crate: under which names, which of them the crate brings along, and how they are opened."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from uuid import NAMESPACE_URL, uuid5

from cwl_ui_plugin import addresses, config, store_paths
from cwl_ui_plugin.cwl.jobs.types import is_remote
from cwl_ui_plugin.dags.remote_inputs import Origins
from cwl_ui_plugin.fetching.storage_roots import is_stored, uri_of
from cwl_ui_plugin.opened import Place, place_of
from cwl_ui_plugin.services.crates.facts import RunFacts
from cwl_ui_plugin.services.crates.graph import CrateGraph, Reference
from cwl_ui_plugin.services.inputs.access import InputAccess, real_path
from cwl_ui_plugin.services.outputs.output_files import local_path, name_in

OUTPUTS = "outputs"
INPUTS = "inputs"
LITERAL = "_:"
"""What the location of a file begins with that stands in the job itself."""
MAX_FILES = 10_000
"""Files that a crate describes one by one, of all others it tells nothing; its zip has all of an output folder."""
Opener = Callable[[], BinaryIO]


@dataclass
class CrateFiles:
    """Describes Files and Directories of values in a graph, each once, and collects what the crate brings along.

    Without ``with_data`` nothing is brought: outputs are named by their addresses in the REST API at ``server``.
    """

    facts: RunFacts
    access: InputAccess
    with_data: bool
    server: str
    brought: dict[str, Opener] = field(default_factory=dict)
    """By name in the crate."""
    _known: dict[object, Reference] = field(default_factory=dict)
    """By location, and, as a delivered file is a copy of one that a step has made, by name and checksum."""
    _fetched: Origins | None = None
    """Where files from the network came to, with their addresses; looked up on first use."""
    _folders: int = 0
    _count: int = 0
    is_cut: bool = False
    """Whether there were more files than are described."""

    def described(self, graph: CrateGraph, value: dict[str, object]) -> Reference | None:
        """Return the entity of a File or Directory; None beyond the bound."""
        location = str(value.get("location") or value.get("path") or "")
        content = (value.get("basename"), value.get("checksum"))
        main = self._known.get(location) or self._known.get(content)
        if main is None and self._count >= MAX_FILES:
            self.is_cut = True
            return None
        main = main or self._describe(graph, value, location)
        if location:
            self._known[location] = main
        if all(content):
            self._known.setdefault(content, main)
        return main

    def _describe(self, graph: CrateGraph, value: dict[str, object], location: str) -> Reference:
        self._count += 1
        is_folder = value.get("class") == "Directory"
        path = local_path(location)
        name = str(value.get("basename") or _last_part(location) or "literal")
        properties: dict[str, object] = {"name": name}
        if not is_folder:
            properties |= _about_file(value)
        identifier = self._literal(value, name) or self._identifier(value, path, name)
        if identifier.startswith(("http:", "https:")):
            properties["sdDatePublished"] = self.facts.run.summary.ended_at
        return graph.add_part(identifier, "Dataset" if is_folder else "File", **properties)

    def _identifier(self, value: dict[str, object], path: Path | None, name: str) -> str:
        """Return what a file is called in the crate: a name in it, or where it is else."""
        is_folder = value.get("class") == "Directory"
        location, checksum = str(value.get("location") or value.get("path") or ""), str(value.get("checksum") or "")
        end = "/" if is_folder else ""
        inside = name_in(self.facts.place, location)
        if inside is None and (address := self._address(location, path)) is not None:
            return address
        if inside is not None and len(self.brought) < MAX_FILES:
            if self.with_data and self._brings(self.facts.place, inside, f"{OUTPUTS}/{inside}", is_folder=is_folder):
                return _uri_part(f"{OUTPUTS}/{inside}{end}")
            summary = self.facts.run.summary
            if self.server and not is_folder:
                return self.server + addresses.output_file(summary.dag_id, summary.run_id, inside)
        if self.with_data and path is not None and (place := self._input(path, whole=is_folder)) is not None:
            target = self._target(name)
            if self._brings(place, "", target, is_folder=is_folder):
                return _uri_part(f"{target}{end}")
        if (address := self._address(location, path)) is not None:
            return address
        if path is not None and path.is_absolute() and not path.is_relative_to(config.tmp_folder()):
            return path.as_uri() + end
        # What only tasks have seen is named by its content, or by nothing that tells where it was.
        algorithm, _, digest = checksum.partition("$")
        return f"urn:{algorithm}:{digest}" if digest else f"urn:uuid:{uuid5(NAMESPACE_URL, location)}{end}"

    def _address(self, location: str, path: Path | None) -> str | None:
        """Return where a file on the network is that the run has fetched; without the query, which may hold a key."""
        if not is_remote(location):
            if self._fetched is None:
                self._fetched = Origins(self.facts.run.job)
            location = self._fetched.address_of(path) if path is not None else ""
        if is_stored(location):
            return uri_of(location)
        return location.partition("#")[0].partition("?")[0] or None

    def _literal(self, value: dict[str, object], name: str) -> str | None:
        """Bring along a file whose content stands in the job; return what it is called."""
        text = value.get("contents")
        location = str(value.get("location") or value.get("path") or LITERAL)
        if not isinstance(text, str) or not location.startswith(LITERAL):
            return None
        target = self._target(name)
        self.brought[target] = partial(io.BytesIO, text.encode("utf-8", "replace"))
        return _uri_part(target)

    def _target(self, name: str) -> str:
        """Return a name of its own for an input that the crate brings along."""
        self._folders += 1
        return f"{INPUTS}/{self._folders}/{name.replace('/', '_')}"

    def _input(self, path: Path, *, whole: bool) -> Place | None:
        """Return the place of an input that the user may read, opened through no link."""
        real = real_path(path)
        if real is None or not self.access.allows(real, whole=whole) or (root := self.access.root_of(real)) is None:
            return None
        return place_of(real, (root,))

    def _brings(self, place: Place, inside: str, target: str, *, is_folder: bool) -> bool:
        """Bring along a file, or the files of a folder; return whether it is there."""
        try:
            if not is_folder:
                _check_there(place, inside)
                self.brought[target] = partial(_opened, place, inside)
                return True
            for name in _names(place, inside):
                below = f"{inside}/{name}" if inside else name
                self.brought[f"{target}/{name}"] = partial(place.open, below)
        except (OSError, ValueError):
            return False
        return True


def _last_part(location: str) -> str:
    """Return the name of what is at a location; of an address without its query, which may hold a key."""
    return PurePosixPath(location.partition("?")[0] if "://" in location else location).name


def _check_there(place: Place, inside: str) -> None:
    """Raise OSError for a file that can't be brought along; a store is not asked for each that it was given."""
    if store_paths.is_stored(place.path):
        place.state(inside)
    else:
        _opened(place, inside).close()


def _opened(place: Place, inside: str) -> BinaryIO:
    """Open a file below a place, or the place itself if it is one."""
    if inside:
        return place.open(inside)
    parent = Place(place.root, place.parts[:-1])
    return parent.open(place.parts[-1])


def _names(place: Place, inside: str) -> Iterator[str]:
    folder = place.below(inside) if inside else place
    for number, name in enumerate(folder.files()):
        if number == MAX_FILES:
            return
        yield name


def _about_file(value: dict[str, object]) -> dict[str, object]:
    """Return what a File object says about its file, as schema.org has it."""
    checksum, size = str(value.get("checksum") or ""), value.get("size")
    algorithm, _, digest = checksum.partition("$")
    return {
        "contentSize": str(size) if isinstance(size, int) else None,
        "sha1": digest if algorithm == "sha1" else None,
        "encodingFormat": value.get("format") or _media_type(str(value.get("basename") or "")),
    }


def _media_type(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _uri_part(name: str) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(name), safe="/")
