"""What a step needs to know of its workflow to keep its outputs, and what can't be kept or taken over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import TOOL, upload

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine.process_runs import KeptOutputs, Work
from cwl_ui_plugin.cwl.engine.results import Earlier, Results, StepResults
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
from cwl_ui_plugin.cwl.fingerprints import RESULTS, StepIdentity
from cwl_ui_plugin.cwl.plan import Traits, read_plan, read_traits, traits_of
from cwl_ui_plugin.opened import Place

DEEP = 100_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return upload(tmp_path / "source", main=TOOL)


@pytest.fixture
def compiled(source: Path, tmp_path: Path) -> Path:
    compiling.compile_document(source, "main.cwl", tmp_path / "compiled")
    return tmp_path / "compiled"


def test_a_step_that_starts_reads_neither_the_plan_nor_the_packed_document(
    source: Path, compiled: Path, tmp_path: Path
) -> None:
    plan = read_plan(compiled)
    for name in ("plan.json", "packed.cwl"):
        (compiled / name).unlink()
    known = Results((tmp_path / "run",), "task")
    settings = RunSettings(engine="none", tag="x", reuse=tmp_path, results=known, traits=traits_of(plan))
    work = Work(plan.steps[0], source, tmp_path / "run", settings, given=[])
    kept = KeptOutputs(compiled, {}, work)
    assert kept.by_identity({"text": "x"})
    assert kept.folder == tmp_path


def test_a_plan_of_an_earlier_version_has_the_packed_document_tell(compiled: Path) -> None:
    plan = replace(read_plan(compiled), changes_in_place=None)
    (compiled / "plan.json").write_text(plan.to_json())
    assert read_traits(compiled) == Traits("main.cwl", changes_in_place=False)
    (compiled / "packed.cwl").write_text('{"class": "cwltool:InplaceUpdateRequirement"}')
    assert read_traits(compiled).changes_in_place


def test_what_is_too_deep_is_neither_taken_over_nor_kept(source: Path, compiled: Path, tmp_path: Path) -> None:
    place = tmp_path / "run"
    (place / RESULTS).mkdir(parents=True)
    identity = StepIdentity(compiled, source, "main.cwl", read_plan(compiled).steps[0].document)
    earlier = Earlier(Place(place), (place,))
    found = StepResults(identity, source, Results((place,), "task", earlier=earlier), "none", None)
    (place / RESULTS / "deep.json").write_text('{"outputs": {"x": ' + "[" * DEEP + "]" * DEEP + "}}")
    assert found.take("deep", tmp_path / "new") is None
    value: list[Any] = []
    for _level in range(DEEP):
        value = [value]
    assert found.key({"x": value}) is None
    found.keep("key", {"x": value})
    assert not (place / RESULTS / "key.json").exists()
