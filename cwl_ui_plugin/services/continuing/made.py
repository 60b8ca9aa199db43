"""What the steps of a run have left word of: their results, and whether the files of these are there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.files import file_objects, local_path
from cwl_ui_plugin.cwl.fingerprints import RESULTS
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.fetching.site import intermediate_root
from cwl_ui_plugin.opened import FILE, Place, place_of
from cwl_ui_plugin.services.errors import Conflict

MAX_RECORDS = 5_000
"""Results that are looked at."""
MAX_BYTES = 256 * 1024 * 1024
"""How much of results is read in all."""
MAX_STORED = 1_000
"""Results that are looked at in a store, each of which is a request."""
MAX_FILES = 100_000
"""Files of results that are looked for; of more, the rest are taken for being there."""


@dataclass
class Made:
    """What a task has made: ``results`` is how many there are, one for each element of a scattered step.

    ``is_gone`` tells that files of it were removed; ``can_do_without``, that it can be handed on nevertheless: all that
    is gone are files whose checksums are known. ``engine`` and ``runner`` are what has run it, empty where that is not
    known.
    """

    results: int = 0
    is_gone: bool = False
    can_do_without: bool = True
    engine: str = ""
    runner: str = ""


@dataclass
class MadeByRun:
    """What the tasks of a run have made, by task id; of all of them only where it ``is_whole``."""

    tasks: dict[str, Made] = field(default_factory=dict)
    is_whole: bool = True

    def of(self, task_id: str) -> Made | None:
        """Return what a task has made; of a run with more results than are looked at, the rest count as being there."""
        return self.tasks.get(task_id) or (None if self.is_whole else Made())


def made_in(dag_id: str, run_id: str) -> MadeByRun:
    """Return what the tasks of a run have made; nothing where the run's files were removed.

    Raises:
        Conflict: the store can't be asked.

    """
    if not shares_folders():
        return _made_in_store(dag_id, run_id)
    named, real = run_folder.run_tmp(dag_id, run_id), run_folder.real_run_tmp(dag_id, run_id)
    place = place_of(real, (config.tmp_folder(), *config.named_roots())) if real else None
    found = MadeByRun()
    if place is None or real is None:
        return found
    looked = 0
    for record in _records(place, found):
        made = _noted(record, found)
        for path, can_do_without in _files(record, (named, real)):
            looked += 1
            if looked <= MAX_FILES and _is_gone(path, place):
                made.is_gone = True
                made.can_do_without = made.can_do_without and can_do_without
    return found


def _noted(record: Mapping[str, object], found: MadeByRun) -> Made:
    made = found.tasks.setdefault(str(record.get("task")), Made())
    made.results += 1
    made.engine, made.runner = (str(record.get(name) or "") for name in ("engine", "runner"))
    return made


def _made_in_store(dag_id: str, run_id: str) -> MadeByRun:
    """Return what the tasks of a run have told the store, whose objects are there as long as that is."""
    from cwl_ui_plugin.dags.staging import marks, parallel
    from cwl_ui_plugin.dags.staging.objects import Objects

    found, root = MadeByRun(), intermediate_root()
    if root is None:
        return found
    store = Objects(root)

    def note(key: str, on_wait: Callable[[], None]) -> None:
        with suppress(ValueError, RecursionError):
            record = json.loads(store.read(key, MAX_BYTES // MAX_STORED, on_wait) or b"null")
            if isinstance(record, dict):
                records.append(record)
                return
        found.is_whole = False

    records: list[Mapping[str, object]] = []
    try:
        keys = [key for key, _moment in islice(store.listed(marks.results_of(dag_id, run_id), _go_on), MAX_STORED + 1)]
        found.is_whole = len(keys) <= MAX_STORED
        parallel.each(keys[:MAX_STORED], note, marks.AT_ONCE, _go_on)
    except FetchError as error:
        raise Conflict(f"What the run has made can't be looked at now: {error}") from error
    for record in records:
        _noted(record, found)
    return found


def _go_on() -> None:
    """Whoever asks waits as long as a store may take."""


def _records(place: Place, run: MadeByRun) -> Iterator[Mapping[str, object]]:
    """Yield what the records say, within bounds; note in ``run`` where these cut something off."""
    try:
        entries, is_cut = place.entries(RESULTS, MAX_RECORDS)
    except OSError:
        return
    left = MAX_BYTES
    run.is_whole = not is_cut
    for entry in entries:
        if entry.kind != FILE or not entry.name.endswith(".json"):
            continue
        with suppress(OSError, ValueError, RecursionError), place.open(f"{RESULTS}/{entry.name}") as file:
            text = file.read(left + 1)
            if len(text) > left:
                run.is_whole = False
                return
            left -= len(text)
            record = json.loads(text)
            if isinstance(record, dict):
                yield record


def _files(record: Mapping[str, object], roots: tuple[Path, ...]) -> Iterator[tuple[str, bool]]:
    """Yield the files of a record that the run has made, by name, and whether it can do without each."""
    for item in file_objects(record.get("outputs")):
        path = local_path(item)
        root = next((root for root in roots if path and path.is_relative_to(root)), None)
        if path is not None and root is not None:
            yield path.relative_to(root).as_posix(), item["class"] == "File" and bool(item.get("checksum"))


def _is_gone(name: str, place: Place) -> bool:
    try:
        place.state(name)
    except OSError:
        return True
    return False
