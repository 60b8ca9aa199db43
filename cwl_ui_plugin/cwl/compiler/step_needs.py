"""What a step asks of the site beyond cores and memory: devices, network, time, and our own hints."""

from __future__ import annotations

from typing import TypedDict, TypeGuard

from cwltool.process import Process
from cwltool.workflow import Workflow

from cwl_ui_plugin.cwl.hints import EXECUTION, MAX_PROFILE, is_hint

_CUDA = "http://commonwl.org/cwltool#CUDARequirement"
_NETWORK = "NetworkAccess"
_TIME_LIMIT = "ToolTimeLimit"


class StepNeeds(TypedDict):
    """Fields of :class:`plan.Step`."""

    gpus: float
    network: bool
    time_limit: float | None
    profile: str


def needs_of(process: Process) -> StepNeeds:
    """Return what a tool asks for; of a workflow that is one task, what any of its tools does."""
    if isinstance(process, Workflow) and process.steps:
        inner = [needs_of(step.embedded_tool) for step in process.steps]
        return StepNeeds(
            gpus=max(need["gpus"] for need in inner),
            network=any(need["network"] for need in inner),
            time_limit=None,  # of each command; how often one of them runs is not known
            profile=_profile(process) or next((need["profile"] for need in inner if need["profile"]), ""),
        )
    return StepNeeds(
        gpus=_devices(process), network=_network(process), time_limit=_time_limit(process), profile=_profile(process)
    )


def _devices(process: Process) -> float:
    requirement = process.get_requirement(_CUDA)[0]
    if requirement is None:
        return 0
    least = requirement.get("cudaDeviceCountMin", requirement.get("cudaDeviceCountMax", 1))
    return float(least) if _is_number(least) else 1


def _network(process: Process) -> bool:
    requirement = process.get_requirement(_NETWORK)[0] or {}
    return requirement.get("networkAccess") not in (None, False)


def _time_limit(process: Process) -> float | None:
    requirement = process.get_requirement(_TIME_LIMIT)[0] or {}
    limit = requirement.get("timelimit")
    return float(limit) if _is_number(limit) and limit > 0 else None


def _profile(process: Process) -> str:
    for hint in (*process.requirements[::-1], *process.hints[::-1]):
        if is_hint(hint, EXECUTION) and isinstance(hint.get("profile"), str):
            return str(hint["profile"])[:MAX_PROFILE]
    return ""


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
