"""What happened while cwltool ran the jobs of a step: command lines, exit codes, what they printed, complaints."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.job import JobBase
from cwltool.process import Process

from cwl_ui_plugin.cwl import complaints
from cwl_ui_plugin.cwl.containers.policy import ANYTHING, ContainerPolicy
from cwl_ui_plugin.cwl.element_logs import ElementLog
from cwl_ui_plugin.cwl.engine.container_jobs import prepare_job
from cwl_ui_plugin.cwl.engine.cwltool_internals import Execute, logger, wrap_execution
from cwl_ui_plugin.cwl.engine.disk import check_disk, full_disk, identity
from cwl_ui_plugin.cwl.engine.reach import Reach
from cwl_ui_plugin.cwl.engine.time_limits import TimeLimit
from cwl_ui_plugin.cwl.errors import CwlError
from cwl_ui_plugin.cwl.files import local_paths
from cwl_ui_plugin.cwl.observed import COLLECTED, RAN, STAGED, Observed, PhaseClock
from cwl_ui_plugin.cwl.processes.peak_memory import PeakMemory
from cwl_ui_plugin.cwl.temporary_errors import is_of_disk, may_pass

COMMAND = "command.json"
"""In the folder of a task: the command that it started last."""
SHOWN_BYTES = 4000
MAX_COMPLAINTS = 3
MAX_COMMAND = 200
STDOUT_INSTEAD = "(nothing on standard error; the end of standard output:)"
# cwltool says these of every failed step, or of every container; they tell nothing.
_NOISE = (
    "completed permanentFail",
    "completed temporaryFail",
    "Exited normally",
    "Unexpected exception",
    "Unexpected error from fs_access",
    "--preserve-e",
    "Skipping Docker software container",
)


class Recorder(logging.Handler):
    """Listens to the jobs of one step. ``command`` and ``exit_code`` are of the job that failed, or of the last."""

    def __init__(
        self,
        folder: Path,
        before_command: Callable[[], None] = lambda: None,
        policy: ContainerPolicy = ANYTHING,
        reach: Reach | None = None,
    ) -> None:
        super().__init__(level=logging.WARNING)
        self.folder = folder
        self.before_command = before_command
        self.policy = policy
        self.reach = reach
        self.command: list[str] | None = None
        self.exit_code: int | None = None
        self.complaints: list[str] = []
        self.peak_memory = PeakMemory(folder)
        self.observed = Observed()
        self.asked_cores: float | None = None
        self.asked_ram: float | None = None
        """What the commands asked for, the most of them, in mebibytes: cwltool has evaluated their requirements."""
        self.given: object = None
        """The values that the step reads."""
        self._folder_was: tuple[int, int] | None = None
        self._may_pass = False
        self._failed = False
        self._error: Exception | None = None
        self._element: str | None = None
        self._limit: TimeLimit | None = None
        self._stderr_file: Path | None = None
        self._stderr_end = ""
        self._stdout_file: Path | None = None
        self._stdout_end = ""

    @contextmanager
    def listening(self, process: Process) -> Iterator[None]:
        """Record every job that ``process`` makes."""
        make_jobs = process.job
        process.job = lambda *args, **kwargs: map(self._watched, make_jobs(*args, **kwargs))  # type: ignore[method-assign, assignment]
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def raise_error(self) -> None:
        """Raise what kept a job from running to its end, if anything did."""
        if isinstance(self._error, (WorkflowException, OSError, CwlError)):
            raise self._error
        if self._error is not None:
            raise WorkflowException(str(self._error)) from self._error

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what cwltool complains about."""
        message = record.getMessage().strip()
        if record.levelno >= logging.WARNING and not any(noise in message for noise in _NOISE):
            self.complaints.append(complaints.plain(message))
        if record.exc_info and record.exc_info[1] is not None:
            self._may_pass = self._may_pass or may_pass(record.exc_info[1])

    def explain(self, cause: str = "") -> str:
        """Return why the step failed."""
        command = shortened(" ".join(self.command or []))
        if self._limit:
            return f"the command did not end within its time limit of {self._limit.seconds:g} seconds: {command}"
        if self._failed and self.exit_code:
            of_element = f" of {self._element}" if self._element else ""
            return f"the command{of_element} {complaints.ending(self.exit_code)}: {command}"
        return cause or "\n".join(self.complaints[-MAX_COMPLAINTS:]) or "it ended without outputs"

    def full_disk(self) -> str:
        """Return that the disk is full, if it is, after the step has failed."""
        return full_disk(self.folder) if self.folder != Path() else ""

    def lost(self) -> tuple[str, str]:
        """Return what of the disk is gone that the step needs, after it has failed, and how to take that."""
        if self._folder_was is not None and identity(self.folder) != self._folder_was:
            return f"its folder of intermediate files was removed while it ran: {self.folder}", "temporaryFail"
        missing = next((path for path in local_paths(self.given) if not path.exists()), None)
        return (f"its input {missing.name} is not there any more: {missing}" if missing else ""), "permanentFail"

    def is_in_trouble(self) -> bool:
        """Whether it failed of something that may pass, as what cwltool or the command said of it tells."""
        return self._may_pass or any(is_of_disk(text) for text in (*self.complaints, self.stderr_end()))

    def stderr_end(self) -> str:
        """Return the end of what the failed command wrote to its standard error, or else to its standard output."""
        written = _end_of(self._stderr_file) if self._stderr_file else ""
        return written or self._stderr_end or _end_of(self.folder / "stderr.log") or self._stdout_instead()

    def _stdout_instead(self) -> str:
        """Return the end of the standard output: of a command that prints its errors there, it is what there is."""
        found = _end_of(self._stdout_file) if self._stdout_file else ""
        found = found or self._stdout_end or _end_of(self.folder / "stdout.log")
        return f"{STDOUT_INSTEAD}\n{found}" if found and self._failed else ""

    def _watched(self, job: object) -> object:
        if isinstance(job, JobBase):
            _WatchedJob(self, job)
        return job

    def note_end(self, job: JobBase, exit_code: int, log: ElementLog | None) -> None:
        """Note how a job's command has ended: of the first that failed, or else of the last."""
        if self._failed:
            return
        self._failed = exit_code not in (job.successCodes or [0])
        self.command = [str(word) for word in job.command_line]
        self.exit_code = exit_code
        self._element = getattr(job, "element", None)
        self._stderr_file = Path(job.outdir) / job.stderr if job.stderr else None
        self._stderr_end = _end_of(log.path("stderr")) if log else ""
        self._stdout_file = Path(job.outdir) / job.stdout if job.stdout else None
        self._stdout_end = _end_of(log.path("stdout")) if log else ""

    def over_time(self, limit: TimeLimit) -> WorkflowException:
        """Note that a command has not kept its time limit; return what to raise for that."""
        self._limit = limit
        return WorkflowException(self.explain())

    def _note_asked(self, job: JobBase) -> None:
        """Note the resources of a job of a command; an expression asks for none."""
        asked = getattr(getattr(job, "builder", None), "resources", None) or {}
        if "cores" in asked and "ram" in asked:
            self.asked_cores = max(float(asked["cores"]), self.asked_cores or 0.0)
            self.asked_ram = max(float(asked["ram"]), self.asked_ram or 0.0)

    def note_error(self, error: Exception) -> None:
        """Note what kept a job from running to its end."""
        self._error = self._error or error

    def prepare(self, job: JobBase, context: RuntimeContext) -> None:
        """Get ready for a job; raise what keeps it from being run here."""
        self.before_command()
        self._note_asked(job)
        check_disk(job, self.folder)
        self._folder_was = self._folder_was or identity(self.folder)
        prepare_job(job, context, self.folder, self.policy, self.reach)
        _note_command(self.folder, job)


