"""The job of a run, made of its conf. Lowest first, by input:

1. the default of the workflow (CWL's own rule: where there is nothing, or null);
2. the template of the schedule, for runs that Airflow has created by it;
3. flat keys of the conf, named as inputs: what Airflow's forms send for Params. Null means "not given". A File or a
   Directory may be given by its path, also within lists and records;
4. ``conf["job"]``, a job as CWL has it: null is a value there.

A flat key that is no input is refused. Three names have other uses (``dags.conf``), and ``output_folder`` and
``tmp_folder`` are the folders of the run, as in a job: inputs with such names are to be given in ``conf["job"]``. The
conf itself stays as it was sent, since it may be signed.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping

from cwl_ui_plugin.cwl.cwl_types import CwlType, OneType, kinds_of
from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs.checks import FOLDERS, MAX_PROBLEMS, MAX_SUGGESTIONS
from cwl_ui_plugin.cwl.jobs.types import fits
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.conf import GRANT, JOB, SIGNATURE, WES

RESERVED = frozenset((JOB, SIGNATURE, GRANT, WES, *FOLDERS))
"""Names that a conf has other uses for: inputs with these have no Param."""
MAX_NAMES = 20
MEANINGLESS = "The conf of the run has keys that mean nothing to its workflow."
_NOT_FLAT = (JOB, SIGNATURE, GRANT, WES)
_MAX_SUGGESTION = 100
_FILES = ("File", "Directory")
_NO_OBJECT = (
    'The conf must be {"job": {...}}, with the inputs of the workflow in "job", or have the inputs as its keys.'
)


def run_job(
    inputs: Iterable[Parameter],
    conf: Mapping[str, object] | None,
    *,
    template: Mapping[str, object] | None = None,
    others: Collection[str] = (),
) -> dict[str, object]:
    """Return the job of a run, without the defaults of the workflow, which CWL's own rule adds.

    Args:
        inputs: those of the workflow.
        conf: the conf of the run, as it was sent.
        template: the job of its schedule, where the run was created by that.
        others: keys that mean something to the author of a Dag file: its own Params.

    Raises:
        JobError: the job is no mapping, or a key of the conf means nothing; one problem for each.

    """
    inputs = list(inputs)
    problems = strangers(conf, [*(item.id for item in inputs), *others])
    if problems:
        raise JobError(MEANINGLESS, problems)
    merged = {**(template or {}), **_flat(conf, others)}
    return {**with_files(inputs, merged), **_job(conf)}


def job_of(inputs: Iterable[Parameter], conf: object) -> dict[str, object]:
    """Return the job of a run that is there already, whatever its conf is; for display and for running it again."""
    return {**with_files(inputs, _flat(conf)), **_job_or_nothing(conf)}


def given(conf: object) -> dict[str, object]:
    """Return what a conf gives by name, where the inputs of the workflow are not known; paths of files as they are."""
    return {**_flat(conf), **_job_or_nothing(conf)}


def check_form(conf: Mapping[str, object] | None) -> None:
    """Raise :class:`JobError` for a conf whose job is no mapping."""
    _job(conf)


def strangers(conf: Mapping[str, object] | None, known: Collection[str]) -> tuple[Problem, ...]:
    """Return a problem for each flat key of a conf that means nothing; ``known`` are the names of the inputs."""
    unknown = [name for name in (conf or {}) if name not in RESERVED and name not in known]
    problems = list(_explained(unknown, known))
    left = len(unknown) - MAX_PROBLEMS
    return (*problems, Problem(f"and {left} more keys")) if left > 0 else tuple(problems)


def with_files(inputs: Iterable[Parameter], values: Mapping[str, object]) -> dict[str, object]:
    """Return values with File and Directory objects in place of paths, where the type of an input wants these."""
    types = {item.id: item.type for item in inputs}
    return {name: _with_files(types[name], value) if name in types else value for name, value in values.items()}


def is_of_type(declared: CwlType, value: object) -> bool:
    """Whether a value of a flat key is of a type, wherever its files are; null is, as "not given"."""
    return value is None or fits(declared, _with_files(declared, value))


def _flat(conf: object, others: Collection[str] = ()) -> dict[str, object]:
    if not isinstance(conf, Mapping):
        return {}
    left_out = {*_NOT_FLAT, *others} - set(FOLDERS)
    return {name: value for name, value in conf.items() if name not in left_out and value is not None}


def _job(conf: Mapping[str, object] | None) -> dict[str, object]:
    job = (conf or {}).get(JOB, {})
    if not isinstance(job, dict):
        raise JobError(_NO_OBJECT)
    return job


def _job_or_nothing(conf: object) -> dict[str, object]:
    job = conf.get(JOB) if isinstance(conf, Mapping) else None
    return job if isinstance(job, dict) else {}


def _explained(unknown: list[str], known: Collection[str]) -> Iterator[Problem]:
    for number, name in enumerate(unknown[:MAX_PROBLEMS]):
        is_compared = number < MAX_SUGGESTIONS and len(name) < _MAX_SUGGESTION
        close = difflib.get_close_matches(name, [*known, JOB], n=2) if is_compared else []
        yield Problem(f"the workflow has no such input; {_meant(close) or _all(known)}", input=name[:_MAX_SUGGESTION])


def _meant(close: list[str]) -> str:
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


def _all(known: Collection[str]) -> str:
    names = list(known)[:MAX_NAMES]
    if not names:
        return "it has none"
    return f"it has {', '.join(names)}{', …' if len(known) > len(names) else ''}"


def _with_files(declared: CwlType, value: object) -> object:
    """Return a value in which texts are File objects where only a File can be meant: a string stays a string."""
    if isinstance(value, str):
        return _file(declared, value)
    if isinstance(value, list):
        return _list(declared, value)
    if isinstance(value, dict) and "class" not in value:
        return _record(declared, value)
    return value


def _file(declared: CwlType, text: str) -> object:
    parts = kinds_of(declared)
    kinds = [part for part in parts if part in _FILES]
    if not kinds or any(_takes_text(part, text) for part in parts):
        return text
    is_folder = kinds == ["Directory"] or ("Directory" in kinds and text.endswith("/"))
    return {"class": "Directory" if is_folder else "File", "location": text}


def _list(declared: CwlType, values: list[object]) -> list[object]:
    """Return a list; of texts for files without empty ones, which a form makes of empty lines."""
    items = [part["items"] for part in kinds_of(declared) if isinstance(part, dict) and part["type"] == "array"]
    if not items:
        return values
    found = [(value, _with_files(items, value)) for value in values]
    return [made for value, made in found if value != "" or made == ""]


def _record(declared: CwlType, value: dict[str, object]) -> dict[str, object]:
    """Return a record by the first type of a union that has all of its fields."""
    for part in kinds_of(declared):
        if isinstance(part, dict) and part["type"] == "record":
            types = {field["name"]: field["type"] for field in part["fields"]}
            if value.keys() <= types.keys():
                return {name: _with_files(types[name], inner) for name, inner in value.items()}
    return value


def _takes_text(part: OneType, text: str) -> bool:
    if isinstance(part, dict):
        return part["type"] == "enum" and text in part["symbols"]
    return part in ("string", "Any")
