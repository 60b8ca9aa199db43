"""Running one process by cwltool: what it is to do, how it went, and outputs of an earlier run instead."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypedDict

from cwltool.executors import JobExecutor
from cwltool.process import Process, shortname
from cwltool.utils import (
    visit_class,
)

from cwl_ui_plugin.cwl.engine import javascript, reuse
from cwl_ui_plugin.cwl.engine.container_jobs import prepare_engine
from cwl_ui_plugin.cwl.engine.cwltool_internals import (
    GENERATION,
    logger,
)
from cwl_ui_plugin.cwl.engine.job_recorder import Recorder
from cwl_ui_plugin.cwl.engine.outputs.links import escaping_output, looping_link
from cwl_ui_plugin.cwl.engine.reach import Reach
from cwl_ui_plugin.cwl.engine.results import KeptResults
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values, reach_of, run_context
from cwl_ui_plugin.cwl.engine.step_failures import ending_badly, failure_of
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.fingerprints import StepIdentity
from cwl_ui_plugin.cwl.plan import (
    CwlObject,
    Step,
    StepDocument,
    read_traits,
)
from cwl_ui_plugin.cwl.processes.sampling import sampling
from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE

_OWN = ("cwl:", "cwl/")
DEEPEST = 180
"""Levels of the outputs of a step."""


@dataclass(frozen=True)
class StepResult:
    """How a step went. ``status`` is ``success`` or ``skipped``; a command that ran in parallel parts is the last."""

    values: Values
    status: str
    command: list[str] | None
    exit_code: int | None
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    reused: bool = False
    """Whether the outputs are those of an earlier run."""
    taken_over: bool = False
    """Whether that is the run that this one goes on from."""
    asked_cores: float | None = None
    asked_ram: float | None = None
    """Mebibytes; the most that one of its commands asked for. None where no command ran."""


def reused_result(values: Values, *, is_taken_over: bool = False) -> StepResult:
    """Return the result of a step that was not run."""
    return StepResult(
        values=values,
        status="success",
        command=None,
        exit_code=None,
        seconds=0.0,
        cpu_seconds=0.0,
        peak_memory_bytes=0,
        reused=True,
        taken_over=is_taken_over,
    )


@dataclass(frozen=True)
class Work:
    """What a task is to do: a step, in a folder of its own; ``given`` are the values that it reads."""

    step: Step
    source: Path
    folder: Path
    settings: RunSettings
    given: list[object]

    @cached_property
    def reach(self) -> Reach | None:
        """Which files it may use; None where it may use all."""
        return reach_of((self.folder, self.source), self.given, self.settings)


class Found(NamedTuple):
    """Outputs that need not be made; ``is_taken_over`` where they are those of the run that this one goes on from."""

    outputs: CwlObject
    is_taken_over: bool


class KeptOutputs:
    """The outputs of earlier runs of one step document.

    They are kept by content, where reuse is switched on; or are those of the run that this one goes on from.
    """

    def __init__(self, compiled: Path, document: StepDocument, work: Work) -> None:
        settings = work.settings
        self.document = document
        self.engine = settings.engine
        is_asked = settings.reuse is not None or settings.results is not None
        traits = (settings.traits or read_traits(compiled)) if is_asked else None
        is_kept = traits is not None and not traits.changes_in_place
        self.folder = settings.reuse if is_kept else None
        self._seen: dict[Path, object] = {}
        self._observed = settings.observed
        self._into = work.folder
        self._results: KeptResults | None = None
        if settings.results and traits and is_kept:
            identity = StepIdentity(compiled, work.source, traits.main, work.step.document)
            self._results = settings.results.of_step(identity, work.source, settings.engine, settings.confines)

    def look_up(self, values: object) -> KeptOutput:
        """Return what is known of the outputs of these values."""
        return KeptOutput(self, values)

    def by_content(self, values: object) -> str | None:
        """Return the key of these values, which reads their files; None where nothing is to be reused."""
        return reuse.reuse_key(self.document, values, self.engine, self._seen) if self.folder else None

    def by_identity(self, values: object) -> str | None:
        """Return the fingerprint of these values; None where nothing is kept in the run."""
        return self._results.key(values) if self._results else None

    def find(self, content: str | None, identity: str | None) -> CwlObject | None:
        """Return the outputs that the values of a key led to before, in any run."""
        if self.folder and content:
            found = reuse.kept(self.folder, content)
        elif self._results and self._results.is_reusing and identity:
            found = self._results.reused(identity)
        else:
            return None
        self._observed.note_reuse(is_found=found is not None)
        return found

    def take(self, identity: str | None) -> CwlObject | None:
        """Return the outputs that the run has made which this one goes on from."""
        return self._results.take(identity, self._into) if self._results else None

    def keep(self, content: str | None, identity: str | None, outputs: Mapping[str, object]) -> None:
        """Store outputs for the next time."""
        if self.folder and content:
            reuse.keep(self.folder, content, outputs)
        if self._results:
            self._results.keep(identity, outputs)


class KeptOutput:
    """The outputs of one set of values: found, or to be kept once they are made."""

    def __init__(self, kept: KeptOutputs, values: object) -> None:
        self._kept = kept
        self._identity = kept.by_identity(values)
        self._content: str | None = None
        self.found = self._find(values)

    def _find(self, values: object) -> Found | None:
        outputs = self._kept.take(self._identity)
        is_taken_over = outputs is not None
        if outputs is None:
            self._content = self._kept.by_content(values)
            outputs = self._kept.find(self._content, self._identity)
        if outputs is None:
            return None
        self._kept.keep(None, self._identity, outputs)  # for who goes on from this run
        return Found(outputs, is_taken_over)

    def keep(self, outputs: Mapping[str, object]) -> None:
        """Store what was made."""
        self._kept.keep(self._content, self._identity, outputs)


def run_process(
    work: Work, process: Process, job_order: CwlObject, executor: JobExecutor, toplevel: bool = False
) -> StepResult:
    """Run a process by cwltool; raise :class:`StepError` if it ends badly."""
    os.environ[TAG_VARIABLE] = work.settings.tag
    prepare_engine(work.settings.engine, work.folder, work.settings.images)
    recorder = Recorder(work.folder, work.settings.before_command, work.settings.containers, work.reach)
    recorder.given = work.given
    recorder.observed = work.settings.observed
    clock = _Clock()
    try:
        with ending_badly(work.step, work.source, recorder), recorder.listening(process), sampling(work.folder):
            executor.run_jobs(process, job_order, logger, run_context(work.folder, work.settings, toplevel, work.reach))
            recorder.raise_error()
        clock.stop()  # before Node.js, which is ours, counts as a child
        with ending_badly(work.step, work.source, recorder):
            outputs, status = _ending(executor)
        if status not in ("success", "skipped"):
            raise failure_of(work.step, recorder, getattr(process, "failure", None), status)
        check_outputs(work, outputs)
        if toplevel:
            _check_names(work, process, outputs)
    except StepError as error:
        error.used = clock.used(recorder) if recorder.command else {}
        raise
    finally:
        javascript.end_node()
    return StepResult(
        values={name: [value, status] for name, value in plain_outputs(outputs).items()},
        status=status,
        command=recorder.command,
        exit_code=recorder.exit_code,
        **clock.used(recorder),
    )


class Used(TypedDict):
    """What commands used, and had asked for: seconds, bytes, cores, and mebibytes of memory."""

    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    asked_cores: float | None
    asked_ram: float | None


class _Clock:
    """How long a process took, and how much CPU time its commands had."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        self._after: resource.struct_rusage | None = None

    def stop(self) -> None:
        """Count no command that ends from now on."""
        self._after = resource.getrusage(resource.RUSAGE_CHILDREN)

    def used(self, recorder: Recorder) -> Used:
        """Return what the commands used that a recorder has seen."""
        if self._after is None:
            self.stop()
        after, before = self._after or self._before, self._before
        in_containers = recorder.peak_memory.seconds
        own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "seconds": round(time.monotonic() - self._began, 3),
            "cpu_seconds": round(own if in_containers is None else in_containers, 3),
            "peak_memory_bytes": recorder.peak_memory.bytes,
            "asked_cores": recorder.asked_cores,
            "asked_ram": recorder.asked_ram,
        }


