"""What we use of cwltool, schema_salad and cwl_utils that they don't promise to keep: private names, attributes, texts.

cwltool is a program first: nothing but its command line is promised. Classes and functions that are plainly meant for
others (``Process``, ``RuntimeContext``, ``load_tool``) are imported where they are used; all else is reached through
this module. :data:`CONTRACT` says what each use relies on, the uses of promised names included; a test compares it with
the releases that setup.cfg allows, and tells what a new one has changed.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cwltool import builder, process, workflow_job
from cwltool.loghandler import _logger, defaultStreamHandler
from cwltool.pathmapper import MapperEnt, PathMapper
from cwltool.process import Process
from cwltool.stdfsaccess import StdFsAccess
from cwltool.workflow_job import WorkflowJob, object_from_state
from schema_salad.avro.schema import Names
from schema_salad.ref_resolver import Loader
from schema_salad.schema import make_avro_schema

if TYPE_CHECKING:
    from cwl_utils.types import CWLObjectType
    from cwltool.builder import Builder
    from cwltool.context import RuntimeContext
    from rdflib import Graph

__all__ = ["Names", "WorkflowJob", "make_avro_schema", "object_from_state"]

logger: logging.Logger = _logger
"""The log that all of cwltool writes to."""
GENERATION = "http://commonwl.org/cwltool#generation"
"""What cwltool notes about files for itself (``mutation``)."""
LOOP = "http://commonwl.org/cwltool#Loop"
SECRETS = "http://commonwl.org/cwltool#Secrets"
NO_CONTAINER_TEXT = "--no-container, but this CommandLineTool has DockerRequirement"
"""What it says of a tool that needs a container where none are used; there is no class for it."""
OLD_DOCUMENT_TEXT = "no longer supports pre CWL v1.0"
DRAFT_DOCUMENT_TEXT = "is a development or deprecated version"
EXTENSIONS = {
    "v1.0": "extensions.yml",
    "v1.1": "extensions-v1.1.yml",
    "v1.2": "extensions-v1.2.yml",
    "v1.3.0-dev1": "extensions-v1.3.yml",
}
"""Files in cwltool's package: its extensions (cwltool:Loop, cwltool:Secrets ...), by the version that they extend."""
_SCHEMA_VERSION = "v1.0"
Execute = Callable[..., None]
"""``(runtime, env, context, monitor)``: runs a command, and calls ``monitor`` with its process."""


def make_builder(tool: Process, job_order: CWLObjectType, context: RuntimeContext) -> Builder:
    """Return cwltool's Builder of a process and a job: defaults filled in, secondary files found, all validated."""
    return tool._init_job(job_order, context)


def forget_job_names() -> None:
    """Let cwltool give the next job the name that it wants: it looks for a free one, longer for each job."""
    process._names.clear()


def scatter_function(method: str) -> Callable[..., object]:
    """Return cwltool's function for a ``scatterMethod`` of CWL."""
    found: Callable[..., object] = getattr(workflow_job, f"{method}_scatter")
    return found


def wrap_execution(job: Any, wrap: Callable[[Execute], Execute]) -> None:
    """Put something around the running of a job's command; staging and collecting of outputs is not in it."""
    job._execute = wrap(job._execute)


def format_graph_of(tool: Process) -> Graph | None:
    """Return the ontology that a process checks formats with."""
    return getattr(tool, "formatgraph", None)


def set_format_graph(tool: Process, graph: Graph) -> None:
    """Let a process check formats with an ontology."""
    tool.formatgraph = graph


def absolute(access: StdFsAccess, place: str) -> str:
    """Return the path that a file access stands for."""
    return access._abs(place)


def checking(access: type[StdFsAccess], check: Callable[[str, str], None]) -> type[StdFsAccess]:
    """Return a file access that calls ``check`` with each place that it is asked for, and its path."""

    class Checking(access):  # type: ignore[valid-type,misc]
        """Looks at places before it reads."""

        def _abs(self, p: str) -> str:
            path: str = super()._abs(p)
            check(p, path)
            return path

    return Checking


