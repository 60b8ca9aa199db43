"""Delivering outputs to an object store: what is complete has its output object there, which is written last.

A try that was killed, or has failed, leaves objects without it. The next one, on whichever machine, knows them by the
record that is there, too; it takes over what is the same, and removes the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from cwltool.utils import visit_class

from cwl_ui_plugin.cwl.engine.outputs.placing import NotPlain, path_of, plain_file
from cwl_ui_plugin.cwl.engine.outputs.record import MAX_RECORD, OUTPUT_OBJECT, RECORD_OBJECT, Owner, Record
from cwl_ui_plugin.cwl.engine.outputs.targets import Target, Targets

_CHUNK = 1 << 20


class Store(Protocol):
    """A folder in a store that is one run's alone; names are relative, with slashes. Methods raise ``FetchError``."""

    def location(self, name: str) -> str:
        """Return the address of what has a name."""

    def begin(self) -> list[str]:
        """Give up what killed tries have left unfinished; return the names that are directly in the folder."""

    def put(self, file: BinaryIO, name: str, sha1: str) -> None:
        """Put an open file, unless it is there; one with a slash at the end of its name is an empty folder."""

    def is_there(self, name: str) -> bool:
        """Whether there is an object."""

    def read(self, name: str, most: int) -> bytes | None:
        """Return what an object has; None where there is none, or a larger one."""

    def remove(self, names: Iterable[str], kept: Container[str] = ()) -> None:
        """Remove objects, and all that is below their names, but those that are ``kept``."""


@dataclass(frozen=True)
class StoredRecord:
    """The record of what a run delivers, in the place that it delivers to."""

    store: Store
    owner: Owner

    def read(self) -> dict[str, object] | None:
        """Return the record of this run; see :class:`record.Copy`."""
        return self.owner.own(self.store.read(RECORD_OBJECT, MAX_RECORD))

    def write(self, content: Mapping[str, object]) -> None:
        """Replace the record."""
        _put_text(self.store, RECORD_OBJECT, json.dumps(self.owner.marked(content)))


@dataclass(frozen=True)
class _Measured:
    size: int
    checksum: str


def is_complete(store: Store) -> bool:
    """Whether all is there that was delivered."""
    return store.is_there(OUTPUT_OBJECT)


def deliver(outputs: object, store: Store, kept: Record) -> dict[str, object]:
    """Put the files of an output object, whose Directories have their listings; return it with their new locations.

    Raises:
        FetchError: the store does not take them.
        NotPlain, OSError: a file can't be delivered.

    """
    names = store.begin()
    targets = Targets(outputs, {*kept.taken(names), OUTPUT_OBJECT, RECORD_OBJECT})
    if OUTPUT_OBJECT in names:
        store.remove([OUTPUT_OBJECT])  # from here on, nobody takes the folder for a complete one
    kept.plan([*(target.name for target in targets.targets), OUTPUT_OBJECT])
    measured: dict[str, _Measured] = {}
    for target in targets.targets:
        for name, leaf in _leaves(target, PurePosixPath()):
            measured[name] = _put(store, name, leaf)
    # A folder may have had more in it, or have been a file, and the other way round.
    former = [target.name for target in targets.targets if kept.is_ours(target.name)]
    store.remove(sorted({*kept.stale(), *former}), kept=measured)
    start, delivered = len(store.location("")), targets.delivered(lambda place: store.location(place.as_posix()))

    def measure(item: dict[str, object]) -> None:
        found = measured[str(item["location"])[start:]]
        item |= {"size": found.size, "checksum": found.checksum}

    visit_class(delivered, ("File",), measure)
    kept.complete(delivered)
    _put_text(store, OUTPUT_OBJECT, json.dumps(delivered))
    return delivered


def _leaves(target: Target, above: PurePosixPath) -> Iterator[tuple[str, Target]]:
    """Yield files, and folders with nothing in them, whose names end with a slash."""
    place = above / target.name
    if not target.is_folder:
        yield place.as_posix(), target
    elif not target.children:
        yield f"{place.as_posix()}/", target
    for child in target.children:
        yield from _leaves(child, place)


def _put(store: Store, name: str, target: Target) -> _Measured:
    try:
        name.encode()
    except UnicodeError:
        raise NotPlain(f"{name!r} is no Unicode, and can't be the name of anything in an object store") from None
    with _opened(target) as file:
        size, sha1 = os.fstat(file.fileno()).st_size, _sha1(file)
        store.put(file, name, sha1)
    return _Measured(size, f"sha1${sha1}")


def _put_text(store: Store, name: str, text: str) -> None:
    with _literal(text) as file:
        store.put(file, name, _sha1(file))


@contextmanager
def _opened(target: Target) -> Iterator[BinaryIO]:
    if target.is_folder or target.contents is not None:
        with _literal(target.contents or "") as file:
            yield file
        return
    with plain_file(path_of(target.source)) as source, os.fdopen(source, "rb", closefd=False) as content:
        yield content


@contextmanager
def _literal(text: str) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        yield file


def _sha1(file: BinaryIO) -> str:
    found = hashlib.sha1(usedforsecurity=False)
    file.seek(0)
    while chunk := file.read(_CHUNK):
        found.update(chunk)
    return found.hexdigest()
