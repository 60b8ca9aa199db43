"""What the tasks of a run do: the workflow's inputs, one step, the workflow's outputs. All semantics are cwltool's.

It runs in the task's own process, forked from one that has called :func:`preload`. Only JSON goes in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwltool.errors import WorkflowException
from cwltool.executors import JobExecutor, MultithreadedJobExecutor, SingleJobExecutor
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
from schema_salad.exceptions import SchemaSaladException
from schema_salad.ref_resolver import Loader, file_uri, uri_file_path

from cwl_ui_plugin.cwl.engine import secrets
from cwl_ui_plugin.cwl.engine.cwltool_internals import (
    GENERATION,
    make_builder,
    object_from_state,
)
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, announced, deliver
from cwl_ui_plugin.cwl.engine.problems import problems_of
from cwl_ui_plugin.cwl.engine.process_runs import KeptOutputs, StepResult, Work, reused_result, run_process
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values, preload, reach_of, run_context
from cwl_ui_plugin.cwl.engine.step_documents import load_tool, load_workflow
from cwl_ui_plugin.cwl.engine.step_failures import ending_badly
from cwl_ui_plugin.cwl.errors import JobError, StepError
from cwl_ui_plugin.cwl.jobs.checks import REQUIREMENTS
from cwl_ui_plugin.cwl.numbers import with_decimal_floats
from cwl_ui_plugin.cwl.plan import (
    END_DOCUMENT,
    JOB_REQUIREMENTS,
    START_DOCUMENT,
    CwlObject,
    Step,
    StepDocument,
    read_step_document,
)
from cwl_ui_plugin.cwl.temporary_errors import may_pass

MAX_LISTED = 20_000
"""Entries of folders in an output object; a million would keep the API server busy for minutes."""
_DERIVED = ("path", "nameext", "nameroot", "dirname")


@dataclass(frozen=True)
class InitialJob:
    """A process, its job as ``given`` and as cwltool has ``completed`` it, and the ``requirements`` that came along."""

    process: Process
    given: dict[str, object]
    completed: dict[str, object]
    requirements: list[object]


def initial_job(
    compiled: Path,
    source: Path,
    job: CwlObject,
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
    job_order = with_decimal_floats(job)
    requirements = _pop_requirements(job_order, settings)
    with _refusing_jobs(source):
        reach = reach_of((folder, source), job, settings)
        context = run_context(folder, settings, toplevel=True, reach=reach)
        if access is not None:
            context.make_fs_access = access
        process = load_workflow(document, {}) if "wf" in document else load_tool(document)
        secrets.hide(process, job_order, settings.secrets, must_keep=not settings.shares_folders)
        _prepare_job_order(process, job_order, document.get("namespaces") or {}, context.make_fs_access(""))
        builder = make_builder(process, job_order, context)
        if reach is not None:
            reach.check([builder.job, job_order])
    return InitialJob(process, job_order, dict(builder.job), requirements)


def start(compiled: Path, source: Path, job: dict[str, object], folder: Path, settings: RunSettings) -> Values:
    """Return the values of the workflow's inputs, see :func:`initial_job`; a tool completes its job when it runs.

    Raises:
        JobError: the job does not fit.

    """
    initial = initial_job(compiled, source, job, folder, settings)
    if isinstance(initial.process, Workflow):
        names = [item["id"] for item in initial.process.tool["inputs"]]
        return {name: [initial.completed[shortname(name)], "success"] for name in names}
    _check_requirements(initial.process, initial.requirements)
    job = dict(initial.given)
    if not settings.shares_folders:  # what lies beside the files of the job can't be found where the tool runs
        job |= {name: value for name, value in initial.completed.items() if name in job}
    values: Values = {name: [value, "success"] for name, value in job.items()}
    if initial.requirements:
        values[JOB_REQUIREMENTS] = [initial.requirements, "success"]
    return values


@contextmanager
def _refusing_jobs(source: Path) -> Iterator[None]:
    """Turn what cwltool raises about a job into a :class:`JobError`."""
    try:
        yield
    except (SchemaSaladException, WorkflowException) as error:
        if may_pass(error):
            raise StepError(f"The inputs can't be read: {error}", kind="temporaryFail") from error
        raise JobError("The job does not fit the workflow's inputs.", problems_of(error, source)) from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # cwltool meets some values of a wrong format or type with Python's own errors
        raise JobError(f"The job can't be used; cwltool failed on it with {error!r}.") from error


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
    kept = KeptOutputs(compiled, document, work).look_up(values)
    if kept.found:
        made = {name: [value, "success"] for name, value in kept.found.outputs.items()}
        return reused_result(made, is_taken_over=kept.found.is_taken_over)
    settings.check_inputs()
    with ending_badly(step, source):
        process, job_order = _process_and_job_order(document, values, settings)
    result = run_process(work, process, job_order, _executor(step, process), toplevel="wf" not in document)
    if result.status == "success":
        kept.keep({name: value for name, (value, _status) in result.values.items()})
    return result


def finish(
    compiled: Path,
    source: Path,
    values: Values,
    outputs: Path | Destination,
    check: Callable[[object], None] = lambda _outputs: None,
) -> CwlObject:
    """Deliver the outputs of the workflow into the folder ``outputs``; return the CWL output object.

    Its folders have no ``listing`` if there would be more than :data:`MAX_LISTED` entries in all of them. ``check``
    gets what is certain to be in it, and may raise before anything is delivered.

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
        check(announced(result or {}, destination))
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


