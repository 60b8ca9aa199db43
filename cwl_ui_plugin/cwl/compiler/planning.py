"""The plan of a loaded process: what people and Airflow need to know of it, without cwltool's internals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

from cwltool.process import Process, shortname
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import aslist
from cwltool.workflow import Workflow, WorkflowStep

from cwl_ui_plugin.cwl.compiler.approvals import approval_of
from cwl_ui_plugin.cwl.compiler.plain_types import PlainTypes, text_of
from cwl_ui_plugin.cwl.compiler.step_needs import needs_of
from cwl_ui_plugin.cwl.compiler.written_order import WrittenOrder, sorted_as
from cwl_ui_plugin.cwl.engine.cwltool_internals import LOOP
from cwl_ui_plugin.cwl.engine.secrets import secret_inputs
from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.cwl.plan import JOB_REQUIREMENTS, CwlObject, FromJob, Parameter, Plan, Resources, SecondaryFile, Step
from cwl_ui_plugin.cwl.requirements import needs_a_job
from cwl_ui_plugin.cwl.task_names import DISPATCHER, GATHERER, SUFFIXES

MAX_TASK_NAME = 100
MAX_TASK_ID = 220
"""Airflow takes 250 characters, and a step's helpers add some."""
RESERVED_TASK_IDS = (DISPATCHER, GATHERER)
_OF_HELPERS = re.compile(rf"({'|'.join(SUFFIXES)})$")
_CWL_NAMESPACES = ("http://commonwl.org/cwltool#", "https://w3id.org/cwl/cwl#", "https://w3id.org/cwl/salad#")
_Resource = Literal["cores", "ram"]
_RESOURCES: tuple[_Resource, ...] = ("cores", "ram")
_FromJob = dict[str, FromJob]
"""By the full id of an input: the name of the job's input that it is, and its default."""


def make_plan(process: Process, main: str, engine: str, order: WrittenOrder | None = None) -> Plan:
    """Return the plan of a loaded process; ``engine`` is what has loaded it, ``order`` how its author wrote it."""
    tool = process.tool
    order = order or WrittenOrder()
    types = PlainTypes(_definitions(process), order.fields)
    secrets = secret_inputs(process)
    namespaces: Any = process.metadata.get("$namespaces") or {}
    return Plan(
        kind=tool["class"],
        cwl_version=str(process.metadata.get(ORIGINAL_CWLVERSION) or process.metadata.get("cwlVersion")),
        main=main,
        label=text_of(tool.get("label")),
        doc=text_of(tool.get("doc")),
        inputs=tuple(
            _parameter(item, types, shortname(item["id"]) in secrets)
            for item in sorted_as(order.inputs, tool["inputs"], _id)
        ),
        outputs=tuple(_parameter(item, types) for item in sorted_as(order.outputs, tool["outputs"], _id)),
        steps=_steps(process, _inputs_of_job(process), _TaskIds())
        if isinstance(process, Workflow)
        else (_tool_step(process, main),),
        output_sources=_output_sources(process),
        namespaces=dict(namespaces),
        engine=engine,
    )


def _definitions(process: Process) -> dict[str, CwlObject]:
    """Return the types of a process's SchemaDefRequirement, by their full names."""
    requirement: Any = process.get_requirement("SchemaDefRequirement")[0] or {}
    return {declared["name"]: declared for declared in requirement.get("types", [])}


def _id(item: CwlObject) -> str:
    return shortname(item["id"])


def _parameter(data: CwlObject, types: PlainTypes, is_secret: bool = False) -> Parameter:
    has_default = "default" in data
    return Parameter(
        id=shortname(data["id"]),
        type=types.plain(data["type"]),
        label=text_of(data.get("label")),
        doc=text_of(data.get("doc")),
        has_default=has_default,
        default=_plain(data["default"]) if has_default else None,
        format=_plain(data.get("format")),
        secondary_files=tuple(_secondary_files(data)),
        extras={
            key: _plain(value) for key, value in data.items() if ":" in key and not key.startswith(_CWL_NAMESPACES)
        },
        is_secret=is_secret,
    )


def _secondary_files(data: CwlObject) -> list[SecondaryFile]:
    return [_secondary_file(_plain(entry)) for entry in aslist(data.get("secondaryFiles") or [])]


def _secondary_file(entry: Any) -> SecondaryFile:
    if isinstance(entry, str):
        return {"pattern": entry, "required": None}
    whole: SecondaryFile = entry
    return whole


