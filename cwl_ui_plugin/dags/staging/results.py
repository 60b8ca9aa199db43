"""What steps have made, told in the store: for the run that goes on from theirs, and for all runs where reuse is on.

::

    <storage>/results/<run>/<fingerprint>      {"task", "map_index", "engine", "runner", "outputs", "objects"}
    <storage>/reuse/<fingerprint>/<number>     the same; its time says when it was used last

``outputs`` name objects, and ``objects`` are all that whoever reads them needs. A fingerprint tells content: of files
by their objects or checksums, of documents with the files that they name. Who finds a record says first that its run is
going to hand on the objects, as with those that a task puts, and looks then whether each is there; where one is gone,
the step is run. What a record for reuse names stays as long as the record (``[cwl] keep_reuse_days``); one for a run is
forgotten with what the run has said to hand on, see ``marks``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.cwl.files import file_objects, local_path
from cwl_ui_plugin.cwl.fingerprints import RunPlaces, StepIdentity, fingerprint
from cwl_ui_plugin.cwl.plan import installed_engine
from cwl_ui_plugin.dags.staging import marks, parallel
from cwl_ui_plugin.dags.staging.objects import Objects
from cwl_ui_plugin.dags.staging.references import References
from cwl_ui_plugin.fetching.errors import FetchError

if TYPE_CHECKING:
    from cwl_ui_plugin.cwl.engine.confines import Confines

MAX_RECORD = 64 * 1024 * 1024
AT_ONCE = 8
_MOST_LOOKED_AT = 3
"""Records of one fingerprint: what the newest names may be gone."""
_NO_RECORD = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
Wait = Callable[[], None]


@dataclass(frozen=True)
class TaskPlace:
    """A task that makes results: the names of its run and its own, and the run's folder by all names that it has."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    name: str
    """Of the try."""
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Found:
    """A record that was found, whose objects are the run's from now on."""

    outputs: dict[str, object]
    objects: frozenset[str]
    is_reused: bool


@dataclass(frozen=True)
class Made:
    """What a step has made, which is not in the store yet; ``found`` where it was there before."""

    key: str
    engine: str
    outputs: dict[str, object]
    """By their ids without the name of the main document."""
    found: Found | None


