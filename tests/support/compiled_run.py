"""Running a document through compile, start, steps and finish, each with JSON between, as the tasks of a run do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.cwl.plan import Step, read_plan

if TYPE_CHECKING:
    from cwl_ui_plugin.cwl.engine.confines import Confines

BATCH = 2

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo]
inputs: {text: {type: string, inputBinding: {}}}
outputs: {out: stdout}
"""


def upload(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.cwl").write_text(content)
    return folder


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def run_compiled(compiled: Path, source: Path, job: dict[str, Any], folder: Path, **more: Any) -> dict[str, Any]:
    """Run a compiled document task by task; return the output object."""
    from cwl_ui_plugin.cwl.engine import execution, run_settings

    settings = run_settings.RunSettings(engine="none", tag="test/run/task/-1/1", **more)
    plan = read_plan(compiled)
    values = through_json(execution.start(compiled, source, job, folder / "start", settings))
    given = dict(values)
    run_steps(compiled, source, plan.steps, values, folder, settings)
    if plan.is_tool:  # the last task reads what its step has made
        values = {name: value for name, value in values.items() if given.get(name) is not value}
    check_readable(values, job, source, folder, settings.confines)
    announced: list[object] = []
    outputs = dict(through_json(execution.finish(compiled, source, values, folder / "outputs", announced.append)))
    assert len(json.dumps(announced[0])) <= len(json.dumps(outputs)), "no run fails that could hand on its outputs"
    return outputs


def check_readable(
    values: dict[str, Any], job: dict[str, Any], source: Path, folder: Path, confines: Confines | None
) -> None:
    """Check that a run may read what it delivers, as the last task does; by default its job's files are shared ones."""
    from cwl_ui_plugin.cwl.engine.confines import Confines
    from cwl_ui_plugin.cwl.files import local_paths
    from cwl_ui_plugin.cwl.jobs.types import FileRules
    from cwl_ui_plugin.dags.access.file_access import check_values

    shared = [path.parent.resolve() for path in local_paths(job)]
    confines = confines or Confines(FileRules(source, (source, *shared)), (folder.resolve(), source.resolve()))
    check_values(values, confines.allows)


def run_steps(
    compiled: Path, source: Path, steps: tuple[Step, ...], values: dict[str, Any], folder: Path, settings: Any
) -> None:
    """Run steps in their order; add what they make to ``values``."""
    from cwl_ui_plugin.cwl.engine import execution, nesting, scattering

    for step in steps:
        wanted = {key: values[key] for key in step.sources if key in values}
        if step.steps:
            inner = through_json(nesting.enter(compiled, source, step, wanted, folder / step.task_id, settings))
            if inner is None:
                values.update(nesting.skipped(step))
                continue
            run_steps(compiled, source, step.steps, inner, folder, settings)
            values.update(through_json(nesting.leave(compiled, source, step, inner)))
            continue
        if not step.scatter:
            result = execution.run_step(compiled, source, step, wanted, folder / step.task_id, settings)
            values.update(through_json(result.values))
            continue
        count = len(scattering.element_labels(compiled, source, step, wanted))
        results: dict[str, Any] = {}
        for first in range(0, count, BATCH):
            chosen = range(first, min(first + BATCH, count))
            place = folder / step.task_id / str(first)
            results |= through_json(
                scattering.run_elements(compiled, source, step, wanted, chosen, place, settings).results
            )
        values.update(through_json(scattering.gather(compiled, source, step, wanted, results)[0]))
