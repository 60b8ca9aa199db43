"""The outputs of a batch: a table, and a zip with a folder for each sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.batches import end, go_on, submission

from cwl_ui_plugin.services.batches import batches, outputs
from cwl_ui_plugin.services.csv_lines import csv_line
from cwl_ui_plugin.services.outputs.zip_stream import zip_stream


def test_outputs_as_a_table_and_as_a_zip(dag_id: str, folders: Path, airflow: Any) -> None:
    import csv
    import io
    import zipfile

    text = "sample,text\n=cmd(),x\na/../b,x\nC,x\n"
    batch = submission(dag_id, text).batch
    assert batch is not None
    go_on(batch)
    rows = batches.rows(dag_id, batch.id).items
    for row in rows[:2]:
        path = folders / "outputs" / dag_id / str(row.run_id) / "out.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row.name)
        value = {"out": {"class": "File", "location": path.as_uri(), "basename": "out.txt"}, "n": -5, "t": "@x"}
        airflow.push(dag_id, row.run_id, "CWLJobGatherer", "return_value", value)
        end(dag_id, row.run_id)
    found = outputs.outputs(dag_id, batch.id)
    assert [item.outputs is not None for item in found.items] == [True, True, False]
    content = b"".join(zip_stream(outputs.archive(dag_id, batch.id)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {
            "_cmd()/out.txt": "=cmd()",
            "a_.._b/out.txt": "a/../b",
        }
    lines = list(csv.reader(io.StringIO("".join(outputs.table(dag_id, batch.id)))))
    assert lines[0] == ["row", "sample", "state", "run_id"]
    assert lines[1][:3] == ["2", "'=cmd()", "success"]
    made = csv_line([outputs.shown(value) for value in (-5, "@x", "-5", "-5+A1", True, None, [{"a": 1}], "+4e3")])
    assert made == """-5,'@x,-5,'-5+A1,true,,"[{""a"": 1}]",+4e3\r\n"""


def test_folders_of_samples(dag_id: str) -> None:
    assert outputs.folder_of(4, "../..") == "_"
    assert outputs.folder_of(4, "...") == "row-4"
    assert outputs.folder_of(4, "Größe 1") == "Größe 1"


def test_no_two_samples_share_a_folder() -> None:
    taken: set[str] = set()
    names = [(2, "s-4"), (3, "S"), (4, "s"), (5, "S-5"), (6, "a/b"), (7, "a:b"), (8, "e\u0301"), (9, "\u00e9")]
    rows = [outputs.RowOutputs(number, name, "success", None, None) for number, name in names]
    found = [outputs._own_folder(row, taken) for row in rows]
    assert found == ["s-4", "S", "s-5", "S-5-5", "a_b", "a_b-7", "e_", "\u00e9"]


def test_halves_of_characters_break_no_table() -> None:
    line = csv_line([outputs.shown({"class": "File", "path": "/x/a\udcff.txt"}), "\ud83e", ["\ud800"]])
    assert line.encode() == b"/x/a?.txt,?,['\\ud800']\r\n"
