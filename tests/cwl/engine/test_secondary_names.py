"""Which secondary files patterns name is told without looking at any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.compiler.compiling import compile_document
from cwl_ui_plugin.cwl.engine import secondary_names
from cwl_ui_plugin.cwl.engine.secondary_names import secondary_locations
from cwl_ui_plugin.cwl.errors import JobError

HEAD = "cwlVersion: v1.2\nbaseCommand: 'true'\noutputs: []\nrequirements: {InlineJavascriptRequirement: {}}\n"
TOOL = "class: CommandLineTool\n"
S1 = {"class": "File", "location": "file:///nowhere/data/S1.bam"}
S2 = {"class": "File", "location": "file:///elsewhere/S2.bam"}


def named(folder: Path, inputs: str, job: dict[str, Any], head: str = HEAD + TOOL) -> list[str]:
    (folder / "source").mkdir()
    (folder / "source" / "main.cwl").write_text(f"{head}inputs: {inputs}\n")
    (folder / "source" / "default.bam").write_text("")
    compile_document(folder / "source", "main.cwl", folder / "out")
    return secondary_locations(folder / "out", folder / "source", job)


LITERAL = "{a: {type: File, secondaryFiles: [.bai, ^.bai, {pattern: .x, required: false}]}}"
EXPRESSION = "{a: {type: File, secondaryFiles: ['$(\"index_of_\" + self.basename)']}}"
SEVERAL = '{a: {type: File, secondaryFiles: [\'${return [self.nameroot + ".1", inputs.n + ".2"]}\']}, n: string}'
NOTHING = "{a: {type: File, secondaryFiles: ['$(null)', .y?]}}"
ARRAY = "{a: {type: 'File[]', secondaryFiles: .i}}"
RECORD = "{a: {type: {type: record, name: r, fields: {f: {type: File, secondaryFiles: [.i]}}}}}"
OTHER = "{a: File, b: {type: File?, secondaryFiles: [.i]}}"
DEFAULT = "{a: File, d: {type: File, secondaryFiles: [.i], default: {class: File, location: default.bam}}}"


@pytest.mark.usefixtures("ask_here")
@pytest.mark.parametrize(
    ("inputs", "job", "names"),
    [
        (LITERAL, {"a": S1}, ["S1.bam.bai", "S1.bai", "S1.bam.x"]),
        (EXPRESSION, {"a": S1}, ["index_of_S1.bam"]),
        (SEVERAL, {"a": S1, "n": "x"}, ["S1.1", "x.2"]),
        (NOTHING, {"a": S1}, ["S1.bam.y"]),
        (ARRAY, {"a": [S1, S2]}, ["S1.bam.i", "S2.bam.i"]),
        (RECORD, {"a": {"f": S1}}, ["S1.bam.i"]),
        (OTHER, {"a": S1}, []),
        ("{a: File}", {"a": S1}, []),
        ("{a: {type: File, secondaryFiles: [.i], loadContents: true}}", {"a": S1}, ["S1.bam.i"]),
        (DEFAULT, {"a": S1}, []),
    ],
)
def test_exactly_what_the_patterns_name_is_told(
    tmp_path: Path, inputs: str, job: dict[str, Any], names: list[str]
) -> None:
    found = named(tmp_path, inputs, job)
    assert [location.rpartition("/")[2] for location in found] == names
    assert all(location.startswith(("file:///nowhere/data/", "file:///elsewhere/")) for location in found)


@pytest.mark.usefixtures("ask_here")
def test_a_workflow_tells_those_of_its_own_inputs(tmp_path: Path) -> None:
    head = (
        "cwlVersion: v1.2\nclass: Workflow\noutputs: []\nsteps: {s: {in: {x: a}, out: [], run: {class: "
        "CommandLineTool, baseCommand: 'true', outputs: [], inputs: {x: {type: File, secondaryFiles: [.not]}}}}}\n"
    )
    found = named(tmp_path, "{a: {type: File, secondaryFiles: [.bai]}}", {"a": S1}, head)
    assert found == ["file:///nowhere/data/S1.bam.bai"]


@pytest.mark.usefixtures("ask_here")
@pytest.mark.parametrize(
    ("inputs", "job"),
    [
        ("{a: {type: File, secondaryFiles: ['$(1)']}}", {"a": S1}),
        ("{a: {type: File, secondaryFiles: [.i]}}", {}),
    ],
)
def test_what_can_not_be_told_is_an_error(tmp_path: Path, inputs: str, job: dict[str, Any]) -> None:
    see_an_error(tmp_path, inputs, job)


def test_a_process_of_its_own_tells_that_an_expression_fails(tmp_path: Path) -> None:
    see_an_error(tmp_path, "{a: {type: File, secondaryFiles: ['$(self.no.such)']}}", {"a": S1})


def see_an_error(tmp_path: Path, inputs: str, job: dict[str, Any]) -> None:
    with pytest.raises(JobError) as caught:
        named(tmp_path, inputs, job)
    assert "Traceback" not in caught.value.message


def test_an_expression_without_an_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secondary_names, "TIMEOUT_SECONDS", 5.0)
    with pytest.raises(JobError):
        named(tmp_path, "{a: {type: File, secondaryFiles: ['${while (true) {}}']}}", {"a": S1})


def test_an_expression_knows_nothing_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret-of-the-server")
    expression = "${return typeof process == 'undefined' ? 'none' : JSON.stringify(process.env).replace(/[^a-z]/g, '')}"
    found = named(tmp_path, f'{{a: {{type: File, secondaryFiles: ["{expression}"]}}}}', {"a": S1})
    assert "secret" not in found[0]
