"""What a run has delivered, noted before it is made, so that a try knows what an earlier one has left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cwl_ui_plugin import atomic

OUTPUT_OBJECT = ".cwl-outputs.json"
"""What the output object is called in an object store; no output has this name."""
MAX_RECORD = 64 * 1024 * 1024


class Record:
    """What a run has delivered into its folder, in a file that only the plugin writes.

    ``{"names": [...], "digest": str, "outputs": {...}}``; the last two when the delivery of these values is complete.
    """

    def __init__(self, path: Path | None, digest: str) -> None:
        self._path, self._digest = path, digest
        self._known = _read(self._path) if self._path else {}
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

    def _write(self, content: Mapping[str, object]) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self._path, json.dumps(content))


def _read(path: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            content = json.loads(file.read(MAX_RECORD))
        return content if isinstance(content, dict) else {}
    return {}
