"""Documents in the draft of CWL v1.3, where a site takes them: they give what `cwltool --enable-dev` makes of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_compiled
from support.interpreters import Interpreter, interpreter

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import run_settings
from cwl_ui_plugin.cwl.errors import DocumentError, UnsupportedError

ADD = """
      class: ExpressionTool
      inputs: {i: int, by: {type: int, default: 1}}
      outputs: {o: int}
      expression: '${return {"o": inputs.i + inputs.by}}'
"""
HEAD = """
cwlVersion: v1.3.0-dev1
class: Workflow
requirements:
  InlineJavascriptRequirement: {}
  StepInputExpressionRequirement: {}
  MultipleInputFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
  ScatterFeatureRequirement: {}
"""
LAST = (
    HEAD
    + """
inputs: {i: int, by: int}
outputs: {o: {type: int, outputSource: after/o}}
steps:
  add:
    when: $(inputs.i < 10)
    loop: {i: o}
    outputMethod: last_iteration
    in: {i: i, by: by}
    out: [o]
    run: &add"""
    + ADD
    + """
  after:
    in: {i: add/o}
    out: [o]
    run: *add
"""
)
ALL = (
    LAST.replace("last_iteration", "all_iterations")
    .replace("{type: int, outputSource: after/o}", "{type: 'int[]', outputSource: after/o}")
    .replace("in: {i: add/o}", "scatter: i\n    in: {i: add/o}")
)
SUBWORKFLOW = (
    HEAD
    + """
inputs: {i: int, by: int}
outputs: {o: {type: int?, outputSource: twice/o}}
steps:
  twice:
    when: $(inputs.i < inputs.most)
    loop: {i: {outputSource: o, valueFrom: $(self + inputs.by)}}
    outputMethod: last_iteration
    in: {i: i, by: by, most: {default: 20}}
    out: [o]
    run:
      class: Workflow
      inputs: {i: int, by: int}
      outputs: {o: {type: int, outputSource: second/o}}
      steps:
        first:
          in: {i: i, by: by}
          out: [o]
          run: &add"""
    + ADD.replace("\n", "\n      ")
    + """
        second:
          in: {i: first/o}
          out: [o]
          run: *add
"""
)
FILES = (
    HEAD
    + """
inputs: {i: int, by: int, file: File}
outputs: {o: {type: File, outputSource: grow/out}, all: {type: "File[]", outputSource: each/out}}
steps:
  grow:
    when: $(inputs.i < 3)
    loop: {file: out, i: {valueFrom: $(inputs.i + 1)}}
    outputMethod: last_iteration
    in: {file: file, i: {default: 0}}
    out: [out]
    run: &append
      class: CommandLineTool
      inputs: {file: File, i: int}
      outputs: {out: stdout}
      baseCommand: [sh, -c, 'cat $0; echo line $1']
      arguments: [$(inputs.file), $(inputs.i)]
      stdout: out-$(inputs.i).txt
  each:
    when: $(inputs.i < 13)
    loop: {file: out, i: {valueFrom: $(inputs.i + 1)}}
    outputMethod: all_iterations
    in: {file: file, i: {default: 10}}
    out: [out]
    run: *append
"""
)
# Not run at all: its outputs are null, or empty.
NEVER = LAST.replace("$(inputs.i < 10)", "$(false)").replace("int, outputSource: after/o", "int?, outputSource: add/o")
NEVER = NEVER[: NEVER.index("  after:")]
AS_COMMAND = """
import os
from pathlib import Path

from cwltool.main import run

os.chdir({source!r})
with Path({answer!r}).open("w") as answer:
    assert run({asked}, stdout=answer) == 0
"""
DOCUMENTS = {"last": LAST, "all": ALL, "subworkflow": SUBWORKFLOW, "files": FILES, "never": NEVER}


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    run_settings.preload()


@pytest.fixture(scope="module")
def cwltool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    """Interpreters that have imported cwltool, and nothing of ours."""
    with interpreter("import cwltool.main", tmp_path_factory.mktemp("cwltool")) as found:
        yield found


def plain(value: Any) -> Any:
    """Return outputs with what files hold instead of where they are."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict) and value.get("class") == "File":
        path = value.get("path") or str(value["location"]).removeprefix("file://")
        return {"basename": value["basename"], "digest": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_draft_gives_what_cwltool_gives(tmp_path: Path, cwltool: Interpreter, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.cwl").write_text(DOCUMENTS[name])
    (source / "given.txt").write_text("first\n")
    job: dict[str, Any] = {"i": 1, "by": 2}
    if name == "files":
        job["file"] = {"class": "File", "path": str(source / "given.txt")}
    (source / "job.json").write_text(json.dumps(job))
    asked = ["--quiet", "--enable-dev", "--outdir", str(tmp_path / "theirs"), "main.cwl", "job.json"]
    cwltool.run(AS_COMMAND.format(source=str(source), asked=asked, answer=str(tmp_path / "theirs.json")))

    plan = compiling.compile_document(source, "main.cwl", tmp_path / "compiled", allow_drafts=True)
    ours = run_compiled(tmp_path / "compiled", source, job, tmp_path / "run")
    assert plan.cwl_version == "v1.3.0-dev1"
    assert plain(ours) == plain(json.loads((tmp_path / "theirs.json").read_text()))


def refusal(tmp_path: Path, **settings: bool) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        compiling.compile_document(tmp_path, "main.cwl", tmp_path / "compiled", **settings)
    return caught.value


def test_a_draft_is_refused_with_what_allows_it(tmp_path: Path) -> None:
    (tmp_path / "main.cwl").write_text(LAST)
    error = refusal(tmp_path)
    assert isinstance(error, UnsupportedError)
    assert "[cwl] allow_draft_versions = True" in str(error)
    assert [(problem.file, problem.line) for problem in error.problems] == [("main.cwl", 2)]


def test_a_draft_within_is_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "main.cwl").write_text(
        "cwlVersion: v1.2\nclass: Workflow\ninputs: []\noutputs: []\nsteps: {s: {run: in.cwl, in: [], out: []}}\n"
    )
    (tmp_path / "in.cwl").write_text(
        "cwlVersion: v1.3.0-dev1\nclass: CommandLineTool\nbaseCommand: ls\ninputs: []\noutputs: []\n"
    )
    error = refusal(tmp_path)
    assert isinstance(error, UnsupportedError)
    assert "[cwl] allow_draft_versions = True" in str(error)
    assert [(problem.file, problem.line) for problem in error.problems] == [("in.cwl", 1)]
    assert compiling.compile_document(tmp_path, "main.cwl", tmp_path / "taken", allow_drafts=True).steps


@pytest.mark.parametrize("version", ["v1.2.0-dev5", "v1.3.0-dev2", "v1.3"])
def test_other_drafts_are_refused_also_where_drafts_are_taken(tmp_path: Path, version: str) -> None:
    (tmp_path / "main.cwl").write_text(LAST.replace("v1.3.0-dev1", version))
    error = refusal(tmp_path, allow_drafts=True)
    assert isinstance(error, UnsupportedError)
    assert version in str(error)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    loop: {i: o}", "    scatter: i\n    loop: {i: o}", "scatter"),
        ("    when: $(inputs.i < 10)\n", "", "when"),
        ("outputMethod: last_iteration", "outputMethod: first_iteration", "outputMethod"),
    ],
)
def test_loops_that_make_no_sense_are_refused_in_words(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "main.cwl").write_text(LAST.replace(old, new, 1))
    error = refusal(tmp_path, allow_drafts=True)
    text = "\n".join([str(error), *map(str, error.problems)])
    assert words in text
    assert "Traceback" not in text
