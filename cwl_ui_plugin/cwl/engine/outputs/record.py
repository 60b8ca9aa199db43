"""What a run has delivered, noted before it is made, so that a try knows what an earlier one has left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from cwl_ui_plugin import atomic

OUTPUT_OBJECT = ".cwl-outputs.json"
"""What the output object is called in an object store; no output has this name."""
RECORD_OBJECT = ".cwl-record.json"
"""What the record is called there, which tries on other machines find; no output has this name either."""
MAX_RECORD = 64 * 1024 * 1024
_SAME_MOMENT = 1.0


@dataclass(frozen=True)
class Owner:
    """Whose a record is; ``created`` (seconds since 1970) tells runs of one name apart."""

    name: str = ""
    created: float = 0.0

    def own(self, content: bytes | None) -> dict[str, object] | None:
        """Return a record that was read; None for none, for what is no record, and for another run's."""
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            found = json.loads(content or b"")
            other = found["owner"]
            is_ours = other["name"] == self.name and abs(other["created"] - self.created) < _SAME_MOMENT
            return dict(found) if is_ours else None
        return None

    def marked(self, content: Mapping[str, object]) -> dict[str, object]:
        """Return a record that says whose it is."""
        return {**content, "owner": asdict(self)}


NOBODY = Owner()


class Copy(Protocol):
    """A copy of a record that all machines see; it counts where it is there."""

    def read(self) -> dict[str, object] | None:
        """Return the record; None where there is none of this run."""

    def write(self, content: Mapping[str, object]) -> None:
        """Replace the record."""


class Record:
    """What a run has delivered into its folder, in a file that only the plugin writes.

    ``{"names": [...], "digest": str, "outputs": {...}}``; the last two when the delivery of these values is complete.
    ``copy`` is there where outputs go to a store: the file may be on one of several machines.
    """

    def __init__(self, path: Path | None, digest: str, copy: Copy | None = None) -> None:
        self._path, self._digest, self._copy = path, digest, copy
        self._known = self._read()
        names = self._known.get("names")
        self._names = [str(name) for name in names] if isinstance(names, list) else []
        self._ours = frozenset(self._names)  # there may be a million, and as many are looked up
        self._planned: list[str] = []

    def outputs(self, are_there: Callable[[list[str]], bool]) -> dict[str, object] | None:
        """Return what these values were delivered as, if all that has these names is still there."""
        found = self._known.get("outputs")
        if self._known.get("digest") != self._digest or not isinstance(found, dict):
            return None
        return found if are_there(self._names) else None

    def taken(self, names: list[str]) -> set[str]:
        """Return which of the names in the folder are somebody else's."""
        return set(names) - self._ours

    def is_ours(self, name: str) -> bool:
        """Whether an earlier try has made what has this name."""
        return name in self._ours

    def plan(self, names: list[str]) -> None:
        """Note what is going to be made."""
        self._planned = names
        self._write({"names": sorted({*self._names, *names})})

    @contextmanager
    def noted(self, name: str) -> Iterator[None]:
        """Take back that a name is going to be the run's, if somebody else was faster."""
        try:
            yield
        except FileExistsError:
            self._write({"names": sorted({*self._names, *self._planned} - {name})})
            raise

    def stale(self) -> frozenset[str]:
        """Return the names of what earlier tries have made and this one has not."""
        return self._ours - set(self._planned)

    def complete(self, outputs: object) -> None:
        """Note that all is there."""
        names = {"names": self._planned}
        complete = {**names, "digest": self._digest, "outputs": outputs}
        is_small = len(json.dumps(complete)) < MAX_RECORD
        self._write(complete if is_small else names)  # without it, a second delivery makes all anew

    def _read(self) -> dict[str, object]:
        found = self._copy.read() if self._copy else None
        if found is None and self._path is not None:
            found = _read(self._path)
        return found or {}

    def _write(self, content: Mapping[str, object]) -> None:
        if self._path is not None:
            write(self._path, content)
        if self._copy is not None:
            self._copy.write(content)


def write(path: Path, content: Mapping[str, object]) -> None:
    """Replace the file of a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, json.dumps(content))


def _read(path: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            content = json.loads(file.read(MAX_RECORD))
        return content if isinstance(content, dict) else {}
    return {}
