"""Outputs as a tree: opened bit by bit, with nothing that is not the run's."""

from __future__ import annotations

import io
import stat
import tracemalloc
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.stored import sized_file as as_file

from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.outputs import output_files, output_tree, zip_stream

HOSTILE = "<img src=x onerror=alert(1)>\u202egpj.html"


@pytest.fixture
def folder(workflow: str, run_id: str, folders: Path) -> Path:
    """The output folder of a run."""
    made = folders / "outputs" / workflow / run_id
    made.mkdir(parents=True)
    return made


@pytest.fixture
def deliver(workflow: str, run_id: str, airflow: Any) -> Any:
    """Let the run have an output object."""
    return lambda value: airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", value)


def test_a_long_list_comes_in_pages(workflow: str, run_id: str, folder: Path, deliver: Any) -> None:
    for number in range(250):
        (folder / f"{number}.txt").write_text("x")
    deliver({"files": [as_file(folder / f"{number}.txt") for number in range(250)], "count": 3})
    files, count = output_tree.output_nodes(workflow, run_id).items
    assert (files.kind, files.total, files.children) == ("list", 250, None)
    assert (count.kind, count.value) == ("value", 3)
    page = output_tree.output_nodes(workflow, run_id, ["files"], 200)
    assert (page.total, [node.name for node in page.items][:2], len(page.items)) == (250, ["200.txt", "201.txt"], 50)
    with pytest.raises(NotFound):
        output_tree.output_nodes(workflow, run_id, ["files", "250"])


def test_a_short_list_and_secondary_files_come_at_once(workflow: str, run_id: str, folder: Path, deliver: Any) -> None:
    (folder / "a.bam").write_text("x")
    (folder / "a.bai").write_text("x")
    deliver({"found": {"reads": [as_file(folder / "a.bam", secondaryFiles=[as_file(folder / "a.bai")])]}})
    (record,) = output_tree.output_nodes(workflow, run_id).items
    assert record.kind == "record"
    (reads,) = record.children or ()
    (file,) = reads.children or ()
    assert [child.path for child in file.children or ()] == ["a.bai"]


def test_a_folder_is_opened_and_leads_nowhere_else(
    workflow: str, run_id: str, folder: Path, folders: Path, deliver: Any
) -> None:
    (folder / "plots/deep").mkdir(parents=True)
    (folder / "plots" / HOSTILE).write_text("x")
    (folder / "private").mkdir()
    (folders / "outside").mkdir()
    (folders / "outside/secret.txt").write_text("secret")
    (folder / "plots/way-out").symlink_to(folders / "outside")
    deliver({"plots": {"class": "Directory", "location": (folder / "plots").as_uri(), "basename": "plots"}})
    nodes = {node.name: node for node in output_tree.folder_nodes(workflow, run_id, "plots").items}
    assert {name: node.kind for name, node in nodes.items()} == {
        HOSTILE: "file",
        "deep": "folder",
        "way-out": "elsewhere",
    }
    for path in ("private", "plots/way-out", "..", "plots/..", "", "/etc", "plots/missing"):
        with pytest.raises(NotFound):
            output_tree.folder_nodes(workflow, run_id, path)
    names = [name for name, _open in output_files.archive_entries(workflow, run_id, "plots")]
    assert names == [f"plots/{HOSTILE}"]
    with pytest.raises(NotFound):
        output_files.archive_entries(workflow, run_id, "private")


def test_of_a_folder_of_millions_only_the_first_are_looked_at(
    workflow: str, run_id: str, folder: Path, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "many").mkdir()
    for number in range(4):
        (folder / "many" / str(number)).write_text("x")
    deliver({"many": {"class": "Directory", "location": (folder / "many").as_uri(), "basename": "many"}})
    monkeypatch.setattr(output_tree, "MAX_FILES", 4)
    page = output_tree.folder_nodes(workflow, run_id, "many")
    assert (len(page.items), page.total, page.cut) == (4, 4, False)
    monkeypatch.setattr(output_tree, "MAX_FILES", 3)
    page = output_tree.folder_nodes(workflow, run_id, "many")
    assert (len(page.items), page.total, page.cut) == (3, 3, True)


def test_a_file_that_is_gone_or_elsewhere_is_said_to_be(
    workflow: str, run_id: str, folder: Path, folders: Path, deliver: Any
) -> None:
    (folders / "outside.txt").write_text("secret")
    gone = {"class": "File", "location": (folder / "gone.txt").as_uri(), "basename": "gone.txt"}
    deliver({"outside": as_file(folders / "outside.txt"), "gone": gone, "web": {**gone, "location": "http://x/y"}})
    assert {node.kind for node in output_tree.output_nodes(workflow, run_id).items} == {"elsewhere"}
    assert list(output_files.archive_entries(workflow, run_id)) == []


def test_a_zip_is_made_while_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"0123456789" * 300_000)
    (tmp_path / "small").write_text("x")
    place = Place(tmp_path)
    entries = [("a/big", "big"), ("gone", "gone"), ("ü\udcff", "small")]
    parts = list(zip_stream.zip_stream((name, partial(place.open, path)) for name, path in entries))
    assert max(map(len, parts)) < 400_000
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a/big", "ü?"]
        assert archive.read("a/big") == (tmp_path / "big").read_bytes()


def test_a_zip_of_too_many_files_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_stream, "MAX_FILES", 2)
    (tmp_path / "small").write_text("x")
    content = b"".join(
        zip_stream.zip_stream((str(number), lambda: (tmp_path / "small").open("rb")) for number in range(5))
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["0", "1", zip_stream.TOO_MANY]


def test_a_zip_of_many_files_keeps_no_list_of_them_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_stream, "SPOOLED_BYTES", 4096)
    (tmp_path / "small").write_text("small")

    def peak(count: int) -> int:
        tracemalloc.start()
        entries = ((f"folder/{number:060}.txt", lambda: (tmp_path / "small").open("rb")) for number in range(count))
        size = sum(map(len, zip_stream.zip_stream(entries)))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 200 * count
        return most

    peak(10)
    assert peak(6000) - peak(2000) < 200_000  # its list of files is half a megabyte longer


def test_a_zip_has_any_name_and_is_the_same_each_time(tmp_path: Path) -> None:
    contents = {"a.txt": b"a", "ü/日本.bin": bytes(range(256)) * 3000, "empty": b"", "x" * 300: b"x"}
    for number, content in enumerate(contents.values()):
        (tmp_path / str(number)).write_bytes(content)
    entries = [(name, partial((tmp_path / str(number)).open, "rb")) for number, name in enumerate(contents)]
    made = [b"".join(zip_stream.zip_stream(entries)) for _ in range(2)]
    assert made[0] == made[1]
    (tmp_path / "made.zip").write_bytes(made[0])
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == contents
        assert {info.external_attr >> 16 for info in archive.infolist()} == {stat.S_IFREG | 0o644}
