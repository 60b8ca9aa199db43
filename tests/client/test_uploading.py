"""What the command sends for a document, wherever it stands."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from cwl_ui_client.uploading import packed, split_fragment, stable

WORKFLOW = (
    "cwlVersion: v1.2\nclass: Workflow\ninputs: []\noutputs: []\nsteps: {s: {run: ../tools/t.cwl, in: [], out: []}}\n"
)
TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\ninputs: []\noutputs: []\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow beside the folder that the command is called in."""
    for name in ("wf", "tools", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "wf" / "x.cwl").write_text(WORKFLOW)
    (tmp_path / "tools" / "t.cwl").write_text(TOOL)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def sent(file: str) -> tuple[str, list[str], str | None]:
    name, content, main = packed(split_fragment(file)[0])
    if not name.endswith(".zip"):
        return name, [name], main
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return name, sorted(archive.namelist()), main


@pytest.mark.parametrize("file", ["../wf/x.cwl", "../here/../wf/x.cwl", "../wf/x.cwl#main"])
def test_a_document_is_packed_from_the_folder_that_all_files_are_in(folder: Path, file: str) -> None:
    assert sent(file) == ("x.zip", ["tools/t.cwl", "wf/x.cwl"], "wf/x.cwl")
    assert stable(split_fragment(file)[0]) == stable(folder / "wf" / "x.cwl")


def test_one_file_is_sent_as_it_is(folder: Path) -> None:
    assert sent("../tools/t.cwl") == ("t.cwl", ["t.cwl"], None)


def test_a_way_through_a_link_to_a_folder_leads_where_it_does_for_other_programs(folder: Path) -> None:
    (folder / "far" / "inner").mkdir(parents=True)
    (folder / "far" / "t.cwl").write_text(TOOL)
    (folder / "here" / "link").symlink_to(folder / "far" / "inner")
    assert sent("link/../t.cwl") == ("t.cwl", ["t.cwl"], None)