def _steps(
    workflow: Workflow, from_job: _FromJob, task_ids: _TaskIds, document: str = "", prefix: str = ""
) -> tuple[Step, ...]:
    """Return the steps, each after those that it reads from; among equals in the order of the document.

    ``from_job`` says which inputs of the workflow are inputs of the job; ``document`` and ``prefix`` are what the names
    of step documents and the ids of tasks begin with, in a subworkflow. ``task_ids`` gives the ids of all tasks.
    """
    made_by = {output["id"]: step.id for step in workflow.steps for output in step.tool["outputs"]}
    reads = {step["id"]: _sources(step) for step in workflow.tool["steps"]}
    upstream = {
        name: tuple(dict.fromkeys(made_by[source] for source in sources if source in made_by))
        for name, sources in reads.items()
    }
    try:
        order = list(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        names = " -> ".join(shortname(name) for name in error.args[1])
        raise DocumentError(f"The steps depend on each other in a circle: {names}.") from error
    positions = {step["id"]: index for index, step in enumerate(workflow.tool["steps"])}
    levels: dict[str, int] = {}
    for name in order:
        levels[name] = 1 + max((levels[before] for before in upstream[name]), default=0)
    order.sort(key=lambda name: (levels[name], positions[name]))
    given = [task_ids.give(shortname(name), prefix) for name in order]
    known = {step.id: step for step in workflow.steps}
    return tuple(
        _step(
            known[name],
            from_job,
            task_ids,
            document=f"{document}step-{number}",
            task_id=given[number],
            sources=reads[name],
            upstream=upstream[name],
        )
        for number, name in enumerate(order)
    )


def _step(
    step: WorkflowStep,
    from_job: _FromJob,
    task_ids: _TaskIds,
    *,
    document: str,
    task_id: str,
    sources: tuple[str, ...],
    upstream: tuple[str, ...],
) -> Step:
    tool = step.embedded_tool
    inputs = _step_inputs_of_job(step, from_job)
    resources = _resources(tool)
    return Step(
        id=shortname(step.id),
        full_id=step.id,
        task_id=task_id,
        document=document,
        tool=tool.tool["class"],
        tool_name=_tool_name(step),
        label=text_of(step.tool.get("label")),
        doc=text_of(step.tool.get("doc")) or text_of(tool.tool.get("doc")),
        upstream=tuple(shortname(name) for name in upstream),
        sources=sources,
        outputs=tuple(output["id"] for output in step.tool["outputs"]),
        scatter=tuple(shortname(name) for name in aslist(step.tool.get("scatter") or [])),
        scatter_method=step.tool.get("scatterMethod"),
        when=step.tool.get("when"),
        container=_image(tool),
        needs_container=_needs_container(tool),
        steps=_steps(tool, _passed_on(tool, inputs), task_ids, f"{document}.", f"{task_id}.")
        if isinstance(tool, Workflow) and has_tasks_of_its_own(step)
        else (),
        output_sources=_output_sources(tool) if isinstance(tool, Workflow) else (),
        resources=resources,
        by_element=_by_element(step.tool),
        resource_inputs=inputs if needs_a_job(resources) else {},
        **needs_of(tool),
        approval=approval_of(step.tool),
    )


def has_tasks_of_its_own(step: WorkflowStep) -> bool:
    """Whether the steps of a step's subworkflow become tasks: not where it is run many times, or has no steps."""
    tool = step.embedded_tool
    is_repeated = any(step.tool.get(key) for key in ("scatter", "loop")) or step.get_requirement(LOOP)[0] is not None
    return isinstance(tool, Workflow) and bool(tool.steps) and not is_repeated


def _tool_step(process: Process, main: str) -> Step:
    name = PurePosixPath(main.partition("#")[2] or main.partition("#")[0]).stem
    return Step(
        id=name,
        full_id=process.tool["id"],
        task_id=_TaskIds().give(name),
        document="step-0",
        tool=process.tool["class"],
        tool_name=name,
        label=text_of(process.tool.get("label")),
        doc=text_of(process.tool.get("doc")),
        sources=(*(shortname(item["id"]) for item in process.tool["inputs"]), JOB_REQUIREMENTS),
        outputs=tuple(shortname(item["id"]) for item in process.tool["outputs"]),
        container=_image(process),
        needs_container=_needs_container(process),
        resources=(resources := _resources(process)),
        resource_inputs=_by_short_name(_inputs_of_job(process)) if needs_a_job(resources) else {},
        **needs_of(process),
    )


def _inputs_of_job(process: Process) -> _FromJob:
    """Return the inputs of the document: all are inputs of the job."""
    return {item["id"]: _from_job(shortname(item["id"]), item.get("default")) for item in process.tool["inputs"]}


def _step_inputs_of_job(step: WorkflowStep, from_job: _FromJob) -> dict[str, FromJob]:
    """Return the inputs of a step that are inputs of the job, as they are: no link in between changes them."""
    scattered = aslist(step.tool.get("scatter") or [])
    defaults = {shortname(item["id"]): item.get("default") for item in step.embedded_tool.tool["inputs"]}
    found = {}
    for item in step.tool["inputs"]:
        name, sources = shortname(item["id"]), aslist(item.get("source") or [])
        if item["id"] in scattered or item.get("valueFrom") or len(sources) > 1:
            continue
        default = item.get("default", defaults.get(name))
        if not sources:
            found[name] = _from_job("", default)
        elif sources[0] in from_job:
            known = from_job[sources[0]]
            found[name] = {**known, "default": default if known["default"] is None else known["default"]}
    return found


def _passed_on(workflow: Process, inputs: _FromJob) -> _FromJob:
    """Return which inputs of a subworkflow are inputs of the job."""
    names = {item["id"]: shortname(item["id"]) for item in workflow.tool["inputs"]}
    return {full_id: inputs[name] for full_id, name in names.items() if name in inputs}


def _from_job(name: str, default: object) -> FromJob:
    return {"input": name, "default": default if isinstance(default, (int, float)) else None}


def _by_short_name(from_job: _FromJob) -> _FromJob:
    return {shortname(name): source for name, source in from_job.items()}


def _resources(process: Process) -> Resources:
    """Return what a tool asks for at least; of a workflow, the most that any of its tools asks for in numbers."""
    if isinstance(process, Workflow):
        inner = [_resources(step.embedded_tool) for step in process.steps]
        return _asked({name: _most(asked.get(name) for asked in inner) for name in _RESOURCES})
    requirement = process.get_requirement("ResourceRequirement")[0] or {}
    return _asked({name: _plain(requirement.get(f"{name}Min", requirement.get(f"{name}Max"))) for name in _RESOURCES})


def _most(asked: Iterable[float | str | None]) -> float | None:
    return max((value for value in asked if isinstance(value, (int, float))), default=None)


def _asked(values: Mapping[_Resource, float | str | None]) -> Resources:
    found: Resources = {}
    for name in _RESOURCES:
        value = values[name]
        if value is not None:
            found[name] = value
    return found


def _sources(step: CwlObject) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for item in step["in"] for source in aslist(item.get("source") or [])))


