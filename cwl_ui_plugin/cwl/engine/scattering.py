"""A scattered step in parts: what its elements are, running some of them, and gathering all of them.

cwltool's own scatter functions say what the elements are and how their outputs go together; each part does that anew
from the step's sources, so that only the indices of elements and their outputs travel between tasks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwltool.executors import MultithreadedJobExecutor, SingleJobExecutor
from cwltool.utils import aslist

from cwl_ui_plugin.cwl.engine.process_runs import (
    KeptOutputs,
    StepResult,
    Work,
    check_outputs,
    plain_outputs,
    reused_result,
    run_process,
)
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values, preload
from cwl_ui_plugin.cwl.engine.step_documents import ScatterJobsWorkflow, expand, load_workflow
from cwl_ui_plugin.cwl.engine.step_failures import ending_badly
from cwl_ui_plugin.cwl.numbers import with_decimal_floats
from cwl_ui_plugin.cwl.plan import Step, read_step_document

MAX_LABEL = 80
ElementResults = dict[str, list[Any]]
"""``{index: [outputs by full id, status]}``; the keys are texts, as JSON wants them."""


@dataclass(frozen=True)
class ElementsResult:
    """How some elements went: ``results`` of each, ``summary`` of all, without values."""

    results: ElementResults
    summary: StepResult


def element_labels(compiled: Path, source: Path, step: Step, values: Values) -> list[str]:
    """Return a short name for each element of a scattered step; their number is how many there are.

    Raises:
        StepError: the sources do not fit together, for instance lists of different lengths in a dotproduct.

    """
    preload()
    with ending_badly(step, source):
        workflow = load_workflow(read_step_document(compiled, step.document, source), with_decimal_floats(values))
        calls, _gathered = expand(workflow)
    return [_label(workflow, element) for element, _callback in calls]


def run_elements(
    compiled: Path, source: Path, step: Step, values: Values, chosen: range, folder: Path, settings: RunSettings
) -> ElementsResult:
    """Run some elements of a scattered step, side by side within the machine's cores.

    Raises:
        StepError: one of them ended badly.

    """
    preload()
    own, first = _own_lists(step, values, chosen)
    document = read_step_document(compiled, step.document, source)
    with ending_badly(step, source):
        workflow = load_workflow(document, with_decimal_floats(own), ScatterJobsWorkflow)
        calls, _gathered = expand(workflow)
        elements = {index: calls[index - first][0] for index in chosen}
        titles = {index: f"element {index}, {_label(workflow, element)}" for index, element in elements.items()}
    work = Work(step, source, folder, settings, given=list(elements.values()))
    kept_outputs = KeptOutputs(compiled, document, work)
    kept = {index: kept_outputs.look_up(element) for index, element in elements.items()}
    found = {index: one.found for index, one in kept.items() if one.found}
    results: ElementResults = {str(index): [one.outputs, "success"] for index, one in found.items()}
    workflow.chosen = {index: element for index, element in elements.items() if index not in found}
    if not workflow.chosen:
        is_taken_over = any(one.is_taken_over for one in found.values())
        return ElementsResult(results, reused_result({}, is_taken_over=is_taken_over))
    settings.check_inputs()
    workflow.titles = titles if len(workflow.chosen) > 1 else {}
    executor = SingleJobExecutor() if len(workflow.chosen) == 1 else MultithreadedJobExecutor()
    summary = run_process(work, workflow, {}, executor)
    check_outputs(work, [outputs for outputs, _status in workflow.results.values()])
    for index, (outputs, status) in sorted(workflow.results.items()):
        results[str(index)] = [plain_outputs(outputs), status]
        if status == "success":
            kept[index].keep(outputs)
    return ElementsResult(results, summary)


def _own_lists(step: Step, values: Values, chosen: range) -> tuple[Values, int]:
    """Return values with those elements alone of the lists that are chosen, and the index of the first that is left.

    Where elements can't be told by the lists alone, all are left. Else each batch of a hundred thousand elements would
    have cwltool expand a hundred thousand.
    """
    lists = [values[name][0] for name in step.by_element if name in values]
    can_be_cut = len(lists) == len(step.scatter) and all(isinstance(item, list) for item in lists)
    if not can_be_cut or len({len(item) for item in lists}) != 1 or len(lists[0]) < chosen.stop:
        return values, 0
    cut = {name: [values[name][0][chosen.start : chosen.stop], *values[name][1:]] for name in step.by_element}
    return {**values, **cut}, chosen.start


def gather(compiled: Path, source: Path, step: Step, values: Values, results: ElementResults) -> tuple[Values, str]:
    """Put the outputs of all elements together; return the step's values and status.

    Raises:
        StepError: an element is missing.

    """
    preload()
    with ending_badly(step, source):
        calls, gathered = expand(
            load_workflow(read_step_document(compiled, step.document, source), with_decimal_floats(values))
        )
        for index, (_element, callback) in enumerate(calls):
            outputs, status = results.get(str(index), ({}, "permanentFail"))
            callback(outputs, status)
    outputs, status = gathered[0]
    return {name: [value, status] for name, value in outputs.items()}, status


def _label(workflow: Any, element: Mapping[str, object]) -> str:
    """Return what a scattered step's element is called: its values of what the step is scattered over."""
    parts = [_part_label(element.get(key)) for key in aslist(workflow.steps[0].tool["scatter"])]
    return " ".join(", ".join(parts).split())[:MAX_LABEL]


def _part_label(value: object) -> str:
    if isinstance(value, dict) and value.get("class") in ("File", "Directory"):
        return str(value.get("basename") or value.get("location") or value["class"])
    return value if isinstance(value, str) else json.dumps(value, default=str)
