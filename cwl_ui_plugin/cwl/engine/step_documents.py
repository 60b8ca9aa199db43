"""From a step document to cwltool's objects, without schema_salad's loader: milliseconds instead of seconds."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cwltool.context import LoadingContext, RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.process import Process, shortname
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import WorkflowStateItem, aslist
from cwltool.workflow import Workflow, default_make_tool
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from cwl_ui_plugin.cwl.engine.cwltool_internals import (
    WorkflowJob,
    forget_job_names,
    logger,
    object_from_state,
    scatter_function,
    set_format_graph,
)
from cwl_ui_plugin.cwl.engine.formats import format_graph
from cwl_ui_plugin.cwl.plan import CwlObject, StepDocument

if TYPE_CHECKING:
    from cwl_utils.types import CWLObjectType
    from cwltool.utils import JobsGeneratorType, OutputCallbackType
    from cwltool.workflow import WorkflowStep

ELEMENT = "element"
"""The attribute of a job of cwltool that says which element of a scattered step it is of."""
Ending = tuple["CWLObjectType", str]
"""Outputs, and the status: one of :data:`_BEST_LAST`."""

_BEST_LAST = ("permanentFail", "temporaryFail", "skipped", "success")


class SingleStepWorkflow(Workflow):
    """A workflow of one step whose sources have their values already."""

    state: dict[str, WorkflowStateItem]
    failure: WorkflowException | None = None
    """Why no job could be made of the step."""

    def job(
        self, _job_order: CWLObjectType, output_callbacks: OutputCallbackType | None, runtimeContext: RuntimeContext
    ) -> JobsGeneratorType:
        """Yield the jobs of the step; hand on its outputs and how it ended."""
        yield from self._attempt(dict(self.state), output_callbacks, runtimeContext)

    def _attempt(
        self, state: dict[str, WorkflowStateItem | None], callback: OutputCallbackType | None, context: RuntimeContext
    ) -> JobsGeneratorType:
        """Yield the jobs of the step for these values of its sources."""
        forget_job_names()
        job = WorkflowJob(self, context)
        job.processStatus = "success"
        job.state = state
        step = job.steps[0]
        outputs = [output["id"] for output in step.tool["outputs"]]

        def done(_outputs: object, status: str) -> None:
            first = job.state.get(outputs[0]) if outputs else None
            if status == "success" and first is not None:
                status = first.success  # may be "skipped"
            values = {name: item.value for name in outputs if (item := job.state.get(name)) is not None}
            if callback:
                callback(values, status)

        try:
            yield from job.try_make_job(step, done, context)
        except WorkflowException as error:
            logger.error("%s", error)
            self.failure = error
            job.processStatus = "permanentFail"
        if job.processStatus == "permanentFail" and not job.did_callback and callback:
            callback({}, "permanentFail")


class ScatterJobsWorkflow(SingleStepWorkflow):
    """Some elements of a scattered step, run side by side; ``chosen`` are their inputs by index.

    Their jobs say whose they are: ``job.element`` is what the element is called in ``titles``.
    """

    chosen: dict[int, CWLObjectType]
    titles: dict[int, str]
    results: dict[int, Ending]
    """Outputs and status of each element that has ended."""

    def job(
        self, _job_order: CWLObjectType, output_callbacks: OutputCallbackType | None, runtimeContext: RuntimeContext
    ) -> JobsGeneratorType:
        """Yield the jobs of all elements; at the end, hand on the worst status."""
        self.results = {}
        inputs = self._without_scatter()
        ended = partial(self._ended, output_callbacks)
        pending = []
        for index, element in self.chosen.items():
            state = {name: WorkflowStateItem({"type": "Any"}, element.get(name), "success") for name in inputs}
            jobs = self._attempt({**self.state, **state}, partial(ended, index), runtimeContext)
            pending.append(self._titled(jobs, self.titles.get(index)))
        yield from _in_turns(pending)

    @staticmethod
    def _titled(jobs: JobsGeneratorType, title: str | None) -> JobsGeneratorType:
        for job in jobs:
            if job is not None:
                setattr(job, ELEMENT, title)
            yield job

    def _without_scatter(self) -> list[str]:
        """Make the step take each input as it is: its element's value, even where that is null."""
        tool = self.steps[0].tool
        for name in ("scatter", "scatterMethod"):
            tool.pop(name, None)
        for item in tool["inputs"]:
            for name in ("default", "linkMerge", "pickValue"):
                item.pop(name, None)
            item.update(source=item["id"], type="Any")
        return [item["id"] for item in tool["inputs"]]

    def _ended(
        self, callback: OutputCallbackType | None, index: int, outputs: CWLObjectType | None, status: str
    ) -> None:
        self.results[index] = (outputs or {}, status)
        if callback and len(self.results) == len(self.chosen):
            callback({}, min((ending for _outputs, ending in self.results.values()), key=_BEST_LAST.index))


def _in_turns(generators: list[JobsGeneratorType]) -> JobsGeneratorType:
    """Yield what the generators yield, each in its turn; None when all of them wait for something."""
    while generators:
        found = False
        for generator in list(generators):
            try:
                job = next(generator)
            except StopIteration:
                generators.remove(generator)
                found = True
                continue
            if job is not None:
                found = True
                yield job
        if generators and not found:
            yield None