def planned(mapper: PathMapper) -> dict[str, MapperEnt]:
    """Return what a path mapper has planned so far, by location; it can be changed."""
    return mapper._pathmap


def stop_logging_to_terminal() -> None:
    """Let cwltool's log go only where this process has handlers."""
    if defaultStreamHandler in logger.handlers:
        logger.removeHandler(defaultStreamHandler)


def load_schemas() -> None:
    """Read the schemas that every process of CWL is checked with; cwltool keeps them."""
    process.get_schema(_SCHEMA_VERSION)


def schema_names(*names: str) -> Names:
    """Return the schemas of some types of CWL, as a process has them."""
    load_schemas()
    index: Any = process.SCHEMA_CACHE[_SCHEMA_VERSION][3].idx
    return make_avro_schema([index[f"https://w3id.org/cwl/{name}"] for name in names], Loader({}))


def copy_names(names: Names) -> Names:
    """Return the same schemas, to which others can be added."""
    copied = copy.copy(names)
    copied.names = dict(names.names)
    return copied


def replace_schema_making(make: Callable[[object, object], Names]) -> None:
    """Have each process ask ``make`` for the schemas of File, Directory and Any, and make no Loader for that."""
    replaced: Any = process  # as a type checker does not know that the names are there, or may be others
    replaced.make_avro_schema = make
    replaced.Loader = lambda _context: None


def replace_deepcopy(deepcopy: Callable[[object], object]) -> None:
    """Have cwltool's Builder make deep copies by another function."""
    replaced: Any = builder
    replaced.copy = SimpleNamespace(copy=copy.copy, deepcopy=deepcopy)


@dataclass(frozen=True)
class Use:
    """What is relied on of one thing: ``name`` is ``module:Class.method``, ``why`` who breaks without it.

    ``parameters`` are the first ones that it takes, by these names. ``attributes`` are those of the objects of a class,
    ``texts`` stand in the source of a module, ``files`` in a package.
    """

    name: str
    why: str
    parameters: tuple[str, ...] | None = None
    attributes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


