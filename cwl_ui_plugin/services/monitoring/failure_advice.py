"""What to do about a step that has failed, in words for whoever started the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.temporary_errors import is_of_disk
from cwl_ui_plugin.dags.folders import intermediate
from cwl_ui_plugin.services.monitoring.slurm_ends import SAID_BY
from cwl_ui_plugin.services.run_models import StepState

_KILLED, _SEGFAULT, _TERMINATED = 137, 139, 143  # 128 + signal, as shells tell it; negative as Python does
_MEBIBYTE = 1 << 20
_OUT_OF_MEMORY = re.compile(
    r"MemoryError|std::bad_alloc|Cannot allocate memory|OutOfMemoryError|Out of memory|oom-kill|cannot allocate vector",
    re.IGNORECASE,
)
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|disk full", re.IGNORECASE)
_NO_IMAGE = re.compile(
    r"manifest unknown|pull access denied|Unable to find image|repository does not exist|image .*not (?:known|found)"
    r"|can't be pulled|Failed to pull",
    re.IGNORECASE,
)
_NO_PROGRAM = re.compile(r"command not found|executable file not found|: not found$", re.IGNORECASE | re.MULTILINE)
_NO_LIBRARY = re.compile(
    r"ModuleNotFoundError|No module named|there is no package called|cannot open shared object file"
    r"|Can't locate \S+ in @INC",
    re.IGNORECASE,
)
_NO_NETWORK = re.compile(
    r"Could not resolve host|Temporary failure in name resolution|Network is unreachable|Name or service not known",
    re.IGNORECASE,
)
_NOT_ALLOWED = re.compile(r"Permission denied|Operation not permitted|Read-only file system", re.IGNORECASE)
_NO_FILE = re.compile(r"No such file or directory|FileNotFoundError|cannot open (?:file|input)", re.IGNORECASE)


def advice(step: StepState) -> str:
    """Return what to do about a failed step."""
    if step.error is None:
        return (
            "Airflow's log of the task says why: its process may have been killed, or its worker lost. "
            "Continue lets the run go on; the plugin does not try a step again more than [cwl] retries says."
        )
    if step.error_kind is None and step.error.startswith(SAID_BY):
        return _go_on()  # it says itself what to do
    if step.approval is not None:
        return (
            "Choose Edit and run again to start anew. To ask again in this run, choose Continue within "
            f"{config.number('keep_failed_days'):g} days: what had succeeded is not run again."
        )
    if step.error_kind == "unsupported":
        return "Change the workflow, or have an administrator set up what it needs; then choose Fix and continue."
    if intermediate.GONE in step.error:
        return "Choose Edit and run again; or clear the task that it names in Airflow, with all tasks after it."
    return f"{_cause(step)} {_go_on()}"


def _cause(step: StepState) -> str:
    for find in _CAUSES:
        for found in find(step, step.error or "", step.stderr or ""):
            return found
    if step.error_kind == "temporaryFail":
        return f"The tool says that this may pass; it was tried {step.try_number} times."
    if step.exit_code:
        return "The end of its standard error mostly says what it did not like: an input, or an option of the tool."
    return "Compare what the step says with its inputs."


def _of_time(_step: StepState, error: str, _stderr: str) -> Iterator[str]:
    if "time limit" in error:
        yield (
            "The tool's ToolTimeLimit is too short for these inputs: raise it in the workflow, or give smaller inputs."
        )
    if "execution_timeout" in error:
        yield (
            "The site's limit for tasks is too short for these inputs: an administrator can raise it "
            "([cwl] task_rules)."
        )


def _of_memory(step: StepState, _error: str, stderr: str) -> Iterator[str]:
    used = f"It had asked for {step.asked_ram:.0f} MiB" if step.asked_ram else ""
    if used and step.peak_memory_bytes:
        used += f", and used {step.peak_memory_bytes / _MEBIBYTE:.0f} MiB at least"
    told = f" {used}." if used else ""
    if step.exit_code in (_KILLED, -9):
        yield (
            f"The command was killed, most often because memory ran out.{told} Ask for more in the tool's "
            "ResourceRequirement (ramMin), or give smaller inputs."
        )
    elif _OUT_OF_MEMORY.search(stderr):
        yield (
            f"Memory ran out.{told} Ask for more in the tool's ResourceRequirement (ramMin), or give smaller inputs."
        )


def _of_disk(_step: StepState, error: str, stderr: str) -> Iterator[str]:
    if "can't be delivered" in error and is_of_disk(error):
        yield "The disk for outputs has no room, or does not answer: an administrator has to look at that folder."
    elif ("disk" in error and "full" in error) or is_of_disk(error) or _NO_ROOM.search(stderr):
        yield "The disk is full: an administrator has to make room in [cwl] tmp_folder."
    elif "was removed while it ran" in error or "is not there any more" in error:
        yield "Somebody, or a clean-up of the machine, has removed files that the run needs: start a new run."


def _of_image(_step: StepState, error: str, stderr: str) -> Iterator[str]:
    if _NO_IMAGE.search(error) or _NO_IMAGE.search(stderr):
        yield (
            "Its container image is not there, or may not be pulled: check the name and tag in DockerRequirement, and "
            "whether the workers can reach and may use that registry."
        )


def _of_program(step: StepState, error: str, stderr: str) -> Iterator[str]:
    if step.exit_code == 127 or _NO_PROGRAM.search(stderr) or (step.exit_code is None and _NO_PROGRAM.search(error)):
        yield (
            "The command was not found: name a container that has it (DockerRequirement), or have it installed on the "
            "workers."
        )
    elif _NO_LIBRARY.search(stderr):
        yield "A library that the command needs is missing: name a container that has it (DockerRequirement)."
    elif step.exit_code == 126:
        yield "The command may not be executed: its file needs the permission, or another interpreter."


def _of_surroundings(_step: StepState, _error: str, stderr: str) -> Iterator[str]:
    if _NO_NETWORK.search(stderr):
        yield "The command wants the network: the tool has to ask for it (NetworkAccess), and the site to allow it."
    elif _NOT_ALLOWED.search(stderr):
        yield (
            "The command may not read or write something: a tool may write only into its own folder; inputs can't be "
            "changed."
        )
    elif _NO_FILE.search(stderr):
        yield (
            "A file that the command wants is not there: an input that was not given, a secondary file (such as an "
            "index) that the tool does not declare, or a path that is only on another machine."
        )


def _of_signals(step: StepState, _error: str, _stderr: str) -> Iterator[str]:
    if step.exit_code in (_SEGFAULT, -11):
        yield "The command crashed (segmentation fault): a fault of the program, often with broken or unusual inputs."
    elif step.exit_code in (_TERMINATED, -15):
        yield "The command was ended from outside (SIGTERM): its worker was shut down, or somebody has ended it."


_CAUSES: tuple[Callable[[StepState, str, str], Iterator[str]], ...] = (
    _of_time,
    _of_disk,
    _of_image,
    _of_memory,
    _of_program,
    _of_signals,
    _of_surroundings,
)
"""In this order: what is most certain first."""


def _go_on() -> str:
    days = config.number("keep_failed_days")
    return (
        "Was it the workflow, choose Fix and continue: steps that do not change are not run again. Were only the "
        f"surroundings wrong, choose Continue within {days:g} days. With other inputs, Edit and run again."
    )
