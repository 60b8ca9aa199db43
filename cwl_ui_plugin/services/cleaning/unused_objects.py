"""Objects of ``[cwl] intermediate_storage`` that no run reads any more: found by what runs say of theirs, and removed.

A round looks at a part of the store, and the next one at what follows: keys begin with digits of their digests, so that
each part is as good as any other. What two API servers do at a time is done twice, and no harm.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.fetching.site import intermediate_root

if TYPE_CHECKING:
    from cwl_ui_plugin.dags.staging.objects import Objects

log = logging.getLogger(__name__)
EVERY_SECONDS = 3600.0
ROUND_SECONDS = 300.0
"""How long a round may take; a store may be silent."""
MAX_REMOVED = 10_000
"""Objects that one round removes."""
PARTS = [f"{number:02x}" for number in range(256)]
Run = tuple[str, str]


class _TooLong(Exception):
    """The round has taken all of its time; the next one goes on."""


class ObjectsRound:
    """A round of the background loop that removes objects in a thread of its own."""

    def __init__(self) -> None:
        self._due = time.monotonic()
        self._sweep = Sweep(live_runs)
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Remove some objects, if it is time."""
        if (self._thread and self._thread.is_alive()) or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_SECONDS
        if config.intermediate_storage():
            self._thread = threading.Thread(target=self._try, name="cwl-objects", daemon=True)
            self._thread.start()

    def _try(self) -> None:
        try:
            removed = self._sweep.go_on()
        except (FetchError, _TooLong) as error:
            log.warning("Objects that no run reads can't be removed now; it is tried again: %s", error)
        except Exception:
            log.exception("Removing objects that no run reads failed; it is tried again")
        else:
            log.info("Removed %d objects that no run reads", removed)


class Sweep:
    """Going through the store, part by part; ``live`` returns the runs that may read objects yet."""

    def __init__(self, live: Callable[[], Iterable[Run]]) -> None:
        self._live = live
        self._next = 0
        self._uses = _Uses()

    def go_on(self) -> int:
        """Remove what no live run has said to use, in as many parts as a round has time for; return how many objects.

        Raises:
            FetchError: the store can't be asked; nothing more is removed then.

        """
        from cwl_ui_plugin.dags.staging.objects import Objects

        root = intermediate_root()
        return 0 if root is None else _Round(Objects(root), self._uses).go(self._live(), self._parts())

    def _parts(self) -> Iterable[str]:
        for _part in PARTS:
            yield PARTS[self._next]
            self._next = (self._next + 1) % len(PARTS)


