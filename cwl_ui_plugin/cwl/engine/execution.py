"""What the tasks of a run do: the workflow's inputs, one step, the workflow's outputs. All semantics are cwltool's.

It runs in the task's own process, forked from one that has called :func:`preload`. Only JSON goes in and out.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cwltool.builder import Builder
from cwltool.context import RuntimeContext
from cwltool.errors import UnsupportedRequirement, WorkflowException
from cwltool.executors import JobExecutor, MultithreadedJobExecutor, SingleJobExecutor
from cwltool.loghandler import _logger as cwltool_logger
from cwltool.loghandler import defaultStreamHandler
from cwltool.mpi import MpiConfig
from cwltool.mutation import MutationManager
from cwltool.process import Process, add_sizes, shortname
from cwltool.stdfsaccess import StdFsAccess
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import (
    adjustDirObjs,
    normalizeFilesDirs,
    trim_listing,
    visit_class,
)
from cwltool.workflow import Workflow
from cwltool.workflow_job import object_from_state
from schema_salad.exceptions import SchemaSaladException
from schema_salad.ref_resolver import Loader, file_uri, uri_file_path

from cwl_ui_plugin.cwl import complaints
from cwl_ui_plugin.cwl.containers.engines import context_of
from cwl_ui_plugin.cwl.containers.policy import ANYTHING, ContainerPolicy
from cwl_ui_plugin.cwl.containers.task_containers import CID_PREFIX
from cwl_ui_plugin.cwl.engine import javascript, reuse, secrets
from cwl_ui_plugin.cwl.engine.confines import Confines, confine
from cwl_ui_plugin.cwl.engine.container_jobs import ImageUnavailable, prepare_engine
from cwl_ui_plugin.cwl.engine.cwltool_patches import take_shortcuts
from cwl_ui_plugin.cwl.engine.disk import DiskTooFull
from cwl_ui_plugin.cwl.engine.job_recorder import Recorder
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.engine.outputs.links import escaping_output, looping_link
from cwl_ui_plugin.cwl.engine.problems import problems_of
from cwl_ui_plugin.cwl.engine.reach import Reach
from cwl_ui_plugin.cwl.engine.step_documents import load_tool, load_workflow
from cwl_ui_plugin.cwl.errors import JobError, StepError
from cwl_ui_plugin.cwl.jobs.checks import REQUIREMENTS
from cwl_ui_plugin.cwl.numbers import with_decimal_floats
from cwl_ui_plugin.cwl.plan import END_DOCUMENT, START_DOCUMENT, Step, StepDocument, read_step_document
from cwl_ui_plugin.cwl.processes.sampling import sampling
from cwl_ui_plugin.cwl.processes.task_processes import MARK_VARIABLE, SERVER_VARIABLE
from cwl_ui_plugin.cwl.temporary_errors import may_pass

Values = dict[str, list[Any]]
MOST_LISTED = 20_000
"""Entries of folders in an output object; a million would keep the API server busy for minutes."""
JOB_REQUIREMENTS = "cwl:requirements"
_GENERATION = "http://commonwl.org/cwltool#generation"
_DERIVED = ("path", "nameext", "nameroot", "dirname")
_NO_CONTAINER_TEXT = "--no-container, but this CommandLineTool has DockerRequirement"  # cwltool's words
_SCHEMA_VERSION = "v1.0"


@dataclass(frozen=True)
class RunSettings:
    """How to run: the container engine or ``none``, the mark of this task's processes, whether to use the network.

    ``reuse`` is the folder of outputs that are used again, ``secrets`` the file with the run's secrets, ``mpi_config``
    cwltool's file about the site's MPI, ``images`` where singularity keeps images; each may be None.
    ``job_requirements`` says whether a job may bring requirements of its own. ``before_command`` is called before each
    command, from its thread; what it raises keeps the command from being started.
    ``containers`` is what the site asks of tools. ``confines`` is what may be read; without it, cwltool reads whatever
    it is told to.
    """

    engine: str
    mark: str
    allow_network: bool = False
    reuse: Path | None = None
    secrets: Path | None = None
    mpi_config: Path | None = None
    images: Path | None = None
    job_requirements: bool = False
    before_command: Callable[[], None] = lambda: None
    containers: ContainerPolicy = ANYTHING
    confines: Confines | None = None


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


def preload() -> None:
    """Do once, before forking, what every task would do: cwltool's imports and its schemas."""
    from cwltool.process import get_schema

    get_schema(_SCHEMA_VERSION)
    if defaultStreamHandler in cwltool_logger.handlers:
        cwltool_logger.removeHandler(defaultStreamHandler)  # Airflow's task log has it already
    javascript.use_shipped_node()
    take_shortcuts()


