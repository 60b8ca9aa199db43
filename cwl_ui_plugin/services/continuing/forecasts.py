"""Which steps a run of a version would take over from a failed run.

A step is taken over if it is the same, if all that it reads is, and if its results are there: so much is told by the
plans and by what the failed run has left. Each step looks for itself when it runs, and knows better
(:mod:`cwl_ui_plugin.cwl.fingerprints`): where a file of the job was changed since, it runs though it was not foreseen.

Files that no step could read any more were removed while the failed run went on. A step may be taken over without them
if nothing will read them now; else it runs, with all that follows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cwl_ui_plugin import container_options
from cwl_ui_plugin.cwl.containers.engines import AUTO
from cwl_ui_plugin.cwl.fingerprints import StepIdentity
from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step, installed_engine, read_traits
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.continuing.made import Made, MadeByRun
from cwl_ui_plugin.services.continuing.models import AGAIN, PARTLY, TAKEN, Forecast, StepForecast

CHANGED = "it was changed"
NEW = "it is new"
FOLLOWS = "what it reads is made anew"
NOT_DONE = "it had not succeeded"
NOT_KEPT = "nothing is kept of what it had made"
GONE = "its files were removed"
NEVER = "it may not be reused (WorkReuse)"
CHANGES_INPUTS = "a tool of the workflow may change its inputs in their place (InplaceUpdateRequirement)"
OTHER_RUNNER = "it was run by {}, and now it is {}"
OTHER_ENGINE = "it was run with the container engine {}, and now it is {}"


@lru_cache(maxsize=32)
class _Documents:
    """What the documents of a stored version do: they stay as they are, so what was read once is known."""

    def __init__(self, compiled: Path, source: Path, main: str) -> None:
        self._places = (compiled, source, main)
        self._digests: dict[tuple[str, ...], str] = {}
        self.plain = StepIdentity(compiled, source, main).plain
        self.changes_in_place = read_traits(compiled).changes_in_place

    def digest(self, *names: str) -> str | None:
        """Return what some documents do together; what can't be read is looked for anew the next time."""
        if names not in self._digests and (found := StepIdentity(*self._places, *names).digest):
            self._digests[names] = found
        return self._digests.get(names)


class Version:
    """A version of a workflow, as far as it is compared."""

    def __init__(self, version: StoredVersion) -> None:
        self.plan: Plan = version.plan
        self.steps = {step.task_id: step for _depth, step in self.plan.all_steps()}
        self.inputs = {f"#{item.id}": item for item in self.plan.inputs}
        self._documents = _Documents(version.compiled, version.source, self.plan.main)
        self.changes_in_place = self._documents.changes_in_place
        self.plain = self._documents.plain
        """Returns an id without the name of the main document."""

    def digest(self, step: Step) -> str | None:
        """Return what a step does, by its documents; those of a subworkflow are around its steps."""
        around = (step.start_document, step.end_document) if step.steps else ()
        return self._documents.digest(step.document, *around)


