"""The job of a schedule, checked when it is saved: filled in for its next run, it must fit the workflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.dags.folders import placement
from cwl_ui_plugin.dags.job_templates import TemplateError, is_template, rendered, templates_in, values_of
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.services.errors import InvalidJob
from cwl_ui_plugin.services.inputs.access import named_paths, real_path
from cwl_ui_plugin.services.scheduling.given import named_by_events, template_values, without_given
from cwl_ui_plugin.services.scheduling.timing import example_run, expression_of

_SAME_FOLDER = (
    "each run needs a folder of its own, and this one is the same for all: put a date into its name, for instance "
    "{{ ds_nodash }}, or leave it out"
)


@dataclass(frozen=True)
class Example:
    """The job of the next run of a schedule; ``awaited`` are files that need not be there before it."""

    job: dict[str, object]
    run_id: str
    awaited: frozenset[Path]


def example_of(dag_id: str, schedule: Schedule) -> Example:
    """Return the job of the next run; raise :class:`InvalidJob`, naming each template that can't be filled in."""
    run = example_run(dag_id, schedule)
    try:
        checks.check_texts(dict(schedule.job))
        values = {**values_of(run), **template_values(schedule)}
        later = named_by_events(schedule)
        job = {name: value for name, value in schedule.job.items() if name not in later}
        return Example(rendered(job, values), run.run_id, frozenset(_awaited(job, values)))
    except TemplateError as error:
        raise InvalidJob("The job has templates that can't be filled in.", error.problems) from error
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error


def check_example(dag_id: str, schedule: Schedule, example: Example, plan: Plan, rules: FileRules) -> None:
    """Raise :class:`InvalidJob` for a job that does not fit the workflow, as its form does."""
    try:
        allowed = config.flag("allow_job_requirements")
        plan = without_given(schedule, plan)
        checks.check_job(plan, example.job, replace(rules, awaited=example.awaited), allow_requirements=allowed)
        placement.folders_of(dag_id, example.run_id, example.job)
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error
    except RecursionError:
        raise InvalidJob("The job is nested too deeply.") from None
    _check_folder(schedule)


def _check_folder(schedule: Schedule) -> None:
    """Two runs never share a folder for outputs: that of a job which is used again must have another name each time."""
    if expression_of(schedule) is None and schedule.kind in ("cron", "preset"):
        return  # there is one run only
    for name in placement.OUTPUT_FOLDER:
        given = schedule.job.get(name)
        if given and not is_template(given):
            raise InvalidJob("The job can be used for one run only.", (Problem(_SAME_FOLDER, input=name),))


def _awaited(job: Mapping[str, object], values: Mapping[str, object]) -> Iterator[Path]:
    """Yield where the files are whose names are templates: with another date it is another file."""
    for item in _file_objects(job):
        if any(True for _text in templates_in([item.get("location"), item.get("path")])):
            for path in named_paths(rendered(item, values)):
                if (real := real_path(path)) is not None:
                    yield real


def _file_objects(job: object) -> Iterator[dict[str, object]]:
    waiting = [job]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, Mapping):
            waiting += node.values()
            if node.get("class") in ("File", "Directory"):
                yield dict(node)