class _Round:
    """One round: what is told of times is by the clock of the store."""

    def __init__(self, objects: Objects, uses: _Uses) -> None:
        self._objects, self._uses = objects, uses
        self._deadline = time.monotonic() + ROUND_SECONDS
        self._is_asked = False
        """Whether the store was asked to remove an object, and has not answered: it may do so any time."""

    def go(self, live: Iterable[Run], parts: Iterable[str]) -> int:
        """Forget the marks of runs that are over; remove what none of the others names."""
        from cwl_ui_plugin.dags.staging import marks
        from cwl_ui_plugin.dags.staging.objects import written

        names = {marks.run_name(*run) for run in live}
        now = written(self._objects.put_text("clock", uuid.uuid4().hex.encode(), self._wait))
        self._forget(names, now)
        removed = 0
        for part in parts:
            old = self._old(part, now)
            if old:
                removed += self._remove(old, now)
            if removed >= MAX_REMOVED or time.monotonic() > self._deadline - marks.SWEEP_SECONDS:
                break
        return removed

    def _forget(self, live: set[str], now: datetime) -> None:
        """Forget what other runs have said once their objects may go, too: a task of theirs may be cleared yet.

        So are outputs for reuse that were not used for long.
        """
        from cwl_ui_plugin.dags.staging import marks

        over = [
            key
            for prefix in (marks.RUNS, marks.RESULTS)
            for key, moment in self._objects.listed(f"{prefix}/", self._wait)
            if key.split("/")[1] not in live and marks.is_old(moment, now)
        ]
        words = self._objects.listed(f"{marks.SWEEPING}/", self._wait)
        over += [key for key, moment in words if marks.is_old(moment, now)]
        if days := config.number("keep_reuse_days"):
            kept = self._objects.listed(f"{marks.REUSE}/", self._wait)
            over += [key for key, moment in kept if now - moment > timedelta(days=days)]
        self._objects.remove(over, self._wait)

    def _old(self, part: str, now: datetime) -> list[str]:
        from cwl_ui_plugin.dags.staging import marks
        from cwl_ui_plugin.dags.staging.references import OBJECTS

        self._wait()
        listed = self._objects.listed(f"{OBJECTS}/{part}/", self._wait)
        return [key for key, moment in listed if marks.is_old(moment, now)][:MAX_REMOVED]

    def _remove(self, old: list[str], now: datetime) -> int:
        """Remove objects that no run uses: said first, so that a task that begins to use one waits."""
        from cwl_ui_plugin.dags.staging import marks

        self._uses.read(self._objects, self._wait)
        if all(map(self._uses.has, old)):
            return 0
        word, began = f"{marks.SWEEPING}/{uuid.uuid4().hex}", time.monotonic()
        removed = 0
        try:
            self._objects.put_text(word, uuid.uuid4().hex.encode(), self._wait)
            self._uses.read(self._objects, self._wait)
            for key in old:
                if self._uses.has(key):
                    continue
                is_old = self._is_still_old(key, now)
                if time.monotonic() - began > marks.SWEEP_SECONDS:  # also where the store was silent until now
                    break
                removed += self._removed(key) if is_old else 0
        finally:
            if not self._is_asked:
                with suppress(FetchError):  # it grows old
                    self._objects.remove([word], lambda: None)
        return removed

    def _removed(self, key: str) -> int:
        self._is_asked = True
        self._objects.remove([key], self._wait)
        self._is_asked = False
        return 1

    def _is_still_old(self, key: str, now: datetime) -> bool:
        """Whether an object was not written anew since it was listed."""
        from cwl_ui_plugin.dags.staging import marks

        moment = self._objects.written(key, self._wait)
        return moment is not None and marks.is_old(moment, now)

    def _wait(self) -> None:
        if time.monotonic() > self._deadline:
            raise _TooLong("the store is too slow")


class _Uses:
    """What marks, and records of outputs for reuse, say; each is read once, as none is written anew.

    An object is known by a number.
    """

    def __init__(self) -> None:
        self._said: dict[str, frozenset[int]] = {}
        self._merged: set[str] = set()
        self._used: set[int] = set()

    def has(self, key: str) -> bool:
        """Whether a run uses an object, as far as was read."""
        return _number(key) in self._used

    def read(self, objects: Objects, on_wait: Callable[[], None]) -> None:
        """Know what runs use now; what was read stays known where that is not done to the end.

        Raises:
            FetchError: the store can't be asked.
            ValueError: a mark is none.

        """
        from cwl_ui_plugin.dags.staging import marks, parallel

        def add(key: str, on_wait: Callable[[], None]) -> None:
            content = objects.read(key, marks.MAX_MARK, on_wait)
            self._said[key] = frozenset(map(_number, marks.marked(content) if content is not None else ()))

        prefixes = (marks.RUNS, marks.REUSE)
        listed = {key for prefix in prefixes for key, _moment in objects.listed(f"{prefix}/", on_wait)}
        for key in self._said.keys() - listed:
            del self._said[key]
        parallel.each(listed - self._said.keys(), add, marks.AT_ONCE, on_wait)
        if self._merged != listed:
            self._merged, self._used = listed, set().union(*(self._said[key] for key in listed))


def _number(key: str) -> int:
    """Return what is kept of a key, of which there may be millions; where two have one, both stay."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def live_runs() -> list[Run]:
    """Return the runs that may read objects yet: those that go on, and failed ones that can be made to go on."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import or_, select

    kept = datetime.now(timezone.utc) - timedelta(days=config.number("keep_failed_days"))
    ended = (DagRunState.SUCCESS, DagRunState.FAILED)
    failed = (DagRun.state == DagRunState.FAILED) & (DagRun.end_date > kept)
    query = select(DagRun.dag_id, DagRun.run_id).where(or_(DagRun.state.not_in(ended), failed))
    with create_session(scoped=False) as session:
        found = [(dag_id, run_id) for dag_id, run_id in session.execute(query)]
    return [*found, *control_files.runs()]
