"""Files between the tasks of a run as objects of a store.

Between tasks a File or Directory has the ``location`` of its object (see ``references``), ``basename`` and ``size``;
a task has it as a file on its own disk, in ``staged`` of its folder. What it hands on is put into the store before
anybody is told of it; objects are named by their content, so that what is there already is not sent.

A task reads objects that tasks of its run have said to hand on, and no others, whatever its values name: it may hand
on a reference that it was given, or files that it may read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.files import file_objects
from cwl_ui_plugin.dags.staging import marks, parallel
from cwl_ui_plugin.dags.staging.cache import FOLDER_NAME, Cache
from cwl_ui_plugin.dags.staging.errors import FETCHING, PUTTING, told
from cwl_ui_plugin.dags.staging.fetching import Fetching
from cwl_ui_plugin.dags.staging.interface import Value
from cwl_ui_plugin.dags.staging.objects import Objects, written
from cwl_ui_plugin.dags.staging.putting import AT_ONCE, Made, Putting, with_plain_folders
from cwl_ui_plugin.dags.staging.references import Reference, References
from cwl_ui_plugin.dags.staging.results import StagedResults, TaskPlace
from cwl_ui_plugin.dags.staging.sources import MayRead, State, opened
from cwl_ui_plugin.dags.staging.staged_values import StagedValues

if TYPE_CHECKING:
    from datetime import datetime

    from cwl_ui_plugin.cwl.value_files import Written
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry
    from cwl_ui_plugin.fetching.storage_roots import StorageRoot

STAGED = "staged"
"""In the folder of a try: what its task reads."""
HANDED_ON = "handed_on"
"""In the folder of a try: lists of folders, while they are put."""
VALUES = "values"
"""In the folder of a try: values that were too large for an XCom."""


@dataclass(frozen=True)
class Try:
    """The try of a task that values are staged for: the names of its run and its own, and its folder."""

    dag_id: str
    run_id: str
    name: str
    folder: Path


@dataclass
class StagedObjects:
    """Files go from task to task as objects of a store.

    ``may_read`` says whether the run may read a file, by its path without links; ``on_wait`` is called often, and
    raises when the run was stopped.
    """

    root: StorageRoot
    task: Try
    may_read: MayRead
    on_wait: Callable[[], None]
    _given: dict[str, str] = field(default_factory=dict)
    _fetched: dict[Path, tuple[Reference, int, int]] = field(default_factory=dict)
    _here: dict[Path, str] = field(default_factory=dict)
    _results: StagedResults | None = None

    def __post_init__(self) -> None:
        self._objects = Objects(self.root)
        self._references = References(self.root)
        self._handed_on = marks.HandedOn(self._objects, self.task.dag_id, self.task.run_id)
        folder = config.tmp_folder() / FOLDER_NAME
        self._cache = Cache(folder, config.number("intermediate_cache_size"), self._objects)
        self._values = StagedValues(self._objects, self.task.folder / VALUES, self.on_wait)
        self._places = (self.task.folder / STAGED / str(number) for number in count())

    def note(self, values: object) -> None:
        """Know the references that the task was given."""
        for item in file_objects(values):
            if self._references.has(location := item.get("location")):
                self._given[str(location)] = str(item["class"])

    def fetch(self, values: Value, *, is_own: bool = False) -> Value:
        """Return values with their files in the folder of the task."""
        self.note(values)
        place, others = next(self._places), self._handed_on.others
        fetching = Fetching(self._references, self._cache, place, self._note_fetched, others, is_own=is_own)
        with told(FETCHING):
            here: Value = fetching.fetched(values, self.on_wait)
            self._here.update(fetching.places)
            self._cache.make_room()
        return here

    def put(self, values: Value) -> Value:
        """Return values with references, once the store has their objects."""
        plain = with_plain_folders(values)
        putting = Putting(self._references, self.task.folder / HANDED_ON, self.may_read, self._known)
        try:
            with told(PUTTING):
                putting.prepare(plain, self.on_wait)
                handed_on: Value = putting.referred(plain, self._given)
                self._put_all([made for made in putting.made.values() if not made.is_known])
                if self._results is not None:
                    self._results.keep(partial(self._in_store, putting))
        finally:
            shutil.rmtree(self.task.folder / HANDED_ON, ignore_errors=True)
        return handed_on

    def keep_value(self, run: tuple[str, str], write: Callable[[BinaryIO], Written]) -> Written:
        """Put a value into the store."""
        with told(PUTTING):
            return self._values.keep(run, self.task.name, write)

    def open_value(self, run: tuple[str, str], known: Written) -> BinaryIO:
        """Open a value as a file in the folder of the task."""
        with told(FETCHING):
            return self._values.open(run, known)

    def results(self, task: TaskTry, continued: str | None) -> StagedResults:
        """Return where the results of the steps of this task are; what it makes is kept when it is put."""
        from cwl_ui_plugin.dags.folders import run_folder

        folder = run_folder.run_tmp(task.dag_id, task.run_id)
        names = tuple(dict.fromkeys((folder, folder.resolve())))
        place = TaskPlace(task.dag_id, task.run_id, task.task_id, task.map_index, self.task.name, names)
        self._results = StagedResults(
            self._objects,
            self._references,
            place,
            continued,
            is_reusing=config.flag("reuse"),
            on_wait=self.on_wait,
            fetched=self._here,
            note=self.note,
        )
        return self._results

    def _in_store(self, putting: Putting, outputs: object) -> tuple[object, set[str]]:
        plain = with_plain_folders(outputs)
        return putting.referred(plain, self._given), putting.keys(plain)

    def _put_all(self, made: list[Made]) -> None:
        if not made:
            return
        keys = set().union(*(each.keys for each in made))
        task = self.task
        now = marks.mark(self._objects, task.dag_id, task.run_id, task.name, keys, self.on_wait)
        sources = {Reference(digest).key: (digest, path) for each in made for digest, path in each.others.items()}
        sources |= {each.reference.key: (each.reference.digest, each.source) for each in made}

        def put(key: str, on_wait: Callable[[], None]) -> None:
            digest, path = sources[key]
            self._put(key, digest, path, now, on_wait)

        parallel.each(sources, put, AT_ONCE, self.on_wait)

    def _put(self, key: str, digest: str, path: Path, now: datetime, on_wait: Callable[[], None]) -> None:
        with opened(path, self.may_read) as (file, _real):
            found = self._objects.put(key, file, digest, on_wait)
        if marks.is_old(written(found), now, 0.5):
            self._objects.touch(key, on_wait)

    def close(self) -> None:
        """Remove the files of the try, but for its logs: what it hands on is in the store."""
        from cwl_ui_plugin.dags.folders import run_folder

        if self.task.folder.is_dir():
            run_folder.empty(self.task.folder)

    def _note_fetched(self, path: Path, reference: Reference) -> None:
        state = path.lstat()
        self._fetched[path.resolve()] = (reference, state.st_size, state.st_mtime_ns)

    def _known(self, real: Path, state: State) -> Reference | None:
        """Return what a file was fetched as, if nobody has written to it since."""
        reference, size, changed = self._fetched.get(real, (None, 0, 0))
        return reference if (state.size, state.changed) == (size, changed) else None