class RecordingProcess:
    """Stands for a process: notes the jobs that it would be run with."""

    def __init__(self, tool: CommentedMap) -> None:
        self.tool = tool
        self.calls: list[tuple[CWLObjectType, OutputCallbackType]] = []

    def job(
        self, job_order: CWLObjectType, callback: OutputCallbackType, _context: RuntimeContext
    ) -> JobsGeneratorType:
        """Note a job, and what is to be called with its outputs."""
        self.calls.append((job_order, callback))
        return _in_turns([])


def expand(
    workflow: SingleStepWorkflow,
) -> tuple[list[tuple[CWLObjectType, OutputCallbackType]], list[Ending]]:
    """Return the elements of a scattered step, in order, each with what takes its outputs; and where they are gathered.

    Calling each element's callback with ``(outputs, status)`` fills the second list with the step's outputs and status.
    """
    tool = workflow.steps[0].tool
    recorded = RecordingProcess(tool)
    gathered: list[Ending] = []
    several_sources = workflow.multi  # type: ignore[attr-defined]
    inputs: Any = object_from_state({**workflow.state}, tool["inputs"], False, several_sources, "source")
    _refuse_null(tool, inputs)
    scatter_function(tool.get("scatterMethod", "dotproduct"))(
        recorded,
        inputs,
        aslist(tool["scatter"]),
        lambda outputs, status: gathered.append((outputs or {}, status)),
        RuntimeContext(),
    )
    return recorded.calls, gathered


def _refuse_null(tool: CommentedMap, inputs: CWLObjectType) -> None:
    """Say which list is missing: a step is scattered over arrays, an empty one included (CWL v1.2, WorkflowStep)."""
    for name in aslist(tool["scatter"]):
        if inputs.get(name) is None:
            sources = [source for item in tool["inputs"] if item["id"] == name for source in aslist(item.get("source"))]
            made = " and ".join(repr(shortname(source)) for source in sources if source)
            of = f", which is {made}" if made else ""
            raise WorkflowException(f"it scatters over its input {shortname(name)!r}{of}, and that is null, not a list")


def load_workflow(
    document: StepDocument, values: Mapping[str, Sequence[Any]], cls: type[Process] = SingleStepWorkflow
) -> Any:
    """Return the workflow of a step document, its sources filled with ``values`` (``{id: [value, status]}``)."""
    workflow = _construct(_commented(copy.deepcopy(document["wf"])), _context(), cls)
    workflow.multi = bool(workflow.get_requirement("MultipleInputFeatureRequirement")[0])
    workflow.state = {
        name: WorkflowStateItem(copy.deepcopy(parameter), *values[name])
        for name, parameter in document["sources"].items()
    }
    _set_formats(workflow, document.get("formats") or [])
    return workflow


def load_tool(document: StepDocument) -> Any:
    """Return the tool of a step document."""
    tool = _construct(_commented(copy.deepcopy(document["tool"])), _context(), default_make_tool)
    _set_formats(tool, document.get("formats") or [])
    return tool


def _context() -> LoadingContext:
    return LoadingContext(
        {
            "construct_tool_object": _construct,
            "do_validate": False,
            "disable_js_validation": True,
            # Any character may stand in a file's name: it becomes an argument of a command, never part of a script.
            "relax_path_checks": True,
        }
    )


def _construct(document: Any, context: LoadingContext, cls: Any = default_make_tool) -> Any:
    context = context.copy()
    context.metadata = {key: document[key] for key in ("cwlVersion", ORIGINAL_CWLVERSION)}
    process = cls(document, context)
    for step in getattr(process, "steps", []):
        _set_types(step)
    return process


def _set_types(step: WorkflowStep) -> None:
    """Give the outputs of a step the types that cwltool's check of types gives them, which is not run here."""
    for output in step.tool["outputs"]:
        if step.tool.get("loop"):
            if step.tool.get("outputMethod") == "all_iterations":
                output["type"] = {"type": "array", "items": output["type"]}
        elif step.tool.get("when"):
            output["type"] = ["null", *aslist(output["type"])]


def _commented(document: CwlObject) -> CommentedMap:
    """Give a plain document the line information that cwltool reads while it runs: of in, out and arguments only."""
    for step in document.get("steps", []):
        step.update({"in": _lined(step["in"]), "out": _lined(step["out"]), "run": _commented(step["run"])})
    if "arguments" in document:
        document = {**document, "arguments": _lined(document["arguments"])}
    return CommentedMap(document)


def _lined(items: list[object]) -> CommentedSeq:
    lined = CommentedSeq(items)
    lined.lc.filename = "compiled"
    for index in range(len(items)):
        lined.lc.add_kv_line_col(index, [0, 0, 0, 0])
    return lined


def _set_formats(process: Process, edges: list[list[str]]) -> None:
    graph = format_graph(edges)
    if graph is None:
        return
    set_format_graph(process, graph)
    for step in getattr(process, "steps", []):
        _set_formats(step.embedded_tool, edges)