@dataclass(frozen=True)
class InitialJob:
    """A process, its job as ``given`` and as cwltool has ``completed`` it, and the ``requirements`` that came along."""

    process: Process
    given: dict[str, Any]
    completed: dict[str, Any]
    requirements: list[Any]


def initial_job(
    compiled: Path,
    source: Path,
    job: dict[str, Any],
    folder: Path,
    settings: RunSettings,
    access: type[StdFsAccess] | None = None,
) -> InitialJob:
    """Have cwltool complete a job: defaults filled in, secondary files found, all validated.

    ``access`` is how cwltool looks at files, if not as it does by itself.

    The job must have passed :func:`jobs.check_job`: cwltool takes names and places in it as they are.

    Raises:
        JobError: the job does not fit.

    """
    preload()
    document = read_step_document(compiled, START_DOCUMENT, source)
    order = with_decimal_floats(job)
    requirements = _pop_requirements(order, settings)
    try:
        process = load_workflow(document, {}) if "wf" in document else load_tool(document)
        secrets.hide(process, order, settings.secrets)
        reach = reach_of((folder, source), job, settings)
        context = run_context(folder, settings, toplevel=True, reach=reach)
        if access is not None:
            context.make_fs_access = access
        _prepare_order(process, order, document.get("namespaces") or {}, context.make_fs_access(""))
        builder: Builder = process._init_job(order, context)
        if reach is not None:
            reach.check([builder.job, order])
    except (SchemaSaladException, WorkflowException) as error:
        if may_pass(error):
            raise StepError(f"The inputs can't be read: {error}", kind="temporaryFail") from error
        raise JobError("The job does not fit the workflow's inputs.", problems_of(error, source)) from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # cwltool meets some values of a wrong format or type with Python's own errors
        raise JobError(f"The job can't be used; cwltool failed on it with {error!r}.") from error
    return InitialJob(process, order, dict(builder.job), requirements)


def start(compiled: Path, source: Path, job: dict[str, Any], folder: Path, settings: RunSettings) -> Values:
    """Return the values of the workflow's inputs, see :func:`initial_job`; a tool completes its job when it runs.

    Raises:
        JobError: the job does not fit.

    """
    initial = initial_job(compiled, source, job, folder, settings)
    if isinstance(initial.process, Workflow):
        names = [item["id"] for item in initial.process.tool["inputs"]]
        return {name: [initial.completed[shortname(name)], "success"] for name in names}
    _check_requirements(initial.process, initial.requirements)
    values: Values = {name: [value, "success"] for name, value in initial.given.items()}
    if initial.requirements:
        values[JOB_REQUIREMENTS] = [initial.requirements, "success"]
    return values


def run_step(
    compiled: Path, source: Path, step: Step, values: Values, folder: Path, settings: RunSettings
) -> StepResult:
    """Run one step; ``folder`` keeps its outputs, and what its commands print in stdout.log and stderr.log.

    Raises:
        StepError: it ended badly; says how, with the end of the command's standard error.

    """
    preload()
    document = read_step_document(compiled, step.document, source)
    values = with_decimal_floats(values)
    work = Work(step, source, folder, settings, given=[value for value, _status in values.values()])
    kept = KeptOutputs(compiled, document, settings)
    key = kept.key(values)
    found = kept.find(key)
    if found is not None:
        return reused_result({name: [value, "success"] for name, value in found.items()})
    with ending_badly(step, source):
        process, order = _process_and_order(document, values, settings)
    result = run_process(work, process, order, _executor(step, process), toplevel="wf" not in document)
    if result.status == "success":
        kept.keep(key, {name: value for name, (value, _status) in result.values.items()})
    return result


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


def reach_of(folders: tuple[Path, ...], given: Any, settings: RunSettings) -> Reach | None:
    """Return which files a document may use, or None where it may use all."""
    return Reach(folders, given) if settings.containers.required else None


