"""From a compiled piece to cwltool's objects, without schema_salad's loader: milliseconds instead of seconds."""

from __future__ import annotations

import copy
from typing import Any

from cwltool.context import LoadingContext, RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.loghandler import _logger
from cwltool.process import Process
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import WorkflowStateItem
from cwltool.workflow import Workflow, default_make_tool
from cwltool.workflow_job import WorkflowJob
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from cwl_ui_plugin.cwl.formats import format_graph


class OneStep(Workflow):
    """A workflow of one step whose sources have their values already."""

    state: dict[str, WorkflowStateItem]
    failure: WorkflowException | None = None
    """Why no job could be made of the step."""

    def job(self, _job_order: Any, output_callbacks: Any, runtimeContext: RuntimeContext) -> Any:
        """Yield the jobs of the step; hand on its outputs and how it ended."""
        job = WorkflowJob(self, runtimeContext)
        job.processStatus = "success"
        job.state = dict(self.state)
        step = job.steps[0]
        outputs = [output["id"] for output in step.tool["outputs"]]

        def done(_outputs: Any, status: str) -> None:
            first = job.state.get(outputs[0]) if outputs else None
            if status == "success" and first is not None:
                status = first.success  # may be "skipped"
            values = {name: item.value for name in outputs if (item := job.state.get(name)) is not None}
            output_callbacks(values, status)

        try:
            yield from job.try_make_job(step, done, runtimeContext)
        except WorkflowException as error:
            _logger.error("%s", error)
            self.failure = error
            job.processStatus = "permanentFail"
        if job.processStatus == "permanentFail" and not job.did_callback:
            output_callbacks({}, "permanentFail")


def load_workflow(piece: dict[str, Any], values: dict[str, list[Any]], cls: type[Process] = OneStep) -> Any:
    """Return the one-step workflow of a piece, its sources filled with ``values`` (``{id: [value, status]}``)."""
    workflow = _construct(_commented(copy.deepcopy(piece["wf"])), _context(), cls)
    workflow.multi = bool(workflow.get_requirement("MultipleInputFeatureRequirement")[0])
    workflow.state = {
        name: WorkflowStateItem(copy.deepcopy(parameter), *values[name]) for name, parameter in piece["sources"].items()
    }
    _set_formats(workflow, piece.get("formats") or [])
    return workflow


def load_tool_piece(piece: dict[str, Any]) -> Any:
    """Return the tool of a piece."""
    tool = _construct(_commented(copy.deepcopy(piece["tool"])), _context(), default_make_tool)
    _set_formats(tool, piece.get("formats") or [])
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
    return cls(document, context)


def _commented(document: Any) -> CommentedMap:
    """Give a plain document the line information that cwltool reads while it runs: of in, out and arguments only."""
    for step in document.get("steps", []):
        step.update({"in": _lined(step["in"]), "out": _lined(step["out"]), "run": _commented(step["run"])})
    if "arguments" in document:
        document = {**document, "arguments": _lined(document["arguments"])}
    return CommentedMap(document)


def _lined(items: list[Any]) -> CommentedSeq:
    lined = CommentedSeq(items)
    lined.lc.filename = "compiled"
    for index in range(len(items)):
        lined.lc.add_kv_line_col(index, [0, 0, 0, 0])
    return lined


def _set_formats(process: Any, edges: list[list[str]]) -> None:
    graph = format_graph(edges)
    if graph is None:
        return
    process.formatgraph = graph
    for step in getattr(process, "steps", []):
        _set_formats(step.embedded_tool, edges)
