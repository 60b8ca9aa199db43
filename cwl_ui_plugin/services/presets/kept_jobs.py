"""The job of a preset: what of it is kept, and what of it fits the version of the workflow that is to be run."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.cwl.jobs.moving import NO_INPUT, OTHER_TYPE, moved
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.errors import BadRequest, TooLarge

MAX_JOB = 1_000_000
"""Most characters of a preset as JSON, if ``[cwl] max_job_size`` is not less."""
MUST_STAY_UNKNOWN = "it is a secret, and secrets are not kept"
OF_ONE_RUN = "each run has a folder of its own"
_WORDS = {OTHER_TYPE: "what was saved is not of the type that this version asks for", NO_INPUT: "no such input here"}


def kept_job(job: Mapping[str, object], plan: Plan) -> tuple[str, tuple[Problem, ...]]:
    """Return what a preset keeps of a job, as JSON, and what it does not keep.

    Raises:
        BadRequest: JSON or the database can't hold it.
        TooLarge: it is longer than a preset may be.

    """
    inputs = {item.id for item in plan.inputs}
    left = {item.id: MUST_STAY_UNKNOWN for item in plan.inputs if item.is_secret}
    left |= {name: OF_ONE_RUN for name in checks.FOLDERS if name not in inputs}
    try:
        checks.check_texts(job)
        text = json.dumps({name: value for name, value in job.items() if name not in left}, allow_nan=False)
    except JobError as error:
        raise BadRequest(error.message, error.problems) from error
    except (ValueError, TypeError, RecursionError):
        raise BadRequest("The inputs have a value that JSON does not have, or are nested too deeply.") from None
    if len(text) > (longest := min(MAX_JOB, config.max_job_size())):
        raise TooLarge(f"The inputs have {len(text)} characters, and a preset at most {longest}.")
    return text, tuple(Problem(why, input=name) for name, why in left.items() if name in job)


def fitted_job(job: Mapping[str, object], old: Plan | None, new: Plan) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """Return what of the job of a preset fits a version of its workflow, and what was left out.

    ``old`` is the version that it was saved for, None where that is gone: then all of its keys were inputs.
    """
    former = {item.id for item in old.inputs} if old else set(job)
    fitting, left = moved(job, former, new)
    told = [Problem(_WORDS[problem.message], input=problem.input) for problem in left]
    for item in new.inputs:
        if item.is_secret and fitting.pop(item.id, None) is not None:
            told.append(Problem(MUST_STAY_UNKNOWN, input=item.id))
    return fitting, tuple(told)