def _shorten(outputs: object) -> None:
    """Leave out what is in folders if that is too much to be sent about; it can be read from the folders."""
    listed: list[int] = []
    visit_class(outputs, ("Directory",), lambda folder: listed.append(len(folder.get("listing") or ())))
    if sum(listed) > MAX_LISTED:
        visit_class(outputs, ("Directory",), lambda folder: folder.pop("listing", None))


def _process_and_job_order(document: StepDocument, values: Values, settings: RunSettings) -> tuple[Process, CwlObject]:
    """Return what to run and its job: a step has its values already, a tool gets them as its job."""
    if "wf" in document:
        return load_workflow(document, values), {}
    job_order = {name: value[0] for name, value in values.items()}
    tool: Process = load_tool(document)
    tool.requirements.extend(_pop_requirements(job_order, settings))
    return tool, job_order


def _pop_requirements(job_order: CwlObject, settings: RunSettings) -> list[Any]:
    """Take the requirements out of a job; they could run any command, so only where a site allows them."""
    found = [requirement for name in REQUIREMENTS for requirement in job_order.pop(name, None) or []]
    if found and not settings.job_requirements:
        raise JobError("A job can't bring requirements; see [cwl] allow_job_requirements.")
    return found


def _check_requirements(process: Process, requirements: object) -> None:
    if requirements and process.metadata.get(ORIGINAL_CWLVERSION) == "v1.0":
        raise JobError("cwl:requirements in a job is not part of CWL v1.0; use v1.1 or later.")


def _prepare_job_order(process: Process, job_order: CwlObject, namespaces: dict[str, str], access: StdFsAccess) -> None:
    """Bring a job into the form that cwltool's runner gives it before it starts a process."""
    for item in process.tool["inputs"]:
        if "default" in item and shortname(item["id"]) not in job_order:
            job_order[shortname(item["id"])] = item["default"]
    loader = Loader({**job_order.pop("$namespaces", {}), **namespaces})

    def to_location(item: CwlObject) -> None:
        if "location" not in item and "path" in item:
            item["location"] = file_uri(item.pop("path"))

    def expand_format(item: CwlObject) -> None:
        if "format" in item:
            item["format"] = loader.expand_url(item["format"], "")

    visit_class(job_order, ("File", "Directory"), to_location)
    visit_class(job_order, ("File",), lambda item: add_sizes(access, item))
    visit_class(job_order, ("File",), expand_format)
    adjustDirObjs(job_order, trim_listing)
    normalizeFilesDirs(job_order)


def _executor(step: Step, process: Process) -> JobExecutor:
    """Return an executor that runs the parts of a scattered step, or of a workflow in it, side by side."""
    nested = isinstance(process, Workflow) and isinstance(process.steps[0].embedded_tool, Workflow)
    return MultithreadedJobExecutor() if step.scatter or nested else SingleJobExecutor()


def _as_delivered(item: CwlObject) -> None:
    for key in (*_DERIVED, GENERATION):
        item.pop(key, None)
    if str(item.get("location", "")).startswith("/"):
        item["location"] = file_uri(item["location"])
    if str(item.get("location", "")).startswith("file://"):
        item["path"] = uri_file_path(item["location"])
