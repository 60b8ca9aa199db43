"""What the start itself gives to inputs: files of a watched folder, or what other workflows have delivered.

The job of such a schedule need not have these inputs; whether they fit is told by types when it is saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.cwl_types import CwlType
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.file_patterns import groups_of
from cwl_ui_plugin.cwl.jobs.file_sets import WatchProblems, read_watch
from cwl_ui_plugin.cwl.jobs.type_links import link
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.dags.assets import output_named
from cwl_ui_plugin.dags.chaining import EVENTS
from cwl_ui_plugin.dags.job_templates import templates_in
from cwl_ui_plugin.dags.scheduling import ASSETS, FOLDER
from cwl_ui_plugin.library.errors import LibraryError
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.services.errors import InvalidJob
from cwl_ui_plugin.services.inputs.access import InputAccess

_GROUP_EXAMPLE = "example"


def given_inputs(schedule: Schedule) -> frozenset[str]:
    """Return the inputs that a start gives."""
    settings = schedule.settings
    if schedule.kind == FOLDER:
        return frozenset({*settings.get("files", {}), *settings.get("names", {})})
    return frozenset({*settings.get("inputs", {}), *named_by_events(schedule)})


def named_by_events(schedule: Schedule) -> frozenset[str]:
    """Return the inputs whose values come from events that are not there yet: their templates name them."""
    if schedule.kind != ASSETS:
        return frozenset()
    return frozenset(
        name for name, value in schedule.job.items() if any(EVENTS in text for text in templates_in(value))
    )


def without_given(schedule: Schedule, plan: Plan) -> Plan:
    """Return a workflow as the job of a schedule must fit it: inputs that a start gives may be missing.

    Raises:
        InvalidJob: what is to be given does not fit; one problem for each input.

    """
    problems = misfits(schedule, plan)
    if problems:
        raise InvalidJob("The schedule does not fit the workflow.", tuple(problems))
    given = given_inputs(schedule)
    inputs = tuple(replace(item, type=_nullable(item.type)) if item.id in given else item for item in plan.inputs)
    return replace(plan, inputs=inputs)


def template_values(schedule: Schedule) -> dict[str, str]:
    """Return examples of what the job of a watched folder may name besides what every job may: its groups."""
    if schedule.kind != FOLDER:
        return {}
    return dict.fromkeys(groups_of(schedule.settings.get("files", {}).values()), _GROUP_EXAMPLE)


def misfits(schedule: Schedule, plan: Plan) -> list[Problem]:
    """Return why what is to be given to inputs does not fit them, as workflows are now."""
    if schedule.kind == FOLDER:
        try:
            read_watch(schedule.settings, plan)
        except WatchProblems as error:
            return list(error.problems)
        return []
    return list(_misfit_links(schedule.settings.get("inputs", {}), plan))


def given_roots(schedule: Schedule, files: InputAccess) -> tuple[Path, ...]:
    """Return the folders, not everybody's, that runs read for what they are given.

    Raises:
        InvalidJob: the author may not use them.

    """
    if schedule.kind == FOLDER:
        return _root_of_folder(Path(schedule.settings["folder"]), files)
    roots, problems = set(), []
    for name, asset in schedule.settings.get("inputs", {}).items():
        made = output_named(asset)
        if made is None or not files.may_read(made[0]):
            problems.append(Problem(f"There is no workflow of {asset!r} that you may see.", input=name))
        else:
            roots.add(config.outputs_folder().resolve() / made[0])
    if problems:
        raise InvalidJob("The schedule names outputs that can't be used.", tuple(problems))
    return tuple(sorted(roots))


def _root_of_folder(folder: Path, files: InputAccess) -> tuple[Path, ...]:
    real = folder.resolve()
    root = files.root_of(real)
    if root is None or not files.allows(folder, whole=True):
        words = (
            f"The folder {folder} is not one that inputs may come from, or it holds what others own: choose one in "
            "[cwl] inputs_folder or input_roots that is for these files alone."
        )
        raise InvalidJob("The folder can't be watched.", (Problem(words),))
    shared = {place.resolve() for place in config.input_roots()}
    return () if root in shared else (root,)


def _misfit_links(inputs: Mapping[str, str], plan: Plan) -> Iterator[Problem]:
    known = {item.id: item for item in plan.inputs}
    for name, asset in inputs.items():
        if name not in known:
            yield Problem("The workflow has no such input.", input=name)
        elif words := _misfit_link(asset, known[name]):
            yield Problem(words, input=name)


def _misfit_link(asset: str, taken: Parameter) -> str:
    """Return why an output can't be given to an input; nothing if it can."""
    made = output_named(asset)
    if made is None:
        return f"{asset!r} is no output of a workflow: cwl://<dag_id>/<output>."
    dag_id, output = made
    found = _outputs_of(dag_id)
    if found is None:
        return f"There is no workflow {dag_id!r} any more, whose output {output!r} it takes."
    if output not in found:
        return f"The workflow {dag_id!r} has no output {output!r}; it has {', '.join(found) or 'none'}."
    if link(found[output], taken.type) is None:
        return (
            f"The output {output!r} of {dag_id!r} is {type_text(found[output])}; the input is {type_text(taken.type)}."
        )
    return ""


def _outputs_of(dag_id: str) -> dict[str, CwlType] | None:
    """Return the types of a workflow's outputs; None if there is no such workflow."""
    try:
        plan = site_store().current(dag_id).plan
    except LibraryError:
        return None
    return {item.id: item.type for item in plan.outputs}


def _nullable(declared: CwlType) -> CwlType:
    kinds: list[CwlType] = declared if isinstance(declared, list) else [declared]
    return kinds if "null" in kinds else ["null", *kinds]