@dataclass
class StagedResults:
    """The results of the steps of a task; ``continued`` is the run that its own goes on from.

    ``fetched`` has what the task has fetched, with the location of each; ``note`` is called with outputs that were
    found: what they name, the task may hand on.
    """

    store: Objects
    references: References
    task: TaskPlace
    continued: str | None
    is_reusing: bool
    on_wait: Wait
    fetched: Mapping[Path, str]
    note: Callable[[object], None]
    _made: list[Made] = field(default_factory=list)

    def of_step(self, identity: StepIdentity, source: Path, engine: str, _confines: Confines | None) -> StepResults:
        """Return those of one step."""
        return StepResults(identity, RunPlaces(self.task.folders, source.resolve(), fetched=self.fetched), engine, self)

    def add(self, made: Made) -> None:
        """Know what a step has made until it is in the store."""
        self._made.append(made)

    def keep(self, in_store: Callable[[object], tuple[Any, set[str]]]) -> None:
        """Write down what was made, now that it is in the store; where that can't be it is no error of the step.

        ``in_store`` returns outputs as other tasks can read them, and the objects that they need.
        """
        made, self._made = self._made, []

        def keep(one: Made, on_wait: Wait) -> None:
            self._keep(one, *in_store(one.outputs), on_wait)

        with suppress(FetchError, RecursionError):
            parallel.each(made, keep, AT_ONCE, self.on_wait)

    def _keep(self, made: Made, outputs: object, needed: set[str], on_wait: Wait) -> None:
        objects = sorted(needed | (made.found.objects if made.found else frozenset()))
        told = {"task": self.task.task_id, "map_index": self.task.map_index, "engine": made.engine}
        record = {**told, "runner": installed_engine(), "outputs": outputs, "objects": objects}
        content = json.dumps(record).encode()
        if len(content) > MAX_RECORD:
            return
        self.store.put_text(_in_run(self.task.dag_id, self.task.run_id, made.key), content, on_wait)
        if self.is_reusing and not (made.found and made.found.is_reused):
            self.store.put_text(f"{marks.REUSE}/{made.key}/{uuid.uuid4().hex}", content, on_wait)

    def taken(self, key: str) -> Found | None:
        """Return what the earlier run has made."""
        if self.continued is None:
            return None
        return self._first([_in_run(self.task.dag_id, self.continued, key)], is_reused=False)

    def reused(self, key: str) -> Found | None:
        """Return what any run has made."""
        listed = self.store.listed(f"{marks.REUSE}/{key}/", self.on_wait)
        newest = sorted(listed, key=lambda entry: entry[1], reverse=True)
        return self._first([name for name, _moment in islice(newest, _MOST_LOOKED_AT)], is_reused=True)

    def _first(self, records: Iterable[str], *, is_reused: bool) -> Found | None:
        for name in records:
            with suppress(FetchError, *_NO_RECORD):
                if found := self._had(name, is_reused=is_reused):
                    return found
        return None

    def _had(self, name: str, *, is_reused: bool) -> Found | None:
        """Return a record whose objects are all there."""
        content = self.store.read(name, MAX_RECORD, self.on_wait)
        if content is None:
            return None
        record = json.loads(content)
        outputs, objects = record["outputs"], frozenset(map(str, marks.marked(content)))
        if not isinstance(outputs, dict):
            raise ValueError("no outputs")
        named = {self._key_of(item) for item in file_objects(outputs)} - {None}
        if not named <= objects or not self._holds(objects, name if is_reused else None):
            return None
        self.note(outputs)
        return Found(outputs, objects, is_reused)

    def _key_of(self, item: Mapping[str, Any]) -> str | None:
        """Return the object of a File or Directory of a record; raise ValueError where another task can't read it."""
        if not self.references.has(item.get("location")):
            if local_path(item) is not None:
                raise ValueError("a file of a machine")
            return None
        reference = self.references.of(item.get("location"))
        if reference is None:
            raise ValueError("no object")
        return reference.key

    def _holds(self, objects: frozenset[str], record: str | None) -> bool:
        """Say that the run hands on objects, and return whether they are there; they, and a record, are used now."""
        if not objects:
            return True
        task = self.task
        now = marks.mark(self.store, task.dag_id, task.run_id, task.name, objects, self.on_wait)
        gone = set[str]()

        def look(key: str, on_wait: Wait) -> None:
            moment = self.store.written(key, on_wait)
            if moment is None:
                gone.add(key)
            elif marks.is_old(moment, now, 0.5):
                self.store.touch(key, on_wait)

        parallel.each([*objects, *([record] if record else [])], look, AT_ONCE, self.on_wait)
        return not gone


class StepResults:
    """The results of one step."""

    def __init__(self, identity: StepIdentity, places: RunPlaces, engine: str, owner: StagedResults) -> None:
        self._identity, self._places, self._engine, self._owner = identity, places, engine, owner
        self._found: dict[str, Found] = {}
        self.is_reusing = owner.is_reusing

    def key(self, values: object) -> str | None:
        """Return the fingerprint of the step on these values; None where nothing is kept of it."""
        return fingerprint(self._identity, values, self._places, self._engine)

    def keep(self, key: str | None, outputs: Mapping[str, object]) -> None:
        """Know what the step has made, to be kept once it is in the store."""
        if key is not None:
            plain = {self._identity.plain(name): value for name, value in outputs.items()}
            self._owner.add(Made(key, self._engine, plain, self._found.get(key)))

    def take(self, key: str | None, _folder: Path) -> dict[str, object] | None:
        """Return what the run that this one goes on from has made of the same; None to run the step."""
        return self._outputs(key, self._owner.taken(key)) if key is not None else None

    def reused(self, key: str) -> dict[str, object] | None:
        """Return what any run has made of the same; None to run the step."""
        return self._outputs(key, self._owner.reused(key))

    def _outputs(self, key: str, found: Found | None) -> dict[str, object] | None:
        if found is None:
            return None
        self._found[key] = found
        return {self._identity.full(name): value for name, value in found.outputs.items()}


def _in_run(dag_id: str, run_id: str, key: str) -> str:
    return f"{marks.results_of(dag_id, run_id)}{key}"
