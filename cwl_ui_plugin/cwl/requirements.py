"""What a step asks of the machine (ResourceRequirement), as far as it is known before the step runs. Needs no cwltool.

cwltool evaluates the requirement itself when the step starts, in full CWL. What a scheduler needs to know earlier is
read here: numbers, and parameter references such as ``$(inputs.threads)`` to what the run's job says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# https://www.commonwl.org/v1.2/CommandLineTool.html#ResourceRequirement; cwltool's defaults.
DEFAULT_CORES = 1.0
DEFAULT_RAM = 256.0
_REFERENCE = re.compile(r"\$\(inputs((?:\.\w+|\[\d+\]|\['[^']+'\]|\[\"[^\"]+\"\])+)\)")
_PART = re.compile(r"\.(\w+)|\[(\d+)\]|\['([^']+)'\]|\[\"([^\"]+)\"\]")


@dataclass(frozen=True)
class Resources:
    """Cores, and memory in mebibytes."""

    cores: float
    ram: float


def in_force(
    document: Mapping[str, Any], inherited: tuple[dict[str, object], ...] = ()
) -> tuple[dict[str, object], ...]:
    """Return the requirements and hints in force: the nearest of each class, a requirement before a hint.

    ``inherited`` are those in force around the document. A hint has ``is_hint``.
    """
    own = [dict(item) for item in document.get("requirements") or ()]
    hints = [{**item, "is_hint": True} for item in document.get("hints") or () if isinstance(item, dict)]
    found: dict[str, dict[str, object]] = {}
    for item in (*own, *(item for item in inherited if not item.get("is_hint")), *hints, *inherited):
        found.setdefault(str(item.get("class")), {"class": "", **item})
    return tuple(found.values())


def needs_a_job(asked: Mapping[str, object]) -> bool:
    """Whether a requirement depends on the inputs of a run."""
    return any(isinstance(value, str) for value in asked.values())


def resolve(asked: Mapping[str, object], inputs: Mapping[str, object]) -> Resources:
    """Return what a step needs. ``asked`` is :attr:`plan.Step.resources`, ``inputs`` the step's, as far as known.

    A value that is not known yet counts as CWL's default.
    """
    cores, ram = (_number(asked.get(name), inputs) for name in ("cores", "ram"))
    return Resources(
        cores=DEFAULT_CORES if cores is None else cores,
        ram=DEFAULT_RAM if ram is None else ram,
    )


def step_inputs(sources: Mapping[str, Mapping[str, object]], job: Mapping[str, object]) -> dict[str, object]:
    """Return the inputs of a step that come straight from a job: see :attr:`plan.Step.resource_inputs`."""
    return {
        name: source.get("default") if job.get(str(source.get("input"))) is None else job[str(source["input"])]
        for name, source in sources.items()
    }


def _number(value: object, inputs: Mapping[str, object]) -> float | None:
    if isinstance(value, str):
        match = _REFERENCE.fullmatch(value.strip())
        value = _look_up(match.group(1), inputs) if match else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _look_up(path: str, inputs: Any) -> object:
    for name, index, *quoted in _PART.findall(path):
        try:
            inputs = inputs[int(index)] if index else inputs[name or next(filter(None, quoted))]
        except (LookupError, TypeError):
            return None
    return inputs