def run_process(
    work: Work, process: Process, order: dict[str, Any], executor: JobExecutor, toplevel: bool = False
) -> StepResult:
    """Run a process by cwltool; raise :class:`StepError` if it ends badly."""
    os.environ[MARK_VARIABLE] = work.settings.mark
    prepare_engine(work.settings.engine, work.folder, work.settings.images)
    recorder = Recorder(work.folder, work.settings.before_command, work.settings.containers, work.reach)
    recorder.given = work.given
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        with ending_badly(work.step, work.source, recorder), recorder.listening(process), sampling(work.folder):
            executor.run_jobs(
                process, order, cwltool_logger, run_context(work.folder, work.settings, toplevel, work.reach)
            )
            recorder.raise_error()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # before Node.js, which is ours, counts as a child
    finally:
        javascript.end_node()
    with ending_badly(work.step, work.source, recorder):
        outputs, status = _ending(executor)
    if status not in ("success", "skipped"):
        raise _failure(work.step, recorder, getattr(process, "failure", None), status)
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
    visit_class(outputs, ("File", "Directory"), lambda item: item.pop(_GENERATION, None))
    return outputs


@contextmanager
def ending_badly(step: Step, source: Path, recorder: Recorder | None = None) -> Iterator[None]:
    """Turn what cwltool raises while it runs a step into a :class:`StepError`."""
    recorder = recorder or Recorder(Path())
    try:
        yield
    except (SchemaSaladException, WorkflowException) as error:
        passes = isinstance(error, (DiskTooFull, ImageUnavailable)) or may_pass(error)
        status = "temporaryFail" if passes else "permanentFail"
        raise _failure(step, recorder, error, status, _cause(error, source)) from error
    except OSError as error:
        status = "temporaryFail" if may_pass(error) else "permanentFail"
        raise _failure(step, recorder, error, status, str(error)) from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # cwltool meets some values of a wrong type with Python's own errors
        cause = f"cwltool failed on its values with {error!r}"
        raise _failure(step, recorder, error, "permanentFail", cause) from error


def _cause(error: Exception, source: Path) -> str:
    if complaints.is_of_expression(str(error)):
        return complaints.plain(str(error))
    return next((problem.message for problem in problems_of(error, source)), str(error))


def finish(compiled: Path, source: Path, values: Values, outputs: Path | Destination) -> dict[str, Any]:
    """Deliver the outputs of the workflow into the folder ``outputs``; return the CWL output object.

    Its folders have no ``listing`` if there would be more than :data:`MOST_LISTED` entries in all of them.

    Raises:
        StepError: an output can't be delivered.

    """
    preload()
    destination = outputs if isinstance(outputs, Destination) else Destination(outputs, root=outputs)
    with _ending_delivery():
        document = read_step_document(compiled, END_DOCUMENT, source)
        if "wf" in document:
            workflow = load_workflow(document, values)
            result = object_from_state(
                workflow.state, workflow.tool["outputs"], True, workflow.multi, "outputSource", incomplete=True
            )
        else:
            result = {name: value for name, (value, _status) in values.items()}
        delivered = deliver(result or {}, destination)
    visit_class(delivered, ("File", "Directory"), _as_delivered)
    _shorten(delivered)
    return delivered


@contextmanager
def _ending_delivery() -> Iterator[None]:
    try:
        yield
    except (SchemaSaladException, WorkflowException, OSError) as error:
        kind = "temporaryFail" if may_pass(error) else "permanentFail"
        raise StepError(f"The outputs of the workflow can't be delivered: {error}", kind=kind) from error


def _shorten(outputs: Any) -> None:
    """Leave out what is in folders if that is too much to be sent about; it can be read from the folders."""
    listed: list[int] = []
    visit_class(outputs, ("Directory",), lambda folder: listed.append(len(folder.get("listing") or ())))
    if sum(listed) > MOST_LISTED:
        visit_class(outputs, ("Directory",), lambda folder: folder.pop("listing", None))


def _failure(step: Step, recorder: Recorder, error: Exception | None, status: str, cause: str = "") -> StepError:
    """Return what is told of a step that ended badly."""
    message = recorder.explain(cause)
    lost, kind = recorder.lost()
    if lost:
        message, status = f"{lost} ({message})", kind
    elif full := recorder.full_disk():
        message, status = f"{message} ({full})", "temporaryFail"
    elif recorder.is_in_trouble():
        status = "temporaryFail"
    if _NO_CONTAINER_TEXT in message:
        message = (
            f"it needs a container ({step.container}), and this worker has no container engine: install docker, "
            "podman, singularity or udocker there, or see [cwl] container_engine"
        )
    elif not isinstance(error, UnsupportedRequirement):
        return StepError(
            f"Step {step.id}: {message}",
            kind=status,
            stderr=recorder.stderr_end(),
            exit_code=recorder.exit_code,
            command=recorder.command,
        )
    return StepError(f"Step {step.id}: {message}", kind="unsupported")


