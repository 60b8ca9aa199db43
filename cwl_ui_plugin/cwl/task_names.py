"""What the tasks of a workflow are called: of the plan, of the Dag that is made of it, and of pages that draw it."""

from __future__ import annotations

DISPATCHER = "CWLJobDispatcher"
GATHERER = "CWLJobGatherer"
_SCATTER, _GATHER, _INPUTS, _STEPS, _APPROVAL = "scatter", "gather", "inputs", "steps", "approval"
SUFFIXES = (_SCATTER, _GATHER, _INPUTS, _STEPS, _APPROVAL)
"""What the id of a task, or of a group of tasks, that helps a step ends with; the id of a step itself does not."""
APPROVAL_SUFFIX = f".{_APPROVAL}"


def scatter_task(task_id: str) -> str:
    """Return the id of the task that says which elements a scattered step has."""
    return f"{task_id}.{_SCATTER}"


def gather_task(task_id: str) -> str:
    """Return the id of the task that puts the outputs of a scattered step together."""
    return f"{task_id}.{_GATHER}"


def inputs_task(task_id: str) -> str:
    """Return the id of the task that makes the inputs of a step's subworkflow."""
    return f"{task_id}.{_INPUTS}"


def approval_task(task_id: str) -> str:
    """Return the id of the task that waits until somebody agrees that a step runs."""
    return f"{task_id}.{_APPROVAL}"


def is_approval(task_id: str) -> bool:
    """Whether a task of a workflow waits for somebody's word."""
    return task_id.endswith(APPROVAL_SUFFIX)


def helped_task(task_id: str) -> str | None:
    """Return the id of the step's own task that a task helps; None for one that helps none."""
    base, _, suffix = task_id.rpartition(".")
    return base if base and suffix in SUFFIXES else None


def is_end(task_id: str) -> bool:
    """Whether a task is the first or last of a workflow, also where that is a part of a Dag."""
    return task_id.rpartition(".")[2] in (DISPATCHER, GATHERER)


def scatter_group(task_id: str) -> str:
    """Return the id of the group with the tasks of a scattered step; a group's id has no dots."""
    return f"{_without_dots(task_id)}-{_SCATTER}"


def steps_group(task_id: str) -> str:
    """Return the id of the group with the tasks of a step's subworkflow."""
    return f"{_without_dots(task_id)}-{_STEPS}"


def _without_dots(task_id: str) -> str:
    return task_id.replace(".", "-")
