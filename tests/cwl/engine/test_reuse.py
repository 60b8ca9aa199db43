"""Outputs are used again for the same tool on the same contents, and for nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import execution, reuse, run_settings, scattering
from cwl_ui_plugin.cwl.plan import read_plan

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {ShellCommandRequirement: {}%s}
arguments: [{shellQuote: false, valueFrom: "date +%%N; cat $(inputs.file.path)"}]
inputs: {file: File}
outputs: {out: {type: stdout}}
stdout: out.txt
"""
SCATTERED = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {files: "File[]"}
outputs: {all: {type: "File[]", outputSource: step/out}}
steps: {step: {run: tool.cwl, scatter: file, in: {file: files}, out: [out]}}
"""


class Bench:
    """A tool, and running it with reuse."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.source = folder / "source"
        self.source.mkdir()
        (self.source / "tool.cwl").write_text(TOOL % more)
        (self.source / "scattered.cwl").write_text(SCATTERED)
        self.settings = run_settings.RunSettings(engine="none", tag="test/reuse/task/-1/1", reuse=folder / "kept")
        self.count = 0

    def file(self, content: str) -> dict[str, Any]:
        self.count += 1
        path = self.folder / str(self.count) / "file.txt"
        path.parent.mkdir()
        path.write_text(content)
        return {"class": "File", "location": path.as_uri(), "basename": "file.txt"}

    def run(self, content: str) -> tuple[str, bool]:
        """Return the output's content, and whether it was reused."""
        compiled = self.folder / "compiled"
        if not compiled.exists():
            compiling.compile_document(self.source, "tool.cwl", compiled)
        step = read_plan(compiled).steps[0]
        values = {"file": [self.file(content), "success"]}
        result = execution.run_step(
            compiled, self.source, step, values, self.folder / f"run{self.count}", self.settings
        )
        ((output, _status),) = result.values.values()
        return Path(output["location"].removeprefix("file://")).read_text(), result.reused


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_same_contents_are_not_run_again(bench: Bench) -> None:
    first, was_reused = bench.run("hello")
    assert not was_reused
    assert bench.run("hello") == (first, True)


def test_other_contents_are_run(bench: Bench) -> None:
    bench.run("hello")
    other, was_reused = bench.run("world")
    assert not was_reused
    assert other.endswith("world")


def test_outputs_that_were_removed_are_made_anew(bench: Bench) -> None:
    bench.run("hello")
    for path in (bench.folder / "kept").glob("*/files"):
        shutil.rmtree(path)
    assert bench.run("hello")[1] is False


@pytest.mark.parametrize(
    "more", [", WorkReuse: {enableReuse: false}", ", InplaceUpdateRequirement: {inplaceUpdate: true}"]
)
def test_a_document_can_say_no(tmp_path: Path, more: str) -> None:
    bench = Bench(tmp_path, more)
    bench.run("hello")
    assert bench.run("hello")[1] is False


def test_elements_of_a_scatter_are_reused_one_by_one(bench: Bench, tmp_path: Path) -> None:
    compiled = tmp_path / "scattered"
    compiling.compile_document(bench.source, "scattered.cwl", compiled)
    step = read_plan(compiled).steps[0]

    def run(*contents: str) -> tuple[list[str], bool]:
        values = {step.sources[0]: [[bench.file(content) for content in contents], "success"]}
        folder = tmp_path / f"run{bench.count}"
        chosen = range(len(contents))
        done = scattering.run_elements(compiled, bench.source, step, values, chosen, folder, bench.settings)
        outputs = [next(iter(done.results[str(index)][0].values())) for index in chosen]
        return [Path(item["location"].removeprefix("file://")).read_text() for item in outputs], done.summary.reused

    (a, b), _reused = run("a", "b")
    (b_again, c), reused_all = run("b", "c")
    assert b_again == b
    assert c.endswith("c")
    assert not reused_all
    assert run("a", "c") == ([a, c], True)


def test_files_that_elements_share_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "genome.fa"
    shared.write_text("ACGT")
    read: list[Path] = []
    really = reuse._digest
    monkeypatch.setattr(reuse, "_digest", lambda path: read.append(path) or really(path))
    file, seen = {"class": "File", "location": shared.as_uri()}, {}
    keys = {reuse.reuse_key({}, {"file": file, "number": number}, "none", seen) for number in range(5)}
    assert (len(keys), read) == (5, [shared])


def test_a_checksum_that_a_tool_has_written_stands_for_nothing(tmp_path: Path) -> None:
    """Neither for the content of another file, nor for none where an expression may read it."""
    mine, others = tmp_path / "mine", tmp_path / "others"
    mine.write_text("mine")
    others.write_text("others")

    def key(path: Path, **more: object) -> str | None:
        file = {"class": "File", "location": path.as_uri(), "basename": "file", **more}
        return reuse.reuse_key({}, {"file": file}, "none", {})

    true = {path: reuse._digest(path) for path in (mine, others)}
    assert key(mine, checksum=true[mine]) == key(mine)
    assert len({key(mine), key(others), key(mine, checksum=true[others])}) == 3
