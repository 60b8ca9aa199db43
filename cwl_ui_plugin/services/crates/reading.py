"""Reading a crate that somebody has sent: its zip and its metadata. All that is in it is hostile."""

from __future__ import annotations

import hashlib
import json
import zipfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.library import intake
from cwl_ui_plugin.library.intake import Limits
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, InvalidWorkflow, TooLarge

METADATA = "ro-crate-metadata.json"
MAX_METADATA = 16 * 1024 * 1024
CHUNK = 1024 * 1024
_CHECKSUMS = ("sha1", "sha256", "sha512", "md5")
Entity = dict[str, object]


class CrateFiles:
    """The files in the zip of a crate, by name. What is read of them all is bounded, whatever the zip says."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive, self._left, self._limits = archive, limits.unpacked_bytes, limits
        found = intake.members(archive, limits)
        self._members = {str(PurePosixPath(member.filename)): member for member in found}
        if len(self._members) < len(found):
            raise BadRequest("The crate has two files of one name.")
        self._names = sorted(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def below(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, at any depth."""
        first, after = (bisect_left(self._names, f"{folder}{end}") for end in ("/", chr(ord("/") + 1)))
        return self._names[first:after]

    def open(self, name: str) -> IO[bytes]:
        """Open a file; its size is not bounded here."""
        return self._archive.open(self._members[name])

    def read(self, name: str, most: int) -> bytes:
        """Return a file; raise :class:`TooLarge` for one with more than ``most`` bytes."""
        with self.open(name) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise TooLarge(f"{name!r} in the crate is larger than {bytes_text(most)}.")
        self._count(len(content))
        return content

    def check_copies(self, names: Iterable[str]) -> None:
        """Raise :class:`TooLarge` where files, one of them many times perhaps, are more than may be in a crate."""
        sizes = [self._members[name].file_size for name in names]
        if len(sizes) > self._limits.unpacked_files or sum(sizes) > self._limits.unpacked_bytes:
            raise TooLarge(
                f"The run of the crate was given {len(sizes)} files with {bytes_text(sum(sizes))}, some of them many "
                f"times; at most {self._limits.unpacked_files} with {bytes_text(self._limits.unpacked_bytes)} are kept."
            )

    def check(self, name: str, told: Entity) -> None:
        """Read a file for its checksums.

        Raises:
            InvalidWorkflow: it is another file than the crate says.
            TooLarge: the files unpack to more than is allowed.

        """
        digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in _CHECKSUMS if told.get(kind)}
        with self.open(name) as file:
            while chunk := file.read(CHUNK):
                self._count(len(chunk))
                for digest in digests.values():
                    digest.update(chunk)
        for kind, digest in digests.items():
            if str(told[kind]).lower() != digest.hexdigest():
                raise InvalidWorkflow(
                    f"{name!r} in the crate is not the file that was used: its {kind} is another one."
                )

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"The crate unpacks to more than {bytes_text(self._limits.unpacked_bytes)}.")


class CrateMetadata:
    """The entities of a crate by their ids."""

    def __init__(self, entities: Mapping[str, Entity]) -> None:
        self._entities = entities

    @classmethod
    def of(cls, files: CrateFiles) -> CrateMetadata:
        """Read the metadata; raise :class:`BadRequest` for what is none."""
        if METADATA not in files:
            raise BadRequest(f"This is no RO-Crate: there is no {METADATA} at the top of the zip.")
        try:
            found = strict_json.loads(files.read(METADATA, MAX_METADATA))
            json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is in no name and no answer
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{METADATA} can't be read: {str(error)[:200]}") from error
        graph = found.get("@graph") if isinstance(found, dict) else None
        if not isinstance(graph, list) or not all(isinstance(one, dict) and _is_text(one.get("@id")) for one in graph):
            raise BadRequest(f"{METADATA} has no @graph of things with an @id each.")
        entities = {str(one["@id"]): one for one in graph}
        if len(entities) < len(graph):
            raise BadRequest(f"{METADATA} describes a thing twice.")
        return cls(entities)

    def get(self, reference: object) -> Entity:
        """Return what a reference names; an empty entity where that is not described."""
        return self._entities.get(id_of(reference), {})

    def all_of(self, entity: Entity, name: str) -> Iterator[Entity]:
        """Yield what the values of a property refer to, as far as it is described."""
        for reference in as_list(entity.get(name)):
            if found := self.get(reference):
                yield found

    def workflow(self) -> Entity:
        """Return the CWL workflow that is the main entity; raise :class:`InvalidWorkflow`."""
        root = self.get(self.get({"@id": METADATA}).get("about") or {"@id": "./"})
        main = self.get(root.get("mainEntity"))
        if "ComputationalWorkflow" not in as_list(main.get("@type")):
            raise InvalidWorkflow("The crate has no workflow as its main entity: it can't be run.")
        language = main.get("programmingLanguage")
        named = self.get(language)
        told = " ".join(str(text) for text in (id_of(language), named.get("name"), named.get("alternateName")))
        if "cwl" not in told.lower() and "common workflow language" not in told.lower():
            raise InvalidWorkflow("The workflow of the crate is not in CWL.")
        return main

    def action(self, workflow: Entity) -> Entity:
        """Return the last run of the whole workflow that has not failed, or that has; empty where there is none."""
        done = [
            one
            for one in self._entities.values()
            if "CreateAction" in as_list(one.get("@type")) and id_of(one.get("instrument")) == workflow["@id"]
        ]
        return max(done, key=_is_later, default={})


def name_in_crate(identifier: str) -> str | None:
    """Return the name of a file that an id means, relative to the crate; None where it is elsewhere.

    Raises:
        BadRequest: it leads out of the crate.

    """
    try:
        parts = urlsplit(identifier)
    except ValueError:  # such as http://[
        return None
    if parts.scheme or parts.netloc:
        return None
    name = unquote(parts.path)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise BadRequest(f"The crate names the file {identifier[:200]!r}, which is outside of it.")
    return str(path)


def as_list(value: object) -> list[object]:
    """Return the values of a property, which may be alone."""
    return value if isinstance(value, list) else [] if value is None else [value]


def id_of(reference: object) -> str:
    """Return the id in a reference; empty where there is none."""
    found = reference.get("@id") if isinstance(reference, dict) else reference
    return found if isinstance(found, str) else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_later(action: Entity) -> tuple[bool, str]:
    return "Failed" not in str(action.get("actionStatus")), str(action.get("endTime"))
