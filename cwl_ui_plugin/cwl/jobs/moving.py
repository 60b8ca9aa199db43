"""A job that was written for one version of a workflow, for another version: what fits, and what does not."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.types import fits
from cwl_ui_plugin.cwl.plan import Plan

OTHER_TYPE = "what you gave is not of the type that the new version asks for"
NO_INPUT = "the new version has no such input"


def moved(job: Mapping[str, object], former: Collection[str], new: Plan) -> tuple[dict[str, object], list[Problem]]:
    """Return what of a job fits a version of its workflow, and what was left out.

    ``former`` are the inputs of the version that the job was written for: other keys stay, whatever they mean.
    """
    inputs = {item.id: item for item in new.inputs}
    fitting: dict[str, object] = {}
    left: list[Problem] = []
    for name, value in job.items():
        if name in inputs and (fits(inputs[name].type, value) or (value is None and inputs[name].is_optional)):
            fitting[name] = value
        elif name in inputs:
            left.append(Problem(OTHER_TYPE, input=name))
        elif name in former:
            left.append(Problem(NO_INPUT, input=name))
        else:
            fitting[name] = value
    return fitting, left
