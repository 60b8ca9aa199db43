"""Lists of files, optional groups and filters in the form: what is shown, what is posted, what comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.browser_form import fields_of, html_of, plan_with, through_browser

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.views.job_form.file_filters import filter_of
from cwl_ui_plugin.views.job_form.form import JobForm
from cwl_ui_plugin.views.job_form.job_path import Posted, without_null

FASTQ = "http://edamontology.org/format_1930"
FILES = {"type": "array", "items": "File"}
FOLDERS = {"type": "array", "items": "Directory"}


def file(location: str, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **more}


def posted(kind: Any, *fields: tuple[str, str], **more: Any) -> JobForm:
    return JobForm(plan_with(Parameter(id="a", type=kind, **more)), posted=Posted(fields))


@pytest.mark.parametrize(
    "files",
    [
        [],
        [file("a b.txt"), file("file:///x/%C3%A4.txt"), file("http://example.org/x?y#z")],
        [file("a\nb"), file(" a"), file("a\u2028b"), file("{}"), file("\x85"), file("<img src=x onerror=alert(1)>")],
        [file("a", secondaryFiles=[file("b")], format=FASTQ), {"class": "File", "path": "p"}, {"class": "File"}],
        [{"class": "File", "basename": "x.txt", "contents": "\U0001f40d\n\u202e"}],
        [file(f"sample{number}.fastq.gz") for number in range(1000)],
    ],
)
def test_files_of_any_kind_come_out_as_they_went_in(files: list[Any]) -> None:
    for format_ in (None, FASTQ):
        plan = plan_with(Parameter(id="a", type=FILES, format=format_), Parameter(id="b", type=["File", FILES]))
        job = {"a": files, "b": files}
        assert through_browser(plan, job) == job
    html = html_of(JobForm(plan, {"a": files}))
    assert "<img" not in html


def test_a_thousand_files_are_one_field() -> None:
    files = [file(f"folder/sample{number}.fastq.gz") for number in range(1000)]
    html = html_of(JobForm(plan_with(Parameter(id="a", type=FILES)), {"a": files}))
    names = [name for name, _value in fields_of(html) if name.startswith("in-0")]
    assert names == ["in-0-list", "in-0-lines"]
    assert len(html) < 60_000


def test_lines_become_files_of_the_format_that_the_input_takes() -> None:
    form = posted(FILES, ("in-0-lines", " a.fq \r\n\r\n" + json.dumps(file("b", format="x:y"))), format=FASTQ)
    assert form.job() == {"a": [file("a.fq", format=FASTQ), file("b", format="x:y")]}
    assert posted(FOLDERS, ("in-0-lines", "data")).job() == {"a": [{"class": "Directory", "location": "data"}]}


@pytest.mark.parametrize(
    ("mark", "lines", "value"),
    [
        ("", "", None),
        ("", "a", file("a")),
        ("1", "a", [file("a")]),
        ("", "a\nb", [file("a"), file("b")]),
        ("1", "", []),
    ],
)
def test_one_file_or_many_is_told_by_how_many_there_are(mark: str, lines: str, value: Any) -> None:
    form = posted(["File", FILES], ("in-0-list", mark), ("in-0-lines", lines))
    assert form.job() == ({} if value is None else {"a": value})
    assert "data-one" in html_of(form)
    assert "in-0-choice" not in html_of(form)


def test_what_is_wrong_with_a_file_stands_at_its_name() -> None:
    form = posted(FILES, ("in-0-lines", "x/good.bam\nx/bad%20one.bam"))
    problem = Problem("is not there", input="a[1]")
    form.show([problem])
    html = " ".join(html_of(form).split())
    assert 'id="in-0-1-err" data-line="1">file 2, bad%20one.bam: is not there</li>' in html
    assert form.field_of(problem) == "in-0-1"


def test_the_problem_of_a_single_file_of_one_or_many_is_found() -> None:
    form = posted(["File", FILES], ("in-0-lines", "x"))
    form.show([Problem("is not there", input="a")])
    assert "is not there" in html_of(form)


def test_a_line_that_begins_like_json_and_is_none_is_told() -> None:
    form = posted(FILES, ("in-0-lines", "a\n{nothing"))
    assert [str(problem) for problem in form.bad_texts()] == ["a: line 2 begins like JSON, and is none"]


RECORD = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "int"}, {"name": "s", "type": FILES}]}


@pytest.mark.parametrize("value", [{}, {"n": 1}, None, {"s": []}, {"n": "x", "s": [file("a")]}])
def test_an_optional_group_is_used_or_not(value: Any) -> None:
    plan = plan_with(Parameter(id="a", type=["null", RECORD]))
    assert through_browser(plan, {"a": value}) == {"a": value}
    assert through_browser(plan, {}) == {}
    html = html_of(JobForm(plan, {"a": value}))
    assert ('value="1" checked data-switch' in " ".join(html.split())) == (value is not None)


def test_a_group_that_is_asked_for_is_there_and_one_with_values_too() -> None:
    kind = ["null", RECORD]
    assert posted(kind, ("in-0-use", "1")).job() == {"a": {}}
    assert posted(kind, ("in-0-0", "3")).job() == {"a": {"n": 3}}
    assert posted(RECORD, ("in-0-use", "1")).job() == {}


def test_optional_reads_so_once() -> None:
    nested = ["null", ["null", "string"]]
    assert without_null(nested) == "string"
    kind = {"type": "record", "name": "r", "fields": [{"name": "text", "type": nested}]}
    html = html_of(JobForm(plan_with(Parameter(id="a", type=["null", kind]), Parameter(id="b", type=nested))))
    assert ">string?</code>" in " ".join(html.split())
    assert "??" not in html


def test_formats_are_shown_by_their_names() -> None:
    plan = plan_with(Parameter(id="a", type="File", format=[FASTQ, "http://edamontology.org/format_2572"]))
    html = html_of(JobForm(plan))
    assert f'<span title="{FASTQ}">FASTQ</span> or <span title="http://edamontology.org/format_2572">BAM</span>' in html


@pytest.mark.parametrize(
    ("parameter", "globs", "accept"),
    [
        ({"format": FASTQ}, "*.fastq *.fq *.fastq.gz *.fq.gz", ".fastq,.fq,.gz,.fastq.gz,.fq.gz"),
        ({"format": "http://edamontology.org/format_2572"}, "*.bam", ".bam"),
        ({"format": "http://example.org/unknown"}, "", ""),
        ({"format": [FASTQ, "http://example.org/unknown"]}, "", ""),
        ({"format": "$(inputs.x)"}, "", ""),
        ({}, "", ""),
        ({"extras": {"cwl-ui:files": "*_R1.fastq.gz"}}, "*_R1.fastq.gz", ".gz,.fastq.gz"),
        ({"extras": {"https://w3id.org/cwl-ui-plugin#files": ["*.bed", "peaks*"]}}, "*.bed peaks*", ""),
        ({"extras": {"cwl-ui:files": ["a b", 3, "x" * 101, "", "*a" * 9]}}, "", ""),
        ({"extras": {"cwl-ui:files": [f"*.{number}" for number in range(41)]}}, "", ""),
    ],
)
def test_a_chooser_shows_first_what_the_input_means(parameter: dict[str, Any], globs: str, accept: str) -> None:
    found = filter_of(Parameter(id="a", type="File", **parameter))
    assert (" ".join(found.globs), found.accept) == (globs, accept)


def test_secondary_files_can_be_chosen_with_their_file() -> None:
    patterns = ({"pattern": ".bai", "required": None}, {"pattern": "^.dict"}, {"pattern": "$(1)"})
    item = Parameter(id="a", type="File", format="http://edamontology.org/format_2572", secondary_files=patterns)
    assert filter_of(item).accept == ".bam,.bai,.dict"


def test_records_that_take_pairs_say_which_fields_do() -> None:
    fields = [
        {"name": "id", "type": "string"},
        {"name": "fwd", "type": "File"},
        {"name": "rev", "type": ["null", FILES]},
    ]
    record = {"type": "record", "name": "r", "fields": fields}
    plan = plan_with(Parameter(id="a", type={"type": "array", "items": record}))
    control = JobForm(plan).inputs[0].control
    assert control.pair_fields == {  # type: ignore[attr-defined]
        "files": [{"index": 1, "name": "fwd", "many": False}, {"index": 2, "name": "rev", "many": True}],
        "texts": [{"index": 0, "name": "id", "many": False}],
    }
    assert "data-pair-upload" in html_of(JobForm(plan))
    fields.pop()
    assert "data-pair-upload" not in html_of(JobForm(plan))
