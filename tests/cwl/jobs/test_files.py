"""The files of a job have the formats and the secondary files that their input asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.jobs.files import file_problems, formats
from cwl_ui_plugin.cwl.plan import Parameter

BAM, OTHER = "http://edamontology.org/format_2572", "https://example.org/format"


@pytest.fixture
def bam(tmp_path: Path) -> Path:
    made = tmp_path / "my reads.bam"
    made.write_text("x")
    return made


def asking(*patterns: Any, **more: Any) -> Parameter:
    return Parameter(id="x", type="File", secondary_files=tuple({"pattern": item} for item in patterns), **more)


def told(item: Parameter, value: object) -> list[tuple[str | None, str]]:
    return [(problem.input, problem.message) for problem in file_problems(item, value)]


def a_file(path: Path, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": path.as_uri(), **more}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, []),
        (BAM, [BAM]),
        ([BAM, OTHER], [BAM, OTHER]),
        ("$(inputs.format)", []),
        ([BAM, "${return 1}"], []),
        ([BAM, 7], []),
        ("", []),
    ],
)
def test_formats_are_known_where_no_expression_decides(declared: Any, expected: list[str]) -> None:
    assert formats(Parameter(id="x", type="File", format=declared)) == expected


def test_a_file_without_a_format_is_told_which_it_may_have(bam: Path) -> None:
    item = asking(format=[BAM, OTHER])
    text = f"the file has no format; this input takes BAM ({BAM}) or {OTHER}"
    assert told(item, [a_file(bam, format=BAM), a_file(bam)]) == [("[1]", text)]
    assert told(item, [[a_file(bam)]]) == [("[0][0]", text)]
    assert told(item, {"class": "Directory", "location": "file:///d"}) == []
    assert told(asking(), a_file(bam)) == []


def test_secondary_files_lie_beside_their_file_or_are_given(bam: Path) -> None:
    item = asking(".bai", "^.dict")
    assert told(item, a_file(bam)) == [
        ("", "the secondary file my reads.bam.bai is not beside the file"),
        ("", "the secondary file my reads.dict is not beside the file"),
    ]
    bam.with_name("my reads.bam.bai").write_text("x")
    given = [{"class": "File", "location": "file:///elsewhere/my%20reads.dict"}]
    assert told(item, a_file(bam, secondaryFiles=given)) == []
    assert told(item, a_file(bam, secondaryFiles=[{"class": "File", "basename": "my reads.dict"}])) == []
    assert len(told(item, a_file(bam, secondaryFiles=[{"class": "File", "basename": "other"}]))) == 1
    folder = [{"class": "Directory", "location": "file:///elsewhere/my%20reads.dict/"}]
    assert told(item, a_file(bam, secondaryFiles=folder)) == []


def test_they_are_named_after_the_name_that_the_file_is_given(bam: Path) -> None:
    assert told(asking("^.dict"), a_file(bam, basename="other.bam")) == [
        ("", "the secondary file other.dict is not beside the file")
    ]


@pytest.mark.parametrize(("required", "count"), [(None, 1), (True, 1), (False, 0), ("$(true)", 0)])
def test_only_what_is_required_is_missed(bam: Path, required: Any, count: int) -> None:
    entry: Any = {"pattern": ".bai", "required": required}
    assert len(told(Parameter(id="x", type="File", secondary_files=(entry,)), a_file(bam))) == count


def test_what_only_the_run_can_tell_is_left_to_it(bam: Path) -> None:
    assert told(asking("$(self.basename).bai"), a_file(bam)) == []
    for location in ("https://example.org/a.bam", (bam.parent / "gone.bam").as_uri(), 7, None):
        assert told(asking(".bai"), {"class": "File", "location": location}) == []
