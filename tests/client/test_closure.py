"""Everything that a document needs is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from cwl_ui_client import closure as module
from cwl_ui_client.closure import TooManyFiles, closure, common_folder

WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements:
  - class: SchemaDefRequirement
    types: [{$import: types.yml}]
inputs:
  script: {type: File, default: {class: File, location: scripts/run.sh}}
  folder: {type: Directory, default: {class: Directory, path: data}}
  far: {type: File, default: {class: File, location: https://example.org/x}}
outputs: []
steps:
  a: {run: ../tools/a.cwl#main, in: [], out: []}
  b: {run: {class: ExpressionTool, expression: {$include: code.js}, inputs: [], outputs: []}, in: [], out: []}
  gone: {run: missing.cwl, in: [], out: []}
$schemas: [edam.owl]
"""


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_all_that_a_document_refers_to_is_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        wf__main_cwl=WORKFLOW,
        wf__types_yml="type: enum",
        wf__scripts__run_sh="true",
        wf__data__a_txt="a",
        wf__data__deep__b_txt="b",
        wf__code_js="1",
        wf__edam_owl="<rdf/>",
        wf__unrelated_txt="no",
        tools__a_cwl="class: Workflow\nsteps: {s: {run: sub/b.cwl}}",
        tools__sub__b_cwl="class: CommandLineTool",
    )

    found = closure(tmp_path / "wf/main.cwl")

    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "tools/a.cwl",
        "tools/sub/b.cwl",
        "wf/code.js",
        "wf/data/a.txt",
        "wf/data/deep/b.txt",
        "wf/edam.owl",
        "wf/main.cwl",
        "wf/scripts/run.sh",
        "wf/types.yml",
    ]
    assert common_folder(found) == tmp_path


def test_documents_that_refer_to_each_other_end(tmp_path: Path) -> None:
    write(tmp_path, a_cwl="run: b.cwl", b_cwl="run: a.cwl")
    assert [path.name for path in closure(tmp_path / "a.cwl")] == ["a.cwl", "b.cwl"]


def test_an_address_that_is_none_names_no_file(tmp_path: Path) -> None:
    write(tmp_path, a_cwl='run: "http://[#x"')
    assert closure(tmp_path / "a.cwl") == [tmp_path / "a.cwl"]


def test_broken_yaml_is_sent_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, a_cwl="a: [")
    assert [path.name for path in closure(tmp_path / "a.cwl")] == ["a.cwl"]


def test_the_number_of_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 2)
    write(tmp_path, a_cwl="run: b.cwl", b_cwl="run: c.cwl", c_cwl="x")
    with pytest.raises(TooManyFiles, match="more than 2 files"):
        closure(tmp_path / "a.cwl")


DEFAULT = """
cwlVersion: v1.2
class: CommandLineTool
inputs:
  bam:
    type: File
    secondaryFiles: {patterns}
    default: {{class: File, location: data/S1.bam}}
"""


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("[.bai]", {"S1.bam.bai"}),
        ("[^.bai, {pattern: .csi?, required: false}]", {"S1.bai", "S1.bam.csi"}),
        (".d", {"S1.bam.d/x"}),
        (
            "['$(\"index_of_\" + self.basename)']",
            {"S1.bam.bai", "S1.bai", "S1.bam.csi", "S1.bam.d/x", "index_of_S1.bam"},
        ),
        ("[]", set()),
    ],
)
def test_a_default_comes_with_the_secondary_files_that_are_named(
    tmp_path: Path, patterns: str, names: set[str]
) -> None:
    data = tmp_path / "data"
    (data / "S1.bam.d").mkdir(parents=True)
    for name in ("S1.bam", "S1.bam.bai", "S1.bai", "S1.bam.csi", "S1.bam.d/x", "index_of_S1.bam", "unrelated"):
        (data / name).write_text("")
    for number in range(10, 200):
        (data / f"S{number}.bam").write_text("")
        (data / f"S{number}.bam.bai").write_text("")
    (tmp_path / "t.cwl").write_text(DEFAULT.format(patterns=patterns))
    found = {path.relative_to(data).as_posix() for path in closure(tmp_path / "t.cwl") if data in path.parents}
    assert found == {"S1.bam", *names}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_whose_aliases_multiply_is_not_read(tmp_path: Path, encoding: str) -> None:
    """Merged, each line has ten times the entries of the one before."""
    lines = ["a0: &a0 {k: v}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 7))]
    (tmp_path / "main.cwl").write_text("\n".join([*lines, "run: other.cwl"]), encoding=encoding)
    write(tmp_path, other_cwl="class: CommandLineTool")
    assert closure(tmp_path / "main.cwl") == [tmp_path / "main.cwl"]


def test_documents_of_others_are_looked_at_up_to_a_bound(tmp_path: Path) -> None:
    write(tmp_path, a_cwl="run: b.cwl", b_cwl="run: c.cwl", c_cwl="run: d.cwl", d_cwl="class: CommandLineTool")
    found = closure(tmp_path / "a.cwl", tmp_path, most=25)
    assert [path.name for path in found] == ["a.cwl", "b.cwl", "c.cwl"]


@pytest.mark.parametrize("document", ["run: " + "x" * 300, "{class: File, location: a, i: {secondaryFiles: [/../b]}}"])
def test_names_that_no_file_can_have_name_none(tmp_path: Path, document: str) -> None:
    write(tmp_path, main_cwl=document, a="")
    assert tmp_path / "main.cwl" in closure(tmp_path / "main.cwl")