class _WatchedJob:
    """Stands around one job of cwltool: gives it files for what it prints, which cwltool closes after the job."""

    def __init__(self, recorder: Recorder, job: Any) -> None:
        self._recorder = recorder
        self._job = job
        self._run, self._collect = job.run, job.collect_outputs
        self._limit = TimeLimit(job) if job.timelimit else None
        element = getattr(job, "element", None)
        self._log = ElementLog(recorder.folder, element) if element else None
        self._phases = PhaseClock(recorder.observed, element)
        job.process_monitor = recorder.peak_memory.watch
        job.docker_monitor = lambda *arguments: recorder.peak_memory.watch(arguments[-1])
        job.run = self.run
        wrap_execution(job, self._checked)
        job.collect_outputs = self.collect_outputs

    def run(self, context: RuntimeContext, *arguments: Any) -> None:
        """Run the job; what keeps it from running is noted: cwltool's executor would wait for ever for the others."""
        try:
            self._phases.next(STAGED)
            self._run_recorded(context, *arguments)
        except Exception as error:
            self._recorder.note_error(error)
            with context.workflow_eval_lock:  # type: ignore[union-attr]
                self._job.output_callback({}, "permanentFail")
        finally:
            self._phases.end()

    def collect_outputs(self, outdir: str, exit_code: int) -> object:
        """Return the outputs; raise WorkflowException for those of a command that did not keep its time limit."""
        self._phases.next(COLLECTED)
        self._recorder.note_end(self._job, exit_code, self._log)
        if self._limit and self._limit.is_exceeded():
            raise self._recorder.over_time(self._limit)
        try:
            return self._collect(outdir, exit_code)
        except json.JSONDecodeError as error:
            raise WorkflowException(f"cwl.output.json, which the command wrote, is not JSON: {error}") from error

    def _checked(self, execute: Execute) -> Execute:
        def checked(*arguments: object, **options: object) -> None:
            self._recorder.before_command()  # staging its inputs may have taken long
            self._phases.next(RAN)
            execute(*arguments, **options)

        return checked

    def _run_recorded(self, context: RuntimeContext, *arguments: Any) -> None:
        self._recorder.prepare(self._job, context)
        context = context.copy()
        if self._log is None:
            context.default_stdout = (self._recorder.folder / "stdout.log").open("ab")
            context.default_stderr = (self._recorder.folder / "stderr.log").open("ab")
            self._run(context, *arguments)
            return
        context.default_stdout, context.default_stderr = self._log.open("stdout"), self._log.open("stderr")
        try:
            self._run(context, *arguments)
        finally:
            self._log.join()


def shortened(command: str) -> str:
    """Return a command line for a sentence; the whole one has a place of its own."""
    return command if len(command) <= MAX_COMMAND else f"{command[:MAX_COMMAND]}…"


def _note_command(folder: Path, job: JobBase) -> None:
    """Let the command be seen while it runs."""
    with suppress(OSError):
        (folder / COMMAND).write_text(json.dumps([str(word) for word in job.command_line]), encoding="utf-8")


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - SHOWN_BYTES))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
