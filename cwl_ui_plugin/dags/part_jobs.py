"""Jobs that Dag files give to parts of their Dags: checked as far as they are known, completed when tasks run.

Values may come from other tasks (XComs) and from templates; what they are is known only when a task runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath

from airflow.sdk.definitions._internal.mixins import ResolveMixin

from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs.checks import FOLDERS, type_text
from cwl_ui_plugin.cwl.jobs.types import fits
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.dags.errors import DagFileError
from cwl_ui_plugin.dags.run_job import with_files

_TEMPLATE = ("{{", "{%", "{#")
_NO_FOLDERS = "the outputs of a part of a Dag go into the folder of its run; leave this out"


def known_values(plan: Plan, job: object) -> dict[str, object]:
    """Return the inputs whose values stand in the Dag file: these need no task to be known."""
    if not isinstance(job, Mapping):
        return {}
    return _as_cwl(plan, {name: value for name, value in job.items() if not _is_open(value)})


def check_in_file(plan: Plan, job: object, where: str) -> None:
    """Check the job that a Dag file gives, as far as it is known; ``where`` names the part.

    Raises:
        DagFileError: with all that is wrong, input by input.

    """
    if isinstance(job, ResolveMixin) or (isinstance(job, str) and _is_open(job)):
        return
    if not isinstance(job, Mapping):
        raise DagFileError(f"The job of {where} must map inputs to values; it is of type {type(job).__name__}.")
    problems = list(_problems(plan, job))
    if problems:
        raise DagFileError("\n".join([f"The job of {where} does not fit:", *(f"- {problem}" for problem in problems)]))


def complete(plan: Plan | None, job: object, where: str) -> dict[str, object]:
    """Return the job that a task has got, as CWL writes it: tuples are made lists, and paths Files.

    Texts are made Files only where the inputs are known.

    Raises:
        JobError: it is no job, or has values that CWL does not have.

    """
    if not isinstance(job, Mapping):
        raise JobError(f"The job of {where} must map inputs to values; it is of type {type(job).__name__}.")
    problems = [Problem(_NO_FOLDERS, input=name) for name in FOLDERS if name in job]
    made = _as_cwl(plan, job)
    for name, value in made.items():
        if strange := _strange(value):
            problems.append(Problem(f"a value of Python's type {strange} is none of CWL", input=str(name)))
    if problems:
        raise JobError(f"The job of {where} can't be used.", tuple(problems))
    return made


def _problems(plan: Plan, job: Mapping[object, object]) -> Iterator[Problem]:
    inputs = {item.id: item for item in plan.inputs}
    for name in job:
        if name in FOLDERS:
            yield Problem(_NO_FOLDERS, input=name)
        elif name not in inputs:
            yield Problem(f"there is no such input; there are: {', '.join(inputs) or 'none'}", input=str(name))
    for item in plan.inputs:
        if item.id not in job and not item.is_optional:
            yield Problem(f"this input is required; give it a value of type {type_text(item.type)}", input=item.id)
    for name, value in known_values(plan, {name: job[name] for name in job if name in inputs}).items():
        item = inputs[name]
        if not fits(item.type, value) and not (value is None and item.is_optional):
            yield Problem(f"{str(value)[:80]!r} is not of type {type_text(item.type)}", input=name)


def _is_open(value: object) -> bool:
    """Whether a value, or a part of it, is known only when a task runs."""
    if isinstance(value, ResolveMixin):
        return True
    if isinstance(value, str):
        return any(sign in value for sign in _TEMPLATE)
    if isinstance(value, Mapping):
        return any(_is_open(part) for pair in value.items() for part in pair)
    return isinstance(value, (list, tuple, set)) and any(map(_is_open, value))


def _as_cwl(plan: Plan | None, values: Mapping[str, object]) -> dict[str, object]:
    """Write values as CWL does; a text, where it can be nothing but the path of a file, is one."""
    plain = {name: _plain(value, is_known=plan is not None) for name, value in values.items()}
    return with_files(plan.inputs, plain) if plan else plain


def _plain(value: object, *, is_known: bool) -> object:
    """Return a value of JSON's types; a path is a text where it is known what the inputs take, else a File."""
    if isinstance(value, PurePath):
        return str(value) if is_known else {"class": "File", "location": str(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item, is_known=is_known) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item, is_known=is_known) for key, item in value.items()}
    return value


def _strange(value: object) -> str | None:
    """Return the name of a type in a value that JSON does not have."""
    if isinstance(value, dict):
        parts = [*value.values(), *(key for key in value if not isinstance(key, str))]
        return next((found for part in parts if (found := _strange(part))), None)
    if isinstance(value, list):
        return next((found for part in value if (found := _strange(part))), None)
    return None if isinstance(value, (str, int, float, type(None))) else type(value).__name__
