"""Documents of tasks on a machine that sees no store: fetched once by its agent, kept as long as they are used.

::

    <workflows_folder>/fetched/<key>/      a store with one revision of one workflow (see ``library.carrying``)
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.dags.access import grants
from cwl_ui_plugin.dags.relaying.errors import Away, RelayError
from cwl_ui_plugin.dags.relaying.server_calls import ServerCalls
from cwl_ui_plugin.library import carrying
from cwl_ui_plugin.library.errors import DamagedArchive

log = logging.getLogger(__name__)
T = TypeVar("T")
MOST_BYTES = 1024 * config.MEBIBYTE
"""Of one revision."""
MOST_KEPT = 500
UNUSED_SECONDS, ROOM_SECONDS = 30 * 86_400.0, 2 * 86_400.0
"""What nobody has used for so long is removed; of more than :data:`MOST_KEPT` after the shorter time."""
PRUNE_SECONDS = 3600.0
HALF_MADE_SECONDS = 86_400.0
"""What is being unpacked for so long is of an agent that was killed."""
_HALF_MADE = re.compile(r"\.[0-9a-f]{32}")
_PAUSES = (0.25, 0.5, 1.0, 2.0, 5.0)
_KNOWN = 10_000


class Fetched:
    """The documents of this machine. Safe to use from many threads: who asks for the same one waits for it."""

    def __init__(self) -> None:
        self._folder = config.workflows_folder() / "fetched"
        self._locks: dict[str, threading.Lock] = {}
        self._pinned: dict[tuple[str, str], str] = {}
        self._guard = threading.Lock()
        self._pruned = time.monotonic()

    def document(
        self, calls: ServerCalls, dag_id: str, version: str, is_wanted: Callable[[], bool]
    ) -> tuple[Path, str]:
        """Return the store with the document of a task, and its revision, as long as that ``is_wanted``.

        Raises:
            RelayError: the API server says no, or nobody wants it any more.

        """
        return patiently(lambda: self._document(calls, dag_id, version), f"The document of {dag_id}", is_wanted)

    def grant_key(self, calls: ServerCalls, name: str, is_wanted: Callable[[], bool]) -> None:
        """Fetch the public key of a grant; raise as :meth:`document` does."""

        def fetch() -> None:
            answer = calls.call("GET", f"/grant-keys/{name}")
            try:
                grants.keep_key(name, str(answer["key"]))
            except ValueError as error:
                raise RelayError(f"What the API server sends as a key of grants is none: {error}.") from error

        if not grants.is_key_id(name):
            raise RelayError("The grant of this run names no key.")
        patiently(fetch, "The key of a grant", is_wanted)

    def _document(self, calls: ServerCalls, dag_id: str, version: str) -> tuple[Path, str]:
        revision = self._pinned.get((dag_id, version)) if version else None
        if revision is None:
            answer = calls.call("GET", "/document")
            if answer["dag_id"] != dag_id:
                raise RelayError(f"The token of this task is not of {dag_id}")
            revision = str(answer["revision"])
            if version and len(self._pinned) < _KNOWN:
                self._pinned[dag_id, version] = revision
        key = carrying.key_of(dag_id, revision)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not last_use.use(self._folder / key):
                self._fetch(calls, dag_id, revision, self._folder / key)
        return self._folder / key, revision

    def _fetch(self, calls: ServerCalls, dag_id: str, revision: str, root: Path) -> None:
        with tempfile.TemporaryFile(dir=self._folder) as file:
            calls.fetch("/document/archive", file, MOST_BYTES, params={"revision": revision})
            file.seek(0)
            try:
                carrying.unpack(file, root, dag_id, revision, most=MOST_BYTES)
            except DamagedArchive as error:
                raise RelayError(str(error)) from error

    def prune(self) -> None:
        """Remove what nobody uses, if it is time."""
        if time.monotonic() - self._pruned < PRUNE_SECONDS:
            return
        self._pruned, now = time.monotonic(), time.time()
        found = []
        for path in self._folder.glob("[!.]*"):
            with suppress(OSError):
                found.append((path.stat().st_mtime, path))
        for number, (used, path) in enumerate(sorted(found, reverse=True)):
            allowed = UNUSED_SECONDS if number < MOST_KEPT else ROOM_SECONDS
            if now - used > allowed:
                with suppress(OSError):
                    last_use.take_away(path, unused_since=now - allowed)
        for left in self._folder.glob(f"{last_use.REMOVED}*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self._folder.glob(".*"):
            with suppress(OSError):
                if _HALF_MADE.fullmatch(left.name) and now - left.stat().st_mtime > HALF_MADE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)


def patiently(work: Callable[[], T], what: str, is_wanted: Callable[[], bool]) -> T:
    """Do something again and again while the API server is away, as long as it ``is_wanted``."""
    for attempt in count():
        try:
            return work()
        except Away as error:
            log.warning("%s waits for the API server: %s", what, error)
        if not is_wanted():
            break
        time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
    raise RelayError("the task's process is gone")
