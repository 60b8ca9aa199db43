"""Tables of samples, friendly and hostile: read as they are meant, or refused with row, column and reason."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime
from typing import Any

import pytest
from openpyxl import Workbook

from cwl_ui_plugin.services.batches import sheets, workbooks
from cwl_ui_plugin.services.batches.models import InvalidSheet, Sheet
from cwl_ui_plugin.services.errors import TooLarge


def read(content: bytes | str, name: str = "samples.csv") -> Sheet:
    return sheets.read(name, io.BytesIO(content.encode() if isinstance(content, str) else content))


def cells(sheet: Sheet) -> list[tuple[Any, ...]]:
    return [row.cells for row in sheet.rows]


def refused(content: bytes | str, name: str = "samples.csv") -> list[tuple[int, str | None, str]]:
    with pytest.raises(InvalidSheet) as caught:
        read(content, name)
    assert caught.value.status == 422
    return [(problem.row, problem.column, problem.message) for problem in caught.value.found]


def workbook(rows: list[list[Any]], more: Any = None) -> bytes:
    made = Workbook()
    for row in rows:
        made.active.append(row)
    if more:
        more(made)
    target = io.BytesIO()
    made.save(target)
    return target.getvalue()


@pytest.fixture(autouse=True)
def _home(airflow_home: Any) -> None:
    """Options are read."""


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_what_separates_cells_is_found_out(separator: str) -> None:
    text = separator.join(["sample", "reads"]) + "\n" + separator.join(["a", "a, b.fq" if separator != "," else "b.fq"])
    sheet = read(text)
    assert sheet.columns == ("sample", "reads")
    assert sheet.rows[0].number == 2
    assert sheet.rows[0].cells[0] == "a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(encoding: str, newline: str) -> None:
    sheet = read(newline.join(["sample,größe", "Ä,1", ""]).encode(encoding))
    assert (sheet.columns, cells(sheet)) == (("sample", "größe"), [("Ä", "1")])


def test_latin_1_is_not_guessed() -> None:
    (problem,) = refused("sample,x\na,1\nb,größe\n".encode("latin-1"))
    assert problem[:2] == (3, None)
    assert "not UTF-8" in problem[2]
    assert "Save the file as UTF-8" in problem[2]


@pytest.mark.parametrize(
    ("content", "row", "words"),
    [
        ("", 1, "empty"),
        ("\n\n", 1, "empty"),
        ("sample,x\n", 1, "no row below"),
        ('sample,x\na,"1\nb,2\n', 2, "not closed"),
        ('sample,x\na,"1"2\n', 2, "closing quotation mark"),
        ("sample,x\n" + "a," + "y" * 200_000, 2, "not closed, or a cell has more than 131072 characters"),
        ("sample,x\na,\0\n", 2, "null character"),
        (b"\xff\xfe\x00\x00s", 1, "UTF-32"),
        (b"\xd0\xcf\x11\xe0rest", 1, "older Excel"),
        (b"PK\x03\x04rest", 1, "damaged"),
        ("x" + ",x" * 600 + "\n1", 1, "601 columns; 500"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_row(content: bytes | str, row: int, words: str) -> None:
    (problem,) = refused(content)
    assert problem[0] == row
    assert words in problem[2]


def test_kinds_of_files_that_are_no_sheets() -> None:
    assert "OpenDocument" in refused("x", "a.ods")[0][2]
    assert "is none" in refused("a,b\n1,2", "a.xlsx")[0][2]


def test_columns_of_the_same_name() -> None:
    assert refused("sample,x,x\na,1,2\n") == [
        (1, "x", "there are several columns of this name: each needs its own"),
    ]


def test_empty_ragged_and_unnamed() -> None:
    sheet = read("sample,,x,,\n\na,,1\nb\nc,1,2\nd,,1,,5\n")
    assert sheet.columns == ("sample", "x")
    assert [(row.number, row.cells) for row in sheet.rows] == [
        (3, ("a", "1")),
        (4, ("b", None)),
        (5, ("c", "2")),
        (6, ("d", "1")),
    ]
    assert [(problem.row, problem.message[:25]) for problem in sheet.problems] == [
        (5, "column number 2 has no na"),
        (6, "the row has 5 cells, and "),
    ]


def test_cells_with_separators_quotes_and_several_lines() -> None:
    sheet = read('sample,x\r\n"a,b","say ""hi""\r\nthere"\r\nc,=cmd()\r\n')
    assert cells(sheet) == [("a,b", 'say "hi"\r\nthere'), ("c", "=cmd()")]
    assert [row.number for row in sheet.rows] == [2, 3]


def test_more_rows_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__BATCH_MAX_ROWS", "3")
    assert len(read("x\n1\n2\n3\n").rows) == 3
    (problem,) = refused("x\n1\n2\n3\n4\n")
    assert problem[0] == 5
    assert "more than 3 rows ([cwl] batch_max_rows)" in problem[2]


def test_a_million_rows_are_refused_without_being_kept() -> None:
    content = b"x\n" + b"1\n" * 1_000_000
    (problem,) = refused(content)
    assert "more than 10000 rows" in problem[2]
    (problem,) = refused(b"x\n1\n" + b"\n" * 1_000_000 + b"1\n")
    assert problem[0] == 20_001
    assert "goes on beyond row 20000" in problem[2]
    with pytest.raises(TooLarge, match="17 MB"):
        read(b"x" * (sheets.MAX_BYTES + 1))


def test_more_cells_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MAX_CELLS", 3)
    assert read("a,b\n1,2\n3,\n").rows
    assert refused("a,b\n1,2\n3,4\n")[0][0] == 3


def test_pasted() -> None:
    assert sheets.read_text("\ufeffsample\tx\na\t1").columns == ("sample", "x")


def test_a_workbook_with_its_types() -> None:
    rows = [
        ["sample", "n", "part", "yes", "day", "moment", "none"],
        ["a", 3, 1.5, True, date(2026, 1, 31), datetime(2026, 1, 31, 12, 30), None],
        [None] * 7,
        [7, 3.0, 1e300, False, None, None, " x "],
    ]
    sheet = read(workbook(rows), "samples.xlsx")
    assert sheet.columns == tuple(rows[0])
    assert [row.number for row in sheet.rows] == [2, 4]
    assert cells(sheet) == [
        ("a", 3, 1.5, True, "2026-01-31", "2026-01-31T12:30:00", None),
        (7, 3, 1e300, False, None, None, "x"),
    ]
    assert [type(cell) for cell in sheet.rows[1].cells[:2]] == [int, int]


def test_a_formula_without_a_value_is_a_problem_at_its_cell() -> None:
    def more(made: Workbook) -> None:
        made.active["B3"].value = "text =1+1"
        made.active["B4"].value = "=1+1"
        made.active["B4"].data_type = "s"
        made.active["B5"].value = "#N/A"
        made.active["B5"].data_type = "e"

    rows = [["sample", "x"], ["a", "=1+1"], ["b", None], ["c", None], ["d", None]]
    sheet = read(workbook(rows, more), "samples.xlsx")
    assert [(problem.row, problem.column, problem.message[:22]) for problem in sheet.problems] == [
        (2, "x", "the cell has a formula"),
        (5, "x", "the cell has the error"),
    ]
    assert cells(sheet)[1:3] == [("b", "text =1+1"), ("c", "=1+1")]


def test_the_value_that_was_kept_of_a_formula_counts() -> None:
    formula = workbook([["sample", "x"], ["a", "=1+1"]])
    content = changed(formula, SHEET, rb"<f>1\+1</f><v(></v>| ?/>)", b"<f>1+1</f><v>2</v>")
    sheet = read(content, "samples.xlsx")
    assert (cells(sheet), sheet.problems) == ([("a", 2)], ())


def test_hidden_worksheets_are_not_read() -> None:
    def more(made: Workbook) -> None:
        made.active.sheet_state = "hidden"
        made.create_sheet("shown").append(["sample"])
        made["shown"].append(["b"])

    sheet = read(workbook([["sample"], ["a"]], more), "x.xlsx")
    assert (cells(sheet), sheet.sheet) == ([("b",)], "shown")


def changed(content: bytes, name: str, before: bytes, after: bytes, **more: bytes) -> bytes:
    """Return a workbook with other bytes, found by a pattern, in one of its parts, and with more parts."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for part in source.infolist():
            text = source.read(part)
            if part.filename == name:
                text, count = re.subn(before, lambda _match: after, text, count=1, flags=re.DOTALL)
                assert count, source.read(part)[:2000]
            made.writestr(part.filename, text)
        for path, text in more.items():
            made.writestr(path, text)
    return target.getvalue()


