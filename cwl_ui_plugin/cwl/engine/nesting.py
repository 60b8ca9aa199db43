"""A subworkflow whose steps are tasks of their own: entering it, and leaving it with the outputs of its step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cwltool.process import shortname

from cwl_ui_plugin.cwl.engine.cwltool_internals import make_builder, object_from_state
from cwl_ui_plugin.cwl.engine.job_recorder import Recorder
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values, preload, reach_of, run_context
from cwl_ui_plugin.cwl.engine.step_documents import RecordingProcess, load_workflow
from cwl_ui_plugin.cwl.engine.step_failures import ending_badly
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.numbers import with_decimal_floats
from cwl_ui_plugin.cwl.plan import Step, read_step_document


def enter(
    compiled: Path, source: Path, step: Step, values: Values, folder: Path, settings: RunSettings
) -> Values | None:
    """Return the values of a subworkflow's inputs, or None where the step's ``when`` is false.

    cwltool makes the job of the subworkflow (defaults, linkMerge, valueFrom, when), but does not run it.

    Raises:
        StepError: its sources do not fit.

    """
    preload()
    reach = reach_of((folder, source), list(values.values()), settings)
    context = run_context(folder, settings, reach=reach)
    recorder = Recorder(folder)
    with ending_badly(step, source, recorder):
        outer = load_workflow(read_step_document(compiled, step.document, source), with_decimal_floats(values))
        recorded = RecordingProcess(outer.steps[0].embedded_tool.tool)
        outer.steps[0].embedded_tool = recorded
        endings: list[str] = []
        with recorder.listening(outer):
            for _job in outer.job({}, lambda _outputs, status: endings.append(status), context):
                pass
        if not recorded.calls:
            if endings == ["skipped"]:
                return None
            raise StepError(f"Step {step.id}: {recorder.explain()}")
        inner = load_workflow(read_step_document(compiled, step.start_document, source), {})
        builder = make_builder(inner, recorded.calls[0][0], context)
        if reach is not None:
            reach.check(builder.job)
    return {item["id"]: [builder.job[shortname(item["id"])], "success"] for item in inner.tool["inputs"]}


def leave(compiled: Path, source: Path, step: Step, values: Values) -> Values:
    """Return the values of the step's outputs, from those of the steps within it.

    Raises:
        StepError: they do not fit the subworkflow's outputs.

    """
    preload()
    with ending_badly(step, source):
        inner = load_workflow(read_step_document(compiled, step.end_document, source), with_decimal_floats(values))
        outputs: Any = object_from_state(
            inner.state, inner.tool["outputs"], True, inner.multi, "outputSource", incomplete=True
        )
    return {name: [(outputs or {}).get(shortname(name)), "success"] for name in step.outputs}


def skipped(step: Step) -> Values:
    """Return the values of a step that was skipped: all null."""
    return {name: [None, "skipped"] for name in step.outputs}