_CALLBACKS = ("self", "job_order", "output_callbacks", "runtimeContext")
_SCATTER = ("process", "joborder", "scatter_keys", "output_callback", "runtimeContext")
CONTRACT = (
    # Loading documents
    Use("cwltool.load_tool:fetch_document", "uploads", ("argsworkflow", "loadingContext")),
    Use("cwltool.load_tool:resolve_and_validate_document", "uploads", ("loadingContext", "workflowobj", "uri")),
    Use("cwltool.load_tool:make_tool", "uploads", ("uri", "loadingContext")),
    Use("cwltool.load_tool", "documents before CWL v1.0", texts=(OLD_DOCUMENT_TEXT,)),
    Use("cwltool.update", "documents in drafts of CWL", texts=(DRAFT_DOCUMENT_TEXT,)),
    Use("cwltool.process:use_custom_schema", "cwltool's extensions", ("version", "name", "text")),
    Use("cwltool", "cwltool's extensions", files=tuple(EXTENSIONS.values())),
    Use("cwltool.update:ORIGINAL_CWLVERSION", "step documents"),
    Use(
        "cwltool.context:LoadingContext",
        "uploads, step documents",
        attributes=(
            "construct_tool_object",
            "disable_js_validation",
            "do_validate",
            "fetcher_constructor",
            "metadata",
            "relax_path_checks",
            "resolver",
        ),
    ),
    Use("schema_salad.fetcher:DefaultFetcher", "uploads", ("cache", "session"), attributes=("cache",)),
    Use("schema_salad.fetcher:DefaultFetcher.fetch_text", "uploads", ("self", "url", "content_types")),
    Use("schema_salad.fetcher:DefaultFetcher.check_exists", "uploads", ("self", "url")),
    Use("schema_salad.exceptions:SchemaSaladException.leaves", "what is wrong with an upload", ("self",)),
    Use(
        "schema_salad.exceptions:SchemaSaladException",
        "what is wrong with an upload",
        attributes=("message", "file", "start"),
    ),
    Use("schema_salad.utils:json_dumps", "step documents", ("obj",)),
    # Processes
    Use("cwltool.process:Process", "all", attributes=("tool", "metadata", "requirements", "hints", "formatgraph")),
    Use("cwltool.process:Process._init_job", "the first task, subworkflows", ("self", "joborder", "runtime_context")),
    Use("cwltool.process:Process.job", "steps", _CALLBACKS),
    Use("cwltool.process:Process.visit", "operations, formats", ("self", "op")),
    Use("cwltool.process:Process.get_requirement", "requirements", ("self", "feature")),
    Use("cwltool.process:shortname", "names", ("inputid",)),
    Use("cwltool.process:add_sizes", "sizes of a job's files", ("fsaccess", "obj")),
    Use("cwltool.process:compute_checksums", "checksums of outputs", ("fs_access", "fileobj")),
    Use("cwltool.process:_names", "names of jobs"),
    Use("cwltool.process:get_schema", "preloading", ("version",)),
    Use("cwltool.process:SCHEMA_CACHE", "schemas are made once, before tasks are forked"),
    Use("cwltool.process:make_avro_schema", "schemas are made once: it is replaced there", ("i", "loader")),
    Use("cwltool.process:Loader", "no HTTP session for each process: it is replaced there"),
    Use("schema_salad.schema:make_avro_schema", "schemas are made once", ("i", "loader")),
    Use("schema_salad.avro.schema:Names", "schemas are made once", attributes=("names",)),
    Use("schema_salad.ref_resolver:Loader.expand_url", "formats of a job's files", ("self", "url", "base_url")),
    Use("cwltool.builder:copy", "long lists are not copied for each item: it is replaced there"),
    Use("cwltool.builder:Builder", "inputs of a step", attributes=("job", "resources")),
    Use("cwltool.workflow:default_make_tool", "step documents", ("toolpath_object", "loadingContext")),
    Use("cwltool.workflow:Workflow", "step documents", ("toolpath_object", "loadingContext"), attributes=("steps",)),
    Use("cwltool.workflow:WorkflowStep", "plans, subworkflows", attributes=("id", "tool", "embedded_tool")),
    Use(
        "cwltool.workflow_job:WorkflowJob",
        "steps",
        ("workflow", "runtimeContext"),
        attributes=("steps", "state", "processStatus", "did_callback"),
    ),
    Use(
        "cwltool.workflow_job:WorkflowJob.try_make_job",
        "steps",
        ("self", "step", "final_output_callback", "runtimeContext"),
    ),
    Use("cwltool.workflow_job:WorkflowJobStep", "steps", attributes=("tool",)),
    Use(
        "cwltool.workflow_job:object_from_state",
        "outputs, subworkflows, scattered steps",
        ("state", "params", "frag_only", "supportsMultipleInput", "sourceField", "incomplete"),
    ),
    Use("cwltool.workflow_job:dotproduct_scatter", "scattered steps", _SCATTER),
    Use("cwltool.workflow_job:nested_crossproduct_scatter", "scattered steps", _SCATTER),
    Use("cwltool.workflow_job:flat_crossproduct_scatter", "scattered steps", _SCATTER),
    Use("cwltool.utils:WorkflowStateItem", "steps", ("parameter", "value", "success")),
    # Jobs
    Use(
        "cwltool.job:JobBase",
        "command lines, exit codes, logs, limits of commands",
        attributes=(
            "builder",
            "collect_outputs",
            "command_line",
            "generatefiles",
            "inplace_update",
            "networkaccess",
            "outdir",
            "output_callback",
            "pathmapper",
            "stderr",
            "stdout",
            "successCodes",
            "timelimit",
        ),
    ),
    Use("cwltool.job:JobBase._execute", "time limits, stops", ("self", "runtime", "env", "runtimeContext")),
    Use("cwltool.job:JobBase.process_monitor", "peak memory: it is replaced", ("self", "sproc")),
    Use("cwltool.job:CommandLineJob.run", "logs: it is replaced", ("self", "runtimeContext", "tmpdir_lock")),
    Use("cwltool.job:ContainerCommandLineJob.run", "logs: it is replaced", ("self", "runtimeContext", "tmpdir_lock")),
    Use(
        "cwltool.job:ContainerCommandLineJob.docker_monitor",
        "peak memory: it is replaced",
        ("self", "cidfile", "tmpdir_prefix", "cleanup_cidfile", "docker_exe", "process"),
    ),
    Use(
        "cwltool.docker:DockerCommandLineJob.create_runtime",
        "labels of containers: it is replaced",
        ("self", "env", "runtimeContext"),
    ),
    Use("cwltool.docker:DockerCommandLineJob", "images of containers", attributes=("docker_exec",)),
    Use("cwltool.command_line_tool", "a worker without container engine", texts=(NO_CONTAINER_TEXT,)),
    Use("cwltool.executors:JobExecutor.run_jobs", "steps", ("self", "process", "job_order_object", "logger")),
    Use("cwltool.executors:JobExecutor", "steps", attributes=("final_output", "final_status")),
    Use(
        "cwltool.context:RuntimeContext",
        "steps",
        attributes=(
            "basedir",
            "cidfile_dir",
            "cidfile_prefix",
            "default_stderr",
            "default_stdout",
            "make_fs_access",
            "mpi_config",
            "mutation_manager",
            "path_mapper",
            "podman",
            "preserve_environment",
            "secret_store",
            "singularity",
            "tmp_outdir_prefix",
            "tmpdir_prefix",
            "toplevel",
            "use_container",
            "user_space_docker_cmd",
            "workflow_eval_lock",
        ),
    ),
    Use("cwltool.loghandler:_logger", "logs of tasks"),
    Use("cwltool.loghandler:defaultStreamHandler", "each line once in a task's log"),
    # Files
    Use("cwltool.stdfsaccess:StdFsAccess", "what a task may read", ("basedir",), attributes=("basedir",)),
    Use("cwltool.stdfsaccess:StdFsAccess._abs", "what a task may read", ("self", "p")),
    Use(
        "cwltool.pathmapper:PathMapper",
        "what a task may stage",
        ("referenced_files", "basedir", "stagedir"),
        attributes=("_pathmap", "stagedir"),
    ),
    Use(
        "cwltool.pathmapper:PathMapper.visit",
        "what a task may stage",
        ("self", "obj", "stagedir", "basedir", "copy", "staged"),
    ),
    Use(
        "cwltool.pathmapper:PathMapper.update",
        "what a task may stage",
        ("self", "key", "resolved", "target", "ctype", "stage"),
    ),
    Use("cwltool.pathmapper:MapperEnt", "what a task may stage", ("resolved", "target", "type", "staged")),
    Use("cwltool.mutation", "files of outputs", texts=(GENERATION,)),
    Use("cwltool.secrets:SecretStore", "secrets of a run", attributes=("secrets",)),
    Use("cwltool.secrets:SecretStore.store", "secrets of a run", ("self", "secrets", "job")),
    Use("cwltool.mpi:MpiConfig.load", "MPI", ("config_file_name",)),
    Use("cwltool.utils:downloadHttpFile", "inputs from the network", ("httpurl",)),
    # Expressions
    Use("cwl_utils.sandboxjs:get_js_engine", "expressions"),
    Use("cwl_utils.sandboxjs:set_js_engine", "expressions"),
    Use(
        "cwl_utils.sandboxjs:NodeJSEngine.exec_js_process",
        "expressions: it is replaced",
        ("self", "js_text", "timeout", "js_console", "context"),
    ),
    Use("cwl_utils.sandboxjs:NodeJSEngine.new_js_proc", "expressions: it is replaced", ("self", "js_text")),
)