def _by_element(step: CwlObject) -> tuple[str, ...]:
    """Return the lists of which element n of a scattered step reads the n-th element, and nothing else of the step."""
    scattered = aslist(step.get("scatter") or [])
    if len(scattered) > 1 and step.get("scatterMethod") != "dotproduct":
        return ()
    sources = {item["id"]: aslist(item.get("source") or []) for item in step["inputs"]}
    changed = {item["id"] for item in step["inputs"] if item.get("linkMerge") or item.get("pickValue")}
    read = [source for name in sources for source in sources[name]]
    plain = [sources[name][0] for name in scattered if len(sources[name]) == 1 and name not in changed]
    return tuple(source for source in plain if read.count(source) == 1)


def _output_sources(process: Process) -> tuple[str, ...]:
    """Return what the outputs of a workflow are made from; those of a tool are its own."""
    if not isinstance(process, Workflow):
        return tuple(shortname(item["id"]) for item in process.tool["outputs"])
    sources = (source for item in process.tool["outputs"] for source in aslist(item.get("outputSource") or []))
    return tuple(dict.fromkeys(sources))


class _TaskIds:
    """The ids of the tasks of a Dag: Airflow's characters only, no two alike, none that a helper of a step has.

    Ids depend on the document alone. Those of a level are given before those of the subworkflows in it, so a step keeps
    its plain name where one in a subworkflow would come to the same, as ``inner`` in ``y`` does beside ``y.inner``.
    """

    def __init__(self) -> None:
        self._taken = set(RESERVED_TASK_IDS)

    def give(self, name: str, prefix: str = "") -> str:
        """Return an id for a step; ``prefix`` is the id of the step whose subworkflow it is in, and a dot."""
        base = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:MAX_TASK_NAME] or "step"
        base = (prefix + _OF_HELPERS.sub(r"\1_", base))[:MAX_TASK_ID]
        task_id, number = base, 2
        while self._key(task_id) in self._taken:
            task_id, number = f"{base}_{number}", number + 1
        self._taken.add(self._key(task_id))
        return task_id

    @staticmethod
    def _key(task_id: str) -> str:
        """Return what no two ids may share: groups have a step's id without dots."""
        return task_id.replace(".", "-")


def _tool_name(step: WorkflowStep) -> str:
    """Return a short name of what a step runs: its file, or its id within a packed document."""
    run = step.tool.get("run")
    if not isinstance(run, str):
        return shortname(step.id)
    path, _, fragment = run.partition("#")
    return unquote(fragment if fragment and fragment != "main" else PurePosixPath(path).name)


def _image(process: Process) -> str | None:
    """Return the image that a tool runs in, or, of a workflow, one that any of its tools runs in."""
    if isinstance(process, Workflow):
        return next((image for step in process.steps if (image := _image(step.embedded_tool))), None)
    requirement, _ = process.get_requirement("DockerRequirement")
    if not requirement:
        return None
    return str(requirement.get("dockerPull") or requirement.get("dockerImageId") or "image made by the document")


def _needs_container(process: Process) -> bool:
    if isinstance(process, Workflow):
        return any(_needs_container(step.embedded_tool) for step in process.steps)
    return process.get_requirement("DockerRequirement")[1] is True


def _plain(value: object) -> Any:
    return json.loads(json.dumps(value, default=str))