SIMPLE = [["sample", "x"], ["a", 1]]
SHEET = "xl/worksheets/sheet1.xml"
SHEET_NAME = rb"/?(xl/)?worksheets/sheet1\.xml"


STRINGS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def with_shared_strings(text: str) -> bytes:
    """Return a workbook as Excel writes it: its texts are in a part of their own."""
    cell = rb'<c r="A2" t="inlineStr">.*?</c>'
    content = changed(workbook(SIMPLE), SHEET, cell, b'<c r="A2" t="s"><v>0</v></c>')
    kind = b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    kind += b'spreadsheetml.sharedStrings+xml"/></Types>'
    part = f"{text}<si><t>shared</t></si></sst>".encode()
    content = changed(content, "[Content_Types].xml", b"</Types>", kind, **{"xl/sharedStrings.xml": part})
    relation = f'<Relationship Id="rId99" Type="{STRINGS}" Target="/xl/sharedStrings.xml"/></Relationships>'.encode()
    return changed(content, "xl/_rels/workbook.xml.rels", b"</Relationships>", relation)


def test_texts_that_are_shared() -> None:
    assert cells(read(with_shared_strings(f'<sst xmlns="{MAIN}">'), "x.xlsx")) == [("shared", 1)]


@pytest.mark.parametrize("name", [SHEET, "xl/workbook.xml", "[Content_Types].xml"])
def test_no_document_type_is_read(name: str) -> None:
    declared = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    (problem,) = refused(changed(workbook(SIMPLE), name, rb"^", declared), "x.xlsx")
    assert "document type" in problem[2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be", "cp500"])
def test_parts_with_other_names_are_looked_at_too(encoding: str) -> None:
    content = workbook(SIMPLE)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "boom">]>{archive.read(SHEET).decode()}'
    part = text.encode(encoding)
    named = {
        "xl/evil.dat": part,
        "xl/media/image.png": b"\x89PNG <!DOCTYPE",
        "xl/printer.bin": "printer".encode("utf-16"),
    }
    moved = changed(content, "xl/_rels/workbook.xml.rels", SHEET_NAME, b"/xl/evil.dat", **named)
    (problem,) = refused(moved, "x.xlsx")
    assert "document type" in problem[2] or "not in UTF-8" in problem[2]
    harmless = changed(content, SHEET, b"^", b"", **{**named, "xl/evil.dat": b"PK"})
    assert cells(read(harmless, "x.xlsx")) == [("a", 1)]


