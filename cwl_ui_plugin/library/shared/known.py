"""What a machine knows of a bucket of workflows: files in its folder, for all of its processes.

::

    <workflows_folder>/.shared/index.json   the index at the last look, with its ETag in the first line
    <workflows_folder>/.shared/looked       touched by each look
    <workflows_folder>/.shared/brought.json which archives were unpacked here: ``{dag_id: {digest: sha256}}``
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import atomic, last_use
from cwl_ui_plugin.library.errors import StoreAway
from cwl_ui_plugin.library.shared.index import Index

Brought = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Seen:
    """An index, and its ETag."""

    index: Index
    etag: str


class Known:
    """The files of one machine. Safe to use from many processes and threads."""

    def __init__(self, root: Path) -> None:
        self._folder = root / ".shared"
        self._file = self._folder / "index.json"
        self._looked = self._folder / "looked"
        self._brought = self._folder / "brought.json"
        self._read: tuple[tuple[int, int], Seen] | None = None

    def seen(self) -> Seen | None:
        """Return the index at the last look; None where there was none, or what was kept of it is damaged."""
        try:
            state = self._file.stat()
            stamp = state.st_mtime_ns, state.st_ino
            if self._read is None or self._read[0] != stamp:
                etag, _, content = self._file.read_bytes().partition(b"\n")
                self._read = stamp, Seen(Index.from_json(content), etag.decode("utf-8", "replace"))
        except (FileNotFoundError, StoreAway):
            return None
        return self._read[1]

    def see(self, index: Index, etag: str) -> None:
        """Keep an index, unless a later one of the same bucket is known; note that it was looked for now."""
        with self._locked():
            known = self.seen()
            if known is None or known.index.id != index.id or known.index.serial <= index.serial:
                atomic.write_bytes(self._file, b"%s\n%s" % (etag.encode(), index.to_json().encode()))
            self._looked.touch()

    def looked(self) -> None:
        """Note that the bucket has the index that is known."""
        self._looked.touch()

    def seconds_since_look(self) -> float:
        """Return how long ago the last look was."""
        try:
            return max(0.0, time.time() - self._looked.stat().st_mtime)
        except FileNotFoundError:
            return float("inf")

    def brought(self) -> Brought:
        """Return which archives were unpacked here."""
        try:
            found = json.loads(self._brought.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def bring(self, dag_id: str, digest: str, sha256: str) -> None:
        """Note that an archive was unpacked here."""
        with self._locked():
            found = self.brought()
            found.setdefault(dag_id, {})[digest] = sha256
            self._write(found)

    def forget(self, gone: list[tuple[str, str]]) -> None:
        """Note that versions are not here any more."""
        with self._locked():
            found = self.brought()
            for dag_id, digest in gone:
                found.get(dag_id, {}).pop(digest, None)
            self._write({dag_id: digests for dag_id, digests in found.items() if digests})

    def _write(self, found: Brought) -> None:
        atomic.write_text(self._brought, json.dumps(found))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with last_use.locked(self._folder, fcntl.LOCK_EX):
            yield
