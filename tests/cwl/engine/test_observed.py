"""The engine notes when each command was staged, ran and was collected, and what was reused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_steps, upload

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import execution, run_settings
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.observed import COLLECTED, RAN, STAGED, Observed
from cwl_ui_plugin.cwl.plan import read_plan

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
arguments: [sh, -c, 'echo $0; exit $0', $(inputs.code)]
inputs: {code: int}
outputs: {out: stdout}
"""
SCATTERED = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {codes: "int[]"}
outputs: {out: {type: "File[]", outputSource: step/out}}
steps: {step: {run: tool.cwl, scatter: code, in: {code: codes}, out: [out]}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> run_settings.RunSettings:
    return run_settings.RunSettings(engine="none", tag="test/observed/task/-1/1", reuse=tmp_path / "kept")


def run(folder: Path, name: str, job: dict[str, Any], settings: run_settings.RunSettings) -> Observed:
    """Run a document's steps; return what was seen of them."""
    seen = Observed()
    settings = replace(settings, observed=seen)
    source, compiled = folder / "source", folder / f"compiled-{name}"
    if not source.exists():
        upload(source, tool=TOOL, scattered=SCATTERED)
    if not compiled.exists():
        compiling.compile_document(source, f"{name}.cwl", compiled)
    values = execution.start(compiled, source, job, folder / "start", settings)
    try:
        run_steps(compiled, source, read_plan(compiled).steps, values, folder / "run", settings)
    except StepError:
        seen.phases.append(None)  # type: ignore[arg-type] - the mark of a failure
    return seen


def test_a_command_has_its_phases_one_after_the_other(tmp_path: Path, settings: run_settings.RunSettings) -> None:
    seen = run(tmp_path, "tool", {"code": 0}, settings)
    assert [phase.name for phase in seen.phases] == [STAGED, RAN, COLLECTED]
    assert all(before.ended <= after.began for before, after in zip(seen.phases, seen.phases[1:], strict=False))
    assert seen.command_seconds == [seen.phases[1].seconds]


def test_a_command_that_fails_has_them_too(tmp_path: Path, settings: run_settings.RunSettings) -> None:
    *phases, failure = run(tmp_path, "tool", {"code": 3}, settings).phases
    assert failure is None
    assert [phase.name for phase in phases][:2] == [STAGED, RAN]


def test_elements_tell_which_they_are(tmp_path: Path, settings: run_settings.RunSettings) -> None:
    seen = run(tmp_path, "scattered", {"codes": [0, 0, 0]}, replace(settings, reuse=None))
    assert sorted(phase.name for phase in seen.phases) == sorted([STAGED, RAN, COLLECTED] * 3)
    assert len({phase.element for phase in seen.phases}) == 3


def test_what_is_reused_is_counted_and_runs_no_command(tmp_path: Path, settings: run_settings.RunSettings) -> None:
    first = run(tmp_path, "tool", {"code": 0}, settings)
    again = run(tmp_path, "tool", {"code": 0}, settings)
    assert (first.reused, first.not_reused) == (0, 1)
    assert (again.reused, again.not_reused, again.phases) == (1, 0, [])