def test_entities_are_never_expanded() -> None:
    before = f"<!--{' ' * 3_000_000}-->" + '<!DOCTYPE sst [<!ENTITY e "boom">]>'
    (problem,) = refused(with_shared_strings(f'{before}<sst xmlns="{MAIN}"><si><t>&e;</t></si>'), "x.xlsx")
    assert "document type" in problem[2]


def test_parts_in_other_encodings_are_refused() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(SIMPLE))) as archive:
        text = archive.read(SHEET)
    wide = changed(workbook(SIMPLE), SHEET, b"^.*$", text.decode().encode("utf-16"))
    assert "not in UTF-8" in refused(wide, "x.xlsx")[0][2]
    named = changed(workbook(SIMPLE), SHEET, b"^", b'<?xml version="1.0" encoding="UTF-7"?>')
    assert "not in UTF-8" in refused(named, "x.xlsx")[0][2]


def test_what_would_swell_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = changed(workbook(SIMPLE), SHEET, b"</sheetData>", b"</sheetData>" + b" " * 40_000_000)
    assert len(bomb) < 100_000
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 30_000_000)
    assert "unpacks to more than" in refused(bomb, "x.xlsx")[0][2]
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 100_000_000)
    monkeypatch.setattr(workbooks, "MAX_PART", 1000)
    assert "is larger than" in refused(bomb, "x.xlsx")[0][2]
    monkeypatch.setattr(workbooks, "MAX_PARTS", 3)
    assert "more than 3 parts" in refused(bomb, "x.xlsx")[0][2]


