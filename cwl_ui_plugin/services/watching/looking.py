"""One watched folder, looked at again and again: which sets are new, whole and quiet, and what became of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic

from cwl_ui_plugin.cwl.jobs.file_sets import FileSet, Found, Watch, sets_of
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.services.errors import ServiceError, Unavailable
from cwl_ui_plugin.services.watching import starts
from cwl_ui_plugin.services.watching.scanning import Scan, scan
from cwl_ui_plugin.services.watching.states import (
    CHANGING,
    INCOMPLETE,
    MAX_LISTED,
    READY,
    REFUSED,
    STARTED,
    FolderState,
    SetState,
)

log = logging.getLogger(__name__)
MAX_STARTS = 25
"""Runs that one look starts; the next look goes on."""
RETRY_SECONDS = 60.0
"""After which a set that was refused is tried again: its files may have become right."""


@dataclass
class Quiet:
    """Since when files have not changed, as far as this process has seen; times are :func:`time.monotonic`."""

    _since: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    def see(self, files: Iterable[Found], now: float) -> None:
        """Take note of all files of a folder."""
        before, self._since = self._since, {}
        for file in files:
            size, modified, since = before.get(file.path, (-1, -1, now))
            same = (size, modified) == (file.size, file.modified_ns)
            self._since[file.path] = (file.size, file.modified_ns, since if same else now)

    def seconds(self, files: FileSet, now: float) -> float:
        """Return for how long no file of a set has changed."""
        return now - max(self._since[file.path][2] for file in files.all_files())


class WatchedFolder:
    """The watched folder of a workflow, under one schedule."""

    def __init__(self, dag_id: str, schedule: Schedule, watch: Watch) -> None:
        self.dag_id = dag_id
        self.schedule = schedule
        self.watch = watch
        self._quiet = Quiet()
        self._refused: dict[str, tuple[str, float]] = {}

    def look(self, obstacle: str = "") -> FolderState:
        """Look once, start what can be started, and return how things stand. ``obstacle``: why nothing may start."""
        began = monotonic()
        found = self._scan()
        if found.problem:
            return FolderState(problem=found.problem, seconds=monotonic() - began)
        self._quiet.see(found.files, began)
        sets, others = sets_of(self.watch, found.files)
        started = starts.started_runs(self.dag_id)
        states = [self._state(one, started, began) for one in sets]
        if not obstacle:
            self._start_some(sets, states, started)
        return summary(found, states, others, obstacle, monotonic() - began)

    def _scan(self) -> Scan:
        """Look into the folder, if it is still where its author may look: it may have become a link."""
        try:
            is_allowed = starts.access_of(self.dag_id, self.schedule).allows(self.watch.folder)
        except ServiceError as error:
            return Scan(problem=error.message)
        if not is_allowed:
            return Scan(problem=f"The folder {self.watch.folder} is not one that inputs may come from any more.")
        return scan(self.watch.folder, self.watch.depth)

    def _state(self, files: FileSet, started: dict[str, str], now: float) -> SetState:
        key, names = files.key(self.watch), tuple(file.path for file in files.all_files())
        if key in started:
            return SetState(files.name, STARTED, names, run_id=started[key])
        if files.missing:
            return SetState(files.name, INCOMPLETE, names, missing=files.missing)
        quiet = self._quiet.seconds(files, now)
        if quiet < self.watch.settle:
            return SetState(files.name, CHANGING, names, seconds=self.watch.settle - quiet)
        why, until = self._refused.get(key, ("", 0.0))
        return SetState(files.name, REFUSED, names, why=why) if now < until else SetState(files.name, READY, names)

    def _start_some(self, sets: list[FileSet], states: list[SetState], started: dict[str, str]) -> None:
        ready = [number for number, state in enumerate(states) if state.state == READY]
        for number in ready[:MAX_STARTS]:
            states[number] = self._start(sets[number], states[number], started)

    def _start(self, files: FileSet, state: SetState, started: dict[str, str]) -> SetState:
        key = files.key(self.watch)
        try:
            started[key] = starts.start(self.dag_id, self.schedule, self.watch, files)
        except Unavailable as error:
            log.warning("The run of %s in %s can't be started now: %s", files.name, self.watch.folder, error)
            return state
        except ServiceError as error:
            why = "; ".join([error.message, *map(str, error.problems)])
            self._refused[key] = (why, monotonic() + RETRY_SECONDS)
            log.warning("%s in %s does not start %s: %s", files.name, self.watch.folder, self.dag_id, why)
            return SetState(state.name, REFUSED, state.files, why=why)
        self._refused.pop(key, None)
        return SetState(state.name, STARTED, state.files, run_id=started[key])


def summary(found: Scan, states: list[SetState], others: list[Found], obstacle: str, seconds: float) -> FolderState:
    """Return how a folder stands, bounded."""
    return FolderState(
        problem=obstacle,
        seconds=seconds,
        counts=dict(Counter(state.state for state in states)),
        sets=tuple(sorted(states, key=lambda state: state.order)[:MAX_LISTED]),
        refused=dict(list(found.refused.items())[:MAX_LISTED]),
        refused_count=len(found.refused),
        others=tuple(file.path for file in others[:MAX_LISTED]),
        others_count=len(others),
        ignored=found.ignored,
    )
