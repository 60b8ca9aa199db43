"""Which column gives which input, what a cell becomes there, and what is said of cells that do not fit."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.services.batches import checking, mapping, sheets, templates
from cwl_ui_plugin.services.batches.cells import CellError, in_folder, value_of
from cwl_ui_plugin.services.batches.models import CheckedSheet, ColumnMapping
from cwl_ui_plugin.services.batches.paths import UnknownPlace, place_of
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.inputs.access import shared_only

FILES = {"type": "array", "items": "File"}
ENUM = {"type": "enum", "symbols": ["Fast", "slow"]}


def record(**fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}


PAIRS = {"type": "array", "items": record(r1="File", r2=["null", "File"])}


def plan_of(**types: Any) -> Plan:
    inputs = tuple(
        kind if isinstance(kind, Parameter) else Parameter(name.replace("__", "."), kind)
        for name, kind in types.items()
    )
    return Plan("Workflow", "v1.2", "main.cwl", None, None, inputs, (), ())


@pytest.mark.parametrize(
    ("types", "columns", "expected"),
    [
        ({"reads": FILES}, ["sample", "fastq_1", "fastq_2"], {"fastq_1": "reads.0", "fastq_2": "reads.1"}),
        ({"reads": FILES}, ["reads.0", "reads.1"], {"reads.0": "reads.0", "reads.1": "reads.1"}),
        ({"read1": "File", "read2": "File"}, ["R1", "R2"], {"R1": "read1", "R2": "read2"}),
        ({"fastq_1": "File", "fastq_2": ["null", "File"]}, ["fastq_1", "fastq_2"], None),
        ({"forward": "File", "reverse": "File"}, ["read_1", "read_2"], {"read_1": "forward", "read_2": "reverse"}),
        ({"pairs": PAIRS}, ["r1", "r2"], {"r1": "pairs.0.r1", "r2": "pairs.0.r2"}),
        ({"pairs": PAIRS}, ["fastq_1", "fastq_2"], {"fastq_1": "pairs.0.r1", "fastq_2": "pairs.0.r2"}),
        ({"pairs": PAIRS}, ["pairs.1.r1"], {"pairs.1.r1": "pairs.1.r1"}),
        ({"sample": record(id="string", n="int")}, ["sample_id", "N"], {"sample_id": "sample.id", "N": "sample.n"}),
        ({"sample": record(id="string")}, ["sample", "sample.id"], {"sample.id": "sample.id"}),
        ({"sampleName": "string", "k": "int"}, ["sample name", "K"], {"sample name": "sampleName", "K": "k"}),
        ({"a": Parameter("a", "int", label="Number of cells")}, ["number_of_cells"], {"number_of_cells": "a"}),
        ({"text": "string"}, ["text", "Text"], {"text": "text"}),
        ({"text": "string"}, ["other", "fastq_1"], {}),
        ({"one": FILES, "two": FILES}, ["fastq_1"], {}),
        ({"a__b": "int"}, ["a.b"], {"a.b": "a.b"}),
    ],
)
def test_columns_are_guessed(types: dict[str, Any], columns: list[str], expected: dict[str, str] | None) -> None:
    expected = {column: column for column in columns} if expected is None else expected
    assert mapping.guess(plan_of(**types), columns).paths == expected


@pytest.mark.parametrize(
    ("columns", "name"),
    [(["x", "Sample_ID"], "Sample_ID"), (["name", "sample"], "sample"), (["x"], None)],
)
def test_the_column_that_names_samples(columns: list[str], name: str | None) -> None:
    assert mapping.guess(plan_of(), columns).name == name


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"x": "nope"}, "no input 'nope'; it has reads, sample"),
        ({"x": "reads.one"}, "there is no 'one'"),
        ({"x": "sample.nope"}, "it has id, sex"),
        ({"x": "reads.1000"}, "there is no '1000'"),
        ({"x": 5}, "named by a text"),
        ({"z": "reads"}, "no such column; it has x, y"),
        ({"x": "sample", "y": "sample.id"}, "gives sample already"),
        ({"x": "reads.0", "y": "reads.0"}, "gives reads.0 already"),
        ({"x": "reads", "y": "reads.0"}, "gives reads already"),
    ],
)
def test_mappings_that_can_not_be(sent: dict[str, object], said: str) -> None:
    plan = plan_of(reads=FILES, sample=record(id="string", sex="string"))
    with pytest.raises(BadRequest) as caught:
        mapping.read_mapping(plan, ["x", "y"], sent, None)
    assert said in " ".join(map(str, caught.value.problems))


def test_a_mapping_that_is_sent() -> None:
    plan = plan_of(reads=FILES, text="string")
    read = mapping.read_mapping(plan, ["a", "b", "c", "d"], {"a": "reads", "b": "reads", "c": "", "d": "text"}, "d")
    assert read == ColumnMapping({"a": "reads", "b": "reads", "d": "text"}, "d")


def test_paths_that_are_too_deep() -> None:
    nested: Any = "string"
    for _ in range(20):
        nested = {"type": "array", "items": nested}
    with pytest.raises(UnknownPlace):
        place_of(plan_of(x=nested), "x" + ".0" * 20)


@pytest.mark.parametrize(
    ("declared", "cell", "value"),
    [
        ("string", 5, "5"),
        ("string", True, "true"),
        ("string", "=cmd()", "=cmd()"),
        ("int", "7", 7),
        ("int", -7, -7),
        ("int", "007", 7),
        ("long", "12345678901234", 12345678901234),
        ("float", "1e-3", 0.001),
        ("double", 3, 3),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("boolean", 1, True),
        ("boolean", False, False),
        (["null", "int"], "5", 5),
        (["int", "string"], "5x", "5x"),
        (["null", ["int", "string"]], "5", 5),
        (ENUM, "fast", "Fast"),
        ("File", "a b.fq", {"class": "File", "location": "a b.fq"}),
        ("File", '{"class": "File", "path": "x", "format": "f"}', {"class": "File", "path": "x", "format": "f"}),
        ("Directory", "/data/x", {"class": "Directory", "location": "/data/x"}),
        (FILES, "a.fq", [{"class": "File", "location": "a.fq"}]),
        (FILES, '["a.fq", "b.fq"]', [{"class": "File", "location": name} for name in ("a.fq", "b.fq")]),
        ({"type": "array", "items": "int"}, "[1, 2]", [1, 2]),
        ({"type": "array", "items": "int"}, "5", [5]),
        (record(r1="File", n="int"), '{"r1": "a", "n": 1}', {"r1": {"class": "File", "location": "a"}, "n": 1}),
        ("Any", '{"x": 1}', {"x": 1}),
        ("Any", 5, 5),
    ],
)
def test_what_a_cell_becomes(declared: Any, cell: Any, value: object) -> None:
    assert value_of(declared, cell) == value


@pytest.mark.parametrize(
    ("declared", "cell", "said"),
    [
        ("int", "7.5", "expected int, but got the text '7.5'"),
        ("int", "9" * 30, "expected int"),
        ("int", True, "expected int, but got the text 'true'"),
        ("float", "nan", "expected float"),
        ("float", "1" * 5000, "expected float"),
        ("boolean", "maybe", "expected boolean"),
        (ENUM, "medium", "expected one of Fast, slow, but got the text 'medium'"),
        (record(a="int"), "5", "write it as JSON, or give each field a column"),
        (FILES, "[1", "this is no JSON"),
        (FILES, '[{"a": 1, "a": 2}]', "there twice"),
        ("Any", "[" * 2000, "nested too deeply"),
        ("Any", "[" * 60_000, "nested too deeply"),
        ({"type": "array", "items": "int"}, "x", "expected int[]"),
    ],
)
def test_what_a_cell_can_not_become(declared: Any, cell: Any, said: str) -> None:
    with pytest.raises(CellError) as caught:
        value_of(declared, cell)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "name", "location"),
    [
        ("run7", "a.fq", "run7/a.fq"),
        ("/data/", "a b.fq", "/data/a b.fq"),
        ("file:///data", "a b#.fq", "file:///data/a%20b%23.fq"),
        ("run7", "/data/a.fq", "/data/a.fq"),
        ("run7", "file:///data/a.fq", "file:///data/a.fq"),
        ("run7", "../a.fq", "run7/../a.fq"),
    ],
)
def test_names_are_in_a_folder(folder: str, name: str, location: str) -> None:
    assert value_of("File", name, folder) == {"class": "File", "location": location}


def checked(plan: Plan, text: str, constants: dict[str, object] | None = None, **more: Any) -> CheckedSheet:
    sheet = sheets.read_text(text)
    sent = more.pop("mapping", None)
    found = (
        mapping.guess(plan, sheet.columns) if sent is None else mapping.read_mapping(plan, sheet.columns, sent, None)
    )
    return checking.check(plan, sheet, found, constants, shared_only(), **more)


def told(found: CheckedSheet) -> list[tuple[int, str | None, str]]:
    return [(problem.row, problem.column, problem.message) for problem in found.problems]


@pytest.fixture
def inputs(folders: Path) -> Path:
    for name in ("a_1.fq", "a_2.fq", "b_1.fq", "x.idx"):
        (folders / "inputs").mkdir(exist_ok=True)
        (folders / "inputs" / name).write_text("x")
    return folders / "inputs"


READS = plan_of(reads=FILES, level=Parameter("level", "int", has_default=True, default=3), mode=["null", ENUM])


def test_rows_become_jobs(inputs: Path) -> None:
    found = checked(
        READS,
        "sample,fastq_1,fastq_2,level,mode\nA,a_1.fq,a_2.fq,5,slow\nB,b_1.fq,,,\n",
        constants={"mode": "Fast"},
    )
    assert found.problems == ()
    a, b = found.rows
    assert (a.number, a.name, b.number, b.name) == (2, "A", 3, "B")
    assert (a.job["level"], a.job["mode"]) == (5, "slow")
    assert (b.job.get("level"), b.job["mode"]) == (None, "Fast")
    assert [file["location"] for file in a.job["reads"]] == [(inputs / f"a_{n}.fq").as_uri() for n in (1, 2)]  # type: ignore[index, attr-defined]
    assert len(b.job["reads"]) == 1  # type: ignore[arg-type]


def test_what_is_wrong_is_told_at_its_cell(inputs: Path) -> None:
    found = checked(
        READS,
        "sample,fastq_1,fastq_2,level\n"
        "A,a_1.fq,missing.fq,5\n"
        "A,a_1.fq,,five\n"
        ",a_1.fq,,\n"
        "D,,,\n"
        "E,/etc/passwd,,3000000000\n"
        "F,../../../etc/passwd,,1\n",
    )
    assert told(found) == [
        (2, "fastq_2", "reads[1]: there is no file missing.fq"),
        (3, "sample", "the sample 'A' is in row 2 already"),
        (3, "level", "expected int, but got the text 'five'"),
        (4, "sample", "the sample has no name"),
        (5, "fastq_1", "reads: this input is required; give it a value of type File[]"),
        (6, "fastq_1", found.problems[5].message),
        (6, "level", "expected int?, but got the number 3000000000"),
        (7, "fastq_1", found.problems[7].message),
    ]
    for problem in (found.problems[5], found.problems[7]):
        assert "is not in a folder that inputs may come from" in problem.message
    assert [bool(row.problems) for row in found.rows] == [True] * 6
    assert found.good == ()


def test_what_is_told_of_a_row_is_bounded(inputs: Path) -> None:
    names = ["x" * 3000] * 30
    sheet = ",".join(f"reads.{number}" for number in range(30)) + "\n" + ",".join(names) + "\n"
    (row,) = checked(READS, sheet).rows
    assert len(row.problems) == 20
    assert {len(problem.message) for problem in row.problems} == {500}


def test_an_empty_cell_before_a_full_one_still_names_the_right_column(inputs: Path) -> None:
    found = checked(READS, "sample,fastq_1,fastq_2\nA,,missing.fq\n")
    assert told(found) == [(2, "fastq_2", "reads[0]: there is no file missing.fq")]


def test_records_lists_and_constants_go_together(inputs: Path) -> None:
    plan = plan_of(sample=record(id="string", n="int", sex=["null", "string"]), pairs=PAIRS, tags=["null", FILES])
    text = "sample.id,pairs.0.r1,pairs.0.r2,pairs.1.r1,tag,tag2\nA,a_1.fq,a_2.fq,b_1.fq,x.idx,x.idx\nB,a_1.fq,,,,\n"
    columns = ("sample.id", "pairs.0.r1", "pairs.0.r2", "pairs.1.r1")
    sent = {**{name: name for name in columns}, "tag": "tags", "tag2": "tags"}
    found = checked(plan, text, {"sample": {"id": "none", "n": 7}}, mapping=sent)
    assert found.problems == ()
    first, second = (row.job for row in found.rows)
    assert first["sample"] == {"id": "A", "n": 7}
    assert [sorted(pair) for pair in first["pairs"]] == [["r1", "r2"], ["r1"]]  # type: ignore[attr-defined]
    assert len(first["tags"]) == 2  # type: ignore[arg-type]
    assert ("tags" in second, len(second["pairs"])) == (False, 1)  # type: ignore[arg-type]


def test_a_field_that_is_missing_is_told_at_its_column(inputs: Path) -> None:
    plan = plan_of(sample=record(id="string", n="int"))
    found = checked(plan, "sample.id,sample.n\nA,\n")
    assert told(found) == [(2, "sample.n", "expected int, but got null")]
    assert told(checked(plan, "sample.id\nA\n"))[0][1:] == (None, "sample.n: expected int, but got null")


def test_formats_and_secondary_files(inputs: Path) -> None:
    index = ({"pattern": ".idx", "required": True},)
    plan = plan_of(bam=Parameter("bam", "File", format="edam:bam", secondary_files=index))
    found = checked(plan, "bam\na_1.fq\nx\n")
    assert told(found)[0] == (2, "bam", "the secondary file a_1.fq.idx is not beside the file")
    (inputs / "x").write_text("x")
    (job,) = [row.job for row in checked(plan, "bam\nx\n").good]
    assert job["bam"]["format"] == "edam:bam"  # type: ignore[index]


def test_files_in_a_folder_that_is_given(inputs: Path) -> None:
    (inputs / "run7").mkdir()
    (inputs / "run7" / "a.fq").write_text("x")
    found = checked(READS, "sample,fastq_1\nA,a.fq\n", folder="run7")
    assert found.problems == ()
    assert "there is no file" in told(checked(READS, "sample,fastq_1\nA,a.fq\n"))[0][2]


def test_no_secret_names_a_sample() -> None:
    """The names of samples are in titles and addresses of runs, which all who may see the workflow see."""
    plan, columns = plan_of(id=Parameter("id", "string", is_secret=True), text="string"), ("id", "text", "library")
    assert mapping.guess(plan, columns[:2]).name is None
    assert mapping.guess(plan, columns).name == "library"
    assert mapping.read_mapping(plan, columns[:2], {"id": "id"}, None).name is None
    assert mapping.read_mapping(plan, columns, {"library": "id"}, "id").name == "id"
    with pytest.raises(BadRequest) as raised:
        mapping.read_mapping(plan, columns, {"text": "id"}, "text")
    assert "can't name the samples" in str(raised.value.problems[0])


def test_the_value_of_a_secret_is_never_told(inputs: Path) -> None:
    other = Parameter("other", ["null", "int"], is_secret=True)
    plan = plan_of(key=Parameter("key", "int", is_secret=True), other=other)
    found = checked(plan, "key\nhunter2\n99999999999999\n5\n", {"other": "hunter3"})
    assert len(found.problems) == 5
    assert "hunter" not in str(found.problems)
    assert "99999" not in str(found.problems)
    assert {problem.message.removeprefix("other: ") for problem in found.problems} == {checking._SECRET}


def test_names_of_samples_are_one_line(inputs: Path) -> None:
    found = checked(READS, 'sample,fastq_1\n"a\nb",a_1.fq\n' + "x" * 201 + ",a_1.fq\n")
    assert {message for _row, _column, message in told(found)} == {
        "the name of a sample is one line of 200 characters at most"
    }


def test_constants_that_no_input_takes(inputs: Path) -> None:
    with pytest.raises(BadRequest, match="constants"):
        checked(READS, "fastq_1\na_1.fq\n", {"nope": 1})
    with pytest.raises(BadRequest, match="null character"):
        checked(READS, "fastq_1\na_1.fq\n", {"level": "\0"})


def test_problems_of_the_sheet_are_of_its_rows(inputs: Path) -> None:
    found = checked(READS, "sample,fastq_1\nA,a_1.fq\nB,a_1.fq,more\n")
    assert [row.name for row in found.good] == ["A"]


PLAN = plan_of(reads=FILES, level="int", sample=record(id="string", mode=ENUM), free=["null", "Any"], formula="string")


def test_the_template_fits_itself(inputs: Path) -> None:
    (inputs / "sample1_R1.txt").write_text("x")
    (inputs / "sample1_R2.txt").write_text("x")
    text = templates.template(PLAN).decode()
    header, row = list(csv.reader(io.StringIO(text)))
    assert header == ["sample", "reads.0", "reads.1", "level", "sample.id", "sample.mode", "free", "formula"]
    assert row[:4] == ["sample1", "sample1_R1.txt", "sample1_R2.txt", "1"]
    assert checked(PLAN, text).problems == ()
    assert checked(PLAN, text).rows[0].name == "sample1"


def test_the_template_as_a_workbook_says_what_the_types_are(inputs: Path) -> None:
    (inputs / "sample1_R1.txt").write_text("x")
    (inputs / "sample1_R2.txt").write_text("x")
    content = templates.template(PLAN, "xlsx")
    sheet = load_workbook(io.BytesIO(content)).active
    assert sheet is not None
    comments = {cell.value: cell.comment.text for cell in sheet[1]}
    assert comments["level"] == "level: int"
    assert comments["free"] == "free: Any?; optional: an empty cell is the default"
    read = sheets.read("t.xlsx", io.BytesIO(content))
    found = checking.check(PLAN, read, mapping.guess(PLAN, read.columns), None, shared_only())
    assert found.problems == ()


@pytest.mark.parametrize(
    ("folder", "location"),
    [
        ("/data/run 1", "/data/run 1/a b#1.fq"),
        ("https://x.org/run", "https://x.org/run/a%20b%231.fq"),
        ("s3://sequencing/run 1/", "s3://sequencing/run 1/a b#1.fq"),
    ],
)
def test_a_name_below_a_folder_is_written_as_addresses_there_are(folder: str, location: str) -> None:
    assert in_folder([{"class": "File", "path": "a b#1.fq"}], folder) == [{"class": "File", "path": location}]
