"""Running one process by cwltool: what it is to do, how it went, and outputs of an earlier run instead."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cwltool.executors import JobExecutor
from cwltool.process import Process
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
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values, reach_of, run_context
from cwl_ui_plugin.cwl.engine.step_failures import ending_badly, failure_of
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import (
    Step,
    StepDocument,
)
from cwl_ui_plugin.cwl.processes.sampling import sampling
from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE


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


def reused_result(values: Values) -> StepResult:
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
    )


@dataclass(frozen=True)
class Work:
    """What a task is to do: a step, in a folder of its own; ``given`` are the values that it reads."""

    step: Step
    source: Path
    folder: Path
    settings: RunSettings
    given: list[Any]

    @cached_property
    def reach(self) -> Reach | None:
        """Which files it may use; None where it may use all."""
        return reach_of((self.folder, self.source), self.given, self.settings)


class KeptOutputs:
    """The outputs of earlier runs of one step document, where reuse is switched on and the document allows it."""

    def __init__(self, compiled: Path, document: StepDocument, settings: RunSettings) -> None:
        self.document = document
        self.engine = settings.engine
        self.folder = settings.reuse if settings.reuse and reuse.may_keep(compiled) else None

    def key(self, values: Any) -> str | None:
        """Return the key of these values, which reads their files; None where nothing is to be reused."""
        return reuse.reuse_key(self.document, values, self.engine) if self.folder else None

    def find(self, key: str | None) -> dict[str, Any] | None:
        """Return the outputs that the values of a key led to before."""
        return reuse.kept(self.folder, key) if self.folder and key else None

    def keep(self, key: str | None, outputs: dict[str, Any]) -> None:
        """Store outputs for the next time."""
        if self.folder and key:
            reuse.keep(self.folder, key, outputs)


def run_process(
    work: Work, process: Process, job_order: dict[str, Any], executor: JobExecutor, toplevel: bool = False
) -> StepResult:
    """Run a process by cwltool; raise :class:`StepError` if it ends badly."""
    os.environ[TAG_VARIABLE] = work.settings.tag
    prepare_engine(work.settings.engine, work.folder, work.settings.images)
    recorder = Recorder(work.folder, work.settings.before_command, work.settings.containers, work.reach)
    recorder.given = work.given
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        with ending_badly(work.step, work.source, recorder), recorder.listening(process), sampling(work.folder):
            executor.run_jobs(process, job_order, logger, run_context(work.folder, work.settings, toplevel, work.reach))
            recorder.raise_error()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # before Node.js, which is ours, counts as a child
    finally:
        javascript.end_node()
    with ending_badly(work.step, work.source, recorder):
        outputs, status = _ending(executor)
    if status not in ("success", "skipped"):
        raise failure_of(work.step, recorder, getattr(process, "failure", None), status)
    check_outputs(work, outputs)
    in_containers = recorder.peak_memory.seconds
    return StepResult(
        values={name: [value, status] for name, value in plain_outputs(outputs).items()},
        status=status,
        command=recorder.command,
        exit_code=recorder.exit_code,
        seconds=round(time.monotonic() - began, 3),
        cpu_seconds=round(_cpu_seconds(before, after) if in_containers is None else in_containers, 3),
        peak_memory_bytes=recorder.peak_memory.bytes,
    )


def _cpu_seconds(before: resource.struct_rusage, after: resource.struct_rusage) -> float:
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def check_outputs(work: Work, outputs: Any) -> None:
    """Raise :class:`StepError` if an output is, or is a link to, something that is not the step's to hand on."""
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


def plain_outputs(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return outputs without what cwltool notes about files for itself."""
    visit_class(outputs, ("File", "Directory"), lambda item: item.pop(GENERATION, None))
    return outputs


def _ending(executor: JobExecutor) -> tuple[dict[str, Any], str]:
    if not executor.final_output or executor.final_output[0] is None:
        return {}, executor.final_status[0] if executor.final_status else "permanentFail"
    return dict(executor.final_output[0]), executor.final_status[0]
