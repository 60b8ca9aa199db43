"""What to do about a step that has failed, in words for whoever started the run."""

from __future__ import annotations

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.temporary_errors import is_of_disk
from cwl_ui_plugin.dags.folders import intermediate
from cwl_ui_plugin.services.models import StepState

_KILLED = 137  # 128 + SIGKILL, as shells tell it; -9 as Python does


def advice(step: StepState) -> str:
    """Return what to do about a failed step."""
    if step.error is None:
        return (
            "Airflow's log of the task says why: its process may have been killed, or its worker lost. "
            "Run again; the plugin does not try a step again more than [cwl] retries says."
        )
    if step.error_kind == "unsupported":
        return "Change the workflow, or have an administrator set up what it needs; then upload it as a new version."
    if intermediate.GONE in step.error:
        return "Choose Edit and run again; or clear the task that it names in Airflow, with all tasks after it."
    return f"{_cause(step)} {_go_on()}"


def _cause(step: StepState) -> str:
    error = step.error or ""
    if "time limit" in error:
        return (
            "The tool's ToolTimeLimit is too short for these inputs: raise it in the workflow, or give smaller inputs."
        )
    if step.exit_code in (_KILLED, -9):
        return (
            "The command was killed, most often because memory ran out: ask for more in the tool's "
            "ResourceRequirement (ramMin), or give smaller inputs."
        )
    if step.exit_code == 127:
        return (
            "The command was not found: name a container that has it (DockerRequirement), or have it installed on the "
            "workers."
        )
    if step.exit_code == 126:
        return "The command may not be executed: its file needs the permission, or another interpreter."
    if "can't be delivered" in error and is_of_disk(error):
        return "The disk for outputs has no room, or does not answer: an administrator has to look at that folder."
    if ("disk" in error and "full" in error) or is_of_disk(error):
        return "The disk is full: an administrator has to make room in [cwl] tmp_folder."
    if "was removed while it ran" in error or "is not there any more" in error:
        return "Somebody, or a clean-up of the machine, has removed files that the run needs: start a new run."
    if step.error_kind == "temporaryFail":
        return f"The tool says that this may pass; it was tried {step.try_number} times."
    if step.exit_code:
        return "The end of its standard error mostly says what it did not like: an input, or an option of the tool."
    return "Compare what the step says with its inputs."


def _go_on() -> str:
    days = config.number("keep_failed_days")
    return (
        "Then choose Edit and run again to start anew with other inputs. If only the surroundings were wrong, clear "
        f"the task in Airflow within {days:g} days: the run goes on, and what had succeeded is not run again."
    )
