"""A whole document in one process: its inputs, all of its steps one after the other, its outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin.cwl.engine import execution, nesting, scattering
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings, Values
from cwl_ui_plugin.cwl.plan import Step, read_plan


@dataclass(frozen=True)
class Document:
    """A compiled document, the ``folder`` for what it makes, and how each of its steps is to run."""

    compiled: Path
    source: Path
    folder: Path
    settings: Callable[[Step | None], RunSettings]


def run_whole(
    document: Document,
    job: dict[str, object],
    outputs: Path | Destination,
    check: Callable[[object], None] = lambda _outputs: None,
) -> dict[str, object]:
    """Run a document on a job that has passed :func:`jobs.check_job`; return the CWL output object.

    A tool has ``folder`` to itself, the steps of a workflow folders in it that are called as their tasks would be.
    ``check`` is as for :func:`execution.finish`.

    Raises:
        JobError: the job does not fit.
        StepError: a step ended badly, or an output can't be delivered.

    """
    plan = read_plan(document.compiled)
    given = execution.start(document.compiled, document.source, job, document.folder / "start", document.settings(None))
    values = _as_json(given)
    if plan.is_tool:
        values = _run_step(document, plan.steps[0], values, document.folder)  # it may have more outputs than declared
    else:
        _run_steps(document, plan.steps, values)
    return execution.finish(document.compiled, document.source, values, outputs, check)


def _run_steps(document: Document, steps: Iterable[Step], values: Values) -> None:
    """Run steps in their order; add what they make to ``values``."""
    for step in steps:
        wanted = {key: values[key] for key in step.sources if key in values}
        values.update(_run(document, step, wanted))


def _run(document: Document, step: Step, wanted: Values) -> Values:
    folder = document.folder / step.task_id
    if step.steps:
        return _run_subworkflow(document, step, wanted, folder)
    return (_run_scattered if step.scatter else _run_step)(document, step, wanted, folder)


def _run_step(document: Document, step: Step, wanted: Values, folder: Path) -> Values:
    result = execution.run_step(document.compiled, document.source, step, wanted, folder, document.settings(step))
    return _as_json(result.values)


def _run_scattered(document: Document, step: Step, wanted: Values, folder: Path) -> Values:
    labels = scattering.element_labels(document.compiled, document.source, step, wanted)
    results: scattering.ElementResults = {}
    if labels:
        settings, chosen = document.settings(step), range(len(labels))
        run = scattering.run_elements(document.compiled, document.source, step, wanted, chosen, folder, settings)
        results = json.loads(json.dumps(run.results))
    return _as_json(scattering.gather(document.compiled, document.source, step, wanted, results)[0])


def _run_subworkflow(document: Document, step: Step, wanted: Values, folder: Path) -> Values:
    inner = nesting.enter(document.compiled, document.source, step, wanted, folder, document.settings(step))
    if inner is None:
        return nesting.skipped(step)
    inner = _as_json(inner)
    _run_steps(document, step.steps, inner)
    return _as_json(nesting.leave(document.compiled, document.source, step, inner))


def _as_json(values: Values) -> Values:
    """Return values as they would go from task to task: nothing of cwltool's is left in them."""
    plain: Values = json.loads(json.dumps(values))
    return plain
