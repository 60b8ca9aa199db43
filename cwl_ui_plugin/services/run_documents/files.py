"""What a run was given and has made, for its report: parameters, and files with their sizes and checksums."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from cwl_ui_plugin.cwl.files import handed_on
from cwl_ui_plugin.cwl.value_files import beginning
from cwl_ui_plugin.services.crates.facts import RunFacts, job_of
from cwl_ui_plugin.services.errors import TooLarge
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.outputs.value_tree import basename_of
from cwl_ui_plugin.services.provenance import stories
from cwl_ui_plugin.services.provenance.run_files import IN

MAX_ROWS = 500
"""Files that a report names in each direction; it says how many more there are."""
MAX_VALUE = 500
"""Characters of a parameter."""


@dataclass(frozen=True)
class Row:
    """A file of a run, as what it was given or made; ``size`` and ``checksum`` as far as they are known."""

    port: str
    name: str
    size: int | None
    checksum: str | None


@dataclass(frozen=True)
class Rows:
    """Files, and how many there are besides; ``more`` is None where there are too many to be counted."""

    rows: tuple[Row, ...]
    more: int | None = 0


@dataclass(frozen=True)
class Parameter:
    """An input of the workflow that is no file, with what it was."""

    name: str
    label: str | None
    value: str


def parameters_of(facts: RunFacts) -> list[Parameter]:
    """Return the inputs of a run that are no files, in the order of the workflow; secrets are not among them."""
    job = job_of(facts)
    found = []
    for item in facts.version.plan.inputs:
        value = job.get(item.id)
        if item.is_secret:
            found.append(Parameter(item.id, item.label, "(secret)"))
        elif item.id in job and not any(True for _file in handed_on(value)):
            text = value if isinstance(value, str) else beginning(value, MAX_VALUE)
            found.append(Parameter(item.id, item.label, text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"))
    return found


def inputs_of(facts: RunFacts, access: InputAccess) -> Rows:
    """Return the files that a run was given, with what was noted of them once it had ended."""
    summary = facts.run.summary
    rows: list[Row] = []
    total = 1
    while len(rows) < min(total, MAX_ROWS):
        found = stories.stories_of_run(
            summary.dag_id, summary.run_id, access, (), direction=IN, offset=len(rows), limit=stories.MAX_PAGE
        )
        if found.state == stories.WAITING:
            return _named(facts)
        rows += [Row(file.port, file.name, file.size, file.checksum) for file in found.files]
        total = found.total
        if not found.files:
            break
    return Rows(tuple(rows[:MAX_ROWS]), max(0, total - MAX_ROWS))


def _named(facts: RunFacts) -> Rows:
    """Return the files of a job by their names alone: what it says of them besides is not believed."""
    found = ((name, item) for name, value in job_of(facts).items() for item in handed_on(value))
    rows = [Row(name, basename_of(item, name), None, None) for name, item in islice(found, MAX_ROWS)]
    return Rows(tuple(rows), sum(1 for _more in found))


def outputs_of(facts: RunFacts) -> Rows:
    """Return the files that a run has delivered, as far as they are there."""
    summary = facts.run.summary
    try:
        found = output_files.output_tree(summary.dag_id, summary.run_id, limit=MAX_ROWS)
    except TooLarge:
        return Rows((), None)
    rows = [Row(file.output, file.path, file.size, file.checksum) for file in found.items]
    return Rows(tuple(rows), max(0, found.total - MAX_ROWS))