def _process_and_order(document: StepDocument, values: Values, settings: RunSettings) -> tuple[Process, dict[str, Any]]:
    """Return what to run and its job: a step has its values already, a tool gets them as its job."""
    if "wf" in document:
        return load_workflow(document, values), {}
    order = {name: value[0] for name, value in values.items()}
    tool: Process = load_tool(document)
    tool.requirements.extend(_pop_requirements(order, settings))
    return tool, order


def _pop_requirements(order: dict[str, Any], settings: RunSettings) -> list[Any]:
    """Take the requirements out of a job; they could run any command, so only where a site allows them."""
    found = [requirement for name in REQUIREMENTS for requirement in order.pop(name, None) or []]
    if found and not settings.job_requirements:
        raise JobError("A job can't bring requirements; see [cwl] allow_job_requirements.")
    return found


def _check_requirements(process: Process, requirements: Any) -> None:
    if requirements and process.metadata.get(ORIGINAL_CWLVERSION) == "v1.0":
        raise JobError("cwl:requirements in a job is not part of CWL v1.0; use v1.1 or later.")


def _prepare_order(process: Process, order: dict[str, Any], namespaces: dict[str, str], access: StdFsAccess) -> None:
    """Bring a job into the form that cwltool's runner gives it before it starts a process."""
    for item in process.tool["inputs"]:
        if "default" in item and shortname(item["id"]) not in order:
            order[shortname(item["id"])] = item["default"]
    loader = Loader({**order.pop("$namespaces", {}), **namespaces})

    def to_location(item: Any) -> None:
        if "location" not in item and "path" in item:
            item["location"] = file_uri(item.pop("path"))

    def expand_format(item: Any) -> None:
        if "format" in item:
            item["format"] = loader.expand_url(item["format"], "")

    visit_class(order, ("File", "Directory"), to_location)
    visit_class(order, ("File",), lambda item: add_sizes(access, item))
    visit_class(order, ("File",), expand_format)
    adjustDirObjs(order, trim_listing)
    normalizeFilesDirs(order)


def run_context(
    folder: Path, settings: RunSettings, toplevel: bool = False, reach: Reach | None = None
) -> RuntimeContext:
    """Return cwltool's context of a task; ``toplevel`` has it look for the secondary files of inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    context = RuntimeContext(
        {
            "basedir": str(folder),
            "tmpdir_prefix": str(folder / "tmp_"),
            "tmp_outdir_prefix": str(folder / "out_"),
            "mutation_manager": MutationManager(),
            "toplevel": toplevel,
            "preserve_environment": frozenset(os.environ.keys() & {MARK_VARIABLE, SERVER_VARIABLE}),
            **context_of(settings.engine),
            "cidfile_dir": str(folder),
            "cidfile_prefix": CID_PREFIX,
            "secret_store": secrets.load(settings.secrets),
        }
    )
    context.workflow_eval_lock = threading.Condition(threading.RLock())
    if settings.confines:
        confine(context, settings.confines, folder)
    if reach is not None:
        context.make_fs_access = reach.access(context.make_fs_access)
    if settings.mpi_config:
        context.mpi_config = MpiConfig.load(str(settings.mpi_config))
    return context


def _executor(step: Step, process: Process) -> JobExecutor:
    """Return an executor that runs the parts of a scattered step, or of a workflow in it, side by side."""
    nested = isinstance(process, Workflow) and isinstance(process.steps[0].embedded_tool, Workflow)
    return MultithreadedJobExecutor() if step.scatter or nested else SingleJobExecutor()


def _ending(executor: JobExecutor) -> tuple[dict[str, Any], str]:
    if not executor.final_output or executor.final_output[0] is None:
        return {}, executor.final_status[0] if executor.final_status else "permanentFail"
    return dict(executor.final_output[0]), executor.final_status[0]


def _as_delivered(item: dict[str, Any]) -> None:
    for key in (*_DERIVED, _GENERATION):
        item.pop(key, None)
    if str(item.get("location", "")).startswith("/"):
        item["location"] = file_uri(item["location"])
    if str(item.get("location", "")).startswith("file://"):
        item["path"] = uri_file_path(item["location"])
