"""How a task runs: its settings, cwltool's context made of them, and what is done once before tasks are forked."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cwltool.context import RuntimeContext
from cwltool.mpi import MpiConfig
from cwltool.mutation import MutationManager

from cwl_ui_plugin.cwl.containers.engines import context_of
from cwl_ui_plugin.cwl.containers.policy import ANYTHING, ContainerPolicy
from cwl_ui_plugin.cwl.containers.task_containers import CID_PREFIX
from cwl_ui_plugin.cwl.engine import javascript, secrets
from cwl_ui_plugin.cwl.engine.confines import Confines, confine
from cwl_ui_plugin.cwl.engine.cwltool_internals import (
    load_schemas,
    stop_logging_to_terminal,
)
from cwl_ui_plugin.cwl.engine.cwltool_patches import apply_cwltool_patches
from cwl_ui_plugin.cwl.engine.reach import Reach
from cwl_ui_plugin.cwl.engine.results import ResultsKeeper
from cwl_ui_plugin.cwl.engine.secrets import SecretsKeeper
from cwl_ui_plugin.cwl.observed import Observed
from cwl_ui_plugin.cwl.plan import Traits
from cwl_ui_plugin.cwl.processes.task_processes import SERVER_VARIABLE, TAG_VARIABLE

Values = dict[str, list[Any]]
"""``{full id: [value, status]}``, plain JSON: what travels between tasks."""


@dataclass(frozen=True)
class RunSettings:
    """How to run: the container engine or ``none``, the tag of this task's processes, whether to use the network.

    ``reuse`` is the folder of outputs that are used again, ``secrets`` keeps the run's secrets, ``mpi_config`` is
    cwltool's file about the site's MPI, ``images`` where singularity keeps images; each may be None.
    ``job_requirements`` says whether a job may bring requirements of its own. ``before_command`` is called before each
    command, from its thread; what it raises keeps the command from being started.
    ``containers`` is what the site asks of tools. ``confines`` is what may be read; without it, cwltool reads whatever
    it is told to. ``traits`` are those of the workflow; without them, they are read. ``observed`` is filled with what
    is seen of the task. ``results`` is where the task leaves word of what it has made, and takes it over from an
    earlier run; ``check_inputs`` is called before anything is run. ``shares_folders`` says whether the tasks of a run
    see the same files.
    """

    engine: str
    tag: str
    reuse: Path | None = None
    secrets: SecretsKeeper | None = None
    mpi_config: Path | None = None
    images: Path | None = None
    job_requirements: bool = False
    before_command: Callable[[], None] = lambda: None
    containers: ContainerPolicy = ANYTHING
    confines: Confines | None = None
    traits: Traits | None = None
    observed: Observed = field(default_factory=Observed)
    results: ResultsKeeper | None = None
    check_inputs: Callable[[], None] = lambda: None
    shares_folders: bool = True


def preload() -> None:
    """Do once, before forking, what every task would do: cwltool's imports and its schemas."""
    load_schemas()
    stop_logging_to_terminal()  # Airflow's task log has it already
    javascript.use_shipped_node()
    apply_cwltool_patches()


def reach_of(folders: tuple[Path, ...], given: object, settings: RunSettings) -> Reach | None:
    """Return which files a document may use, or None where it may use all."""
    return Reach(folders, given) if settings.containers.required else None


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
            "preserve_environment": frozenset(os.environ.keys() & {TAG_VARIABLE, SERVER_VARIABLE}),
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