@pytest.mark.parametrize(
    ("part", "before", "more", "told"),
    [
        (SHEET, b"</sheetData>", b'<row r="3">' + b"<c/>" * 200_000 + b"</row></sheetData>", "too many cells"),
        (SHEET, b"</sheetData>", b'<x:row r="3">' + b"<x:c/>" * 200_000 + b"</x:row></sheetData>", "too many cells"),
        (SHEET, b"</sheetData>", b"<row><c/></row>" * 260_000 + b"</sheetData>", "too many cells"),
        (SHEET, b"<sheetData>", b"<x/>" * 300_000 + b"<sheetData>", "too many styles"),
        ("xl/styles.xml", b"</cellXfs>", b"<xf/>" * 300_000 + b"</cellXfs>", "too many styles"),
    ],
)
def test_elements_are_counted_before_each_becomes_an_object(
    part: str, before: bytes, more: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workbooks.MAX_ELEMENTS <= 5_000_000, "what fits into memory as objects"
    monkeypatch.setattr(workbooks, "MAX_ELEMENTS", 500_000)
    content = workbook(SIMPLE)
    if b"<x:" in more:
        content = changed(content, part, b"<worksheet ", b'<worksheet xmlns:x="' + MAIN.encode() + b'" ')
    assert told in refused(changed(content, part, before, more), "x.xlsx")[0][2]


def test_texts_that_many_cells_share_count_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of texts makes a small file of long texts."""
    rows = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (number, number) for number in range(3, 203))
    strings = f'<sst xmlns="{MAIN}"><si><t>{"long " * 20_000}</t></si>'
    bomb = changed(with_shared_strings(strings), SHEET, b"</sheetData>", rows + b"</sheetData>")
    assert len(bomb) < 20_000
    (problem,) = refused(bomb, "x.xlsx")
    assert problem[0] == 169
    assert "more than 16777216 characters" in problem[2]
    monkeypatch.setattr(workbooks, "MAX_CELL", 99_998)
    sheet = read(bomb, "x.xlsx")
    assert len(sheet.problems) == 201
    assert (sheet.problems[0].row, sheet.problems[0].message) == (2, "the cell has more than 99998 characters")
    monkeypatch.setattr(sheets, "MAX_WRONG", 50)
    assert len(refused(bomb, "x.xlsx")) == 51


def test_cells_far_to_the_right_of_each_row_are_not_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workbooks.MAX_READ_CELLS <= 10_000_000, "what is gone through within seconds"
    monkeypatch.setattr(workbooks, "MAX_READ_CELLS", 1_000_000)
    rows = b"".join(b'<row r="%d"><c r="XFD%d"/></row>' % (number, number) for number in range(3, 100))
    bomb = changed(workbook(SIMPLE), SHEET, b"</sheetData>", rows + b"</sheetData>")
    assert "empty cells" in refused(bomb, "x.xlsx")[0][2]


def test_drawings_of_comments_need_not_be_well_formed_but_small() -> None:
    target = io.BytesIO(workbook(SIMPLE))
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("xl/drawings/vmlDrawing1.vml", "<xml><br></xml>")
    assert cells(read(target.getvalue(), "x.xlsx")) == [("a", 1)]
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/drawings/vmlDrawing2.vml", "<xml><br></xml>" + "<c/>" * 300_000)
    assert "too many styles" in refused(target.getvalue(), "x.xlsx")[0][2]


def test_a_cell_far_below_the_table_does_not_make_a_million_rows() -> None:
    def more(made: Workbook) -> None:
        made.active["A1048576"] = "x"

    (problem,) = refused(workbook(SIMPLE, more), "x.xlsx")
    assert "empty rows" in problem[2]


def test_a_workbook_that_says_it_is_larger_than_it_is() -> None:
    lying = changed(workbook(SIMPLE), SHEET, b"<dimension [^>]*>", b'<dimension ref="A1:XFD1048576" />')
    assert cells(read(lying, "x.xlsx")) == [("a", 1)]


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_workbooks_that_are_damaged(cut: float) -> None:
    content = workbook(SIMPLE)
    assert "can't be read" in refused(content[: int(len(content) * cut)], "x.xlsx")[0][2]
    broken = changed(content, SHEET, b"<sheetData>", b"<sheetData><row><c>")
    assert refused(broken, "x.xlsx")