@dataclass
class _Comparison:
    """Two versions, and what the run of the older has made; ``complete`` are its tasks that have ended well."""

    old: Version
    new: Version
    made: MadeByRun
    complete: frozenset[str]
    again: set[str] = field(default_factory=set)
    """Tasks that have to run since their files are gone."""
    _makers: dict[str, list[tuple[Step, tuple[str, ...]]]] = field(default_factory=dict)
    """By id, who makes a value, and what from; two steps that run one subworkflow have the same ids in it."""
    _known: dict[str, str] = field(default_factory=dict)
    _same: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for step in self.new.steps.values():
            self._note(step, step.outputs, step.output_sources if step.steps else step.sources)
            made = {name for inner in step.steps for name in inner.outputs}
            read = {name for inner in step.steps for name in inner.sources} | set(step.output_sources)
            self._note(step, read - made, step.sources)

    def _note(self, step: Step, names: Iterable[str], reads: tuple[str, ...]) -> None:
        for name in names:
            self._makers.setdefault(self.new.plain(name), []).append((step, reads))

    def reason(self, step: Step) -> str:
        """Return why a step runs; nothing where it is taken over."""
        if step.task_id not in self._known:
            self._known[step.task_id] = self._reason(step)
        return self._known[step.task_id]

    def _reason(self, step: Step) -> str:
        before = self.old.steps.get(step.task_id)
        if before is None:
            return NEW
        if self.new.changes_in_place:
            return CHANGES_INPUTS
        digest = self.new.digest(step)
        if digest is None:
            return NEVER
        if digest != self.old.digest(before):
            return CHANGED
        if not all(map(self._is_same, step.sources)):
            return FOLLOWS
        if step.steps:
            return ""
        if step.task_id not in self.complete:
            return NOT_DONE
        made = self.made.of(step.task_id)
        if made is None:
            return NOT_KEPT
        return GONE if step.task_id in self.again else _run_otherwise(step, made)

    def _is_same(self, name: str) -> bool:
        """Whether a value is what it was in the failed run; of steps before its own that is known already."""
        plain = self.new.plain(name)
        if plain not in self._same:
            makers = self._makers.get(plain)
            self._same[plain] = (
                _same_input(self.old.inputs.get(_short(name)), self.new.inputs.get(_short(name)))
                if makers is None
                else all(not self.reason(step) and all(map(self._is_same, reads)) for step, reads in makers)
            )
        return self._same[plain]

    def _read(self) -> set[str]:
        """Return the ids of values whose files are read: by steps that run, and by the delivery of outputs."""
        found: set[str] = set()
        self._add_read(found, self.new.plan.output_sources)
        for step in self.new.steps.values():
            if self.reason(step) or step.steps:
                self._add_read(found, step.sources)
        return found

    def _add_read(self, found: set[str], names: Iterable[str]) -> None:
        waiting = [*names]
        while waiting:
            name = self.new.plain(waiting.pop())
            if name in found:
                continue
            found.add(name)
            waiting += [read for step, reads in self._makers.get(name, ()) if step.steps for read in reads]

    def settle(self) -> tuple[str, ...]:
        """Find out which steps run since their files are gone and read; return those that do without them."""
        while True:
            read, gone = self._read(), list(self._taken_without_files())
            needed = set()
            for step, made in reversed(gone):  # one that runs reads what others before it have made
                if not made.can_do_without or not read.isdisjoint(map(self.new.plain, step.outputs)):
                    needed.add(step.task_id)
                    self._add_read(read, step.sources)
            if not needed:
                return tuple(step.task_id for step, _made in gone)
            self.again |= needed
            self._known.clear()
            self._same.clear()

    def _taken_without_files(self) -> Iterator[tuple[Step, Made]]:
        for step in self.new.steps.values():
            made = None if step.steps else self.made.of(step.task_id)
            if made is not None and made.is_gone and not self.reason(step):
                yield step, made


def forecast(
    run: tuple[str, str], old: StoredVersion, new: StoredVersion, made: MadeByRun, complete: Iterable[str]
) -> Forecast:
    """Return what a run of ``new`` would take over from a run of ``old``, of which ``complete`` tasks ended well."""
    compared = _Comparison(Version(old), Version(new), made, frozenset(complete))
    gone = compared.settle()
    steps = tuple(_step(compared, step) for step in compared.new.steps.values() if not step.steps)
    return Forecast(*run, version=new.digest, steps=steps, gone=gone)


def _step(compared: _Comparison, step: Step) -> StepForecast:
    reason, made = compared.reason(step), compared.made.tasks.get(step.task_id)
    elements = made.results if made and step.scatter and compared.made.is_whole else None
    outcome = AGAIN if reason else TAKEN
    if made and step.scatter and reason in (NOT_DONE, FOLLOWS):
        outcome = PARTLY
    return StepForecast(step.task_id, step.label or step.id, outcome, reason, elements)


def _run_otherwise(step: Step, made: Made) -> str:
    """Return what runs a step now and did not then; which engine a worker finds by itself, is told by it alone."""
    if made.runner and made.runner != installed_engine():
        return OTHER_RUNNER.format(made.runner, installed_engine())
    engine = container_options.container_engine()
    if step.container and made.engine and engine not in (AUTO, made.engine):
        return OTHER_ENGINE.format(made.engine, engine)
    return ""


def _short(name: str) -> str:
    return f"#{name.rpartition('#')[2]}"


def _same_input(old: Parameter | None, new: Parameter | None) -> bool:
    """Whether the job gives an input the same value in both versions."""
    if old is None or new is None:
        return False
    return (old.has_default, old.default, old.secondary_files) == (new.has_default, new.default, new.secondary_files)