def check_outputs(work: Work, outputs: object) -> None:
    """Raise :class:`StepError` if an output is, or is a link to, something that is not the step's to hand on.

    So is a value that is too deep: Airflow takes no XCom with 200 levels.
    """
    if _is_deeper(outputs, DEEPEST):
        raise StepError(
            f"Step {work.step.id}: its outputs are nested deeper than {DEEPEST} levels, which no task can hand on."
        )
    name = looping_link(outputs)
    if name is not None:
        raise StepError(f"Step {work.step.id}: its output {name} is a link that leads back to itself: it has no end.")
    if work.reach is not None:
        with ending_badly(work.step, work.source):
            work.reach.check(outputs)
    confines = work.settings.confines
    may_read = {} if confines is None else {"may_read": confines.allows}
    name = escaping_output(outputs, (work.folder, work.source), work.given, **may_read)
    if name is not None:
        raise StepError(
            f"Step {work.step.id}: its output {name} is, or is a link to, a file that is neither its own nor an input."
        )


def _is_deeper(value: object, most: int) -> bool:
    level: list[dict[str, object] | list[object]] = [value] if isinstance(value, (dict, list)) else []
    for _depth in range(most):
        inner = (item for node in level for item in (node.values() if isinstance(node, dict) else node))
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _check_names(work: Work, process: Process, outputs: Mapping[str, object]) -> None:
    """Raise :class:`StepError` for an output that no document declares, with a name that tasks use among themselves.

    Those of a tool that is run by itself are what its command has written into ``cwl.output.json``.
    """
    declared = {shortname(item["id"]) for item in process.tool["outputs"]}
    taken = sorted(name for name in outputs if name.startswith(_OWN) and name not in declared)
    if taken:
        raise StepError(
            f"Step {work.step.id}: its command says that it has made an output {taken[0]!r}, which is no name for one: "
            "what begins with 'cwl:' or 'cwl/' is for what tasks tell each other."
        )


def plain_outputs(outputs: dict[str, object]) -> dict[str, object]:
    """Return outputs without what cwltool notes about files for itself."""
    visit_class(outputs, ("File", "Directory"), lambda item: item.pop(GENERATION, None))
    return outputs


def _ending(executor: JobExecutor) -> tuple[CwlObject, str]:
    if not executor.final_output or executor.final_output[0] is None:
        return {}, executor.final_status[0] if executor.final_status else "permanentFail"
    return dict(executor.final_output[0]), executor.final_status[0]
