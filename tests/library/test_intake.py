"""Uploads are hostile: nothing gets out of its folder, nothing grows without bound."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from cwl_ui_plugin.library.errors import BadUpload, UploadTooLarge
from cwl_ui_plugin.library.intake import Limits, UploadedFile, find_main, propose_dag_id, unpack

LIMITS = Limits(upload_bytes=10_000, unpacked_bytes=20_000, unpacked_files=5)
TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\n"


def file(name: str, content: str | bytes) -> UploadedFile:
    return UploadedFile(name, io.BytesIO(content.encode() if isinstance(content, str) else content))


def packed(*members: tuple[str, str], modes: dict[str, int] | None = None) -> UploadedFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return file("upload.zip", buffer.getvalue())


def test_one_file_is_its_own_main(tmp_path: Path) -> None:
    names = unpack([file("wc.cwl", TOOL)], tmp_path / "u", LIMITS)
    assert names == ["wc.cwl"]
    assert find_main(tmp_path / "u", names) == "wc.cwl"


def test_files_keep_their_folders(tmp_path: Path) -> None:
    names = unpack(
        [file("wf.cwl", TOOL), file("tools/a.cwl", TOOL), file("run.sh", "#!/bin/sh")], tmp_path / "u", LIMITS
    )
    assert names == ["run.sh", "tools/a.cwl", "wf.cwl"]
    assert find_main(tmp_path / "u", names) == "wf.cwl"


def test_a_zip_is_unpacked_and_keeps_what_may_be_executed(tmp_path: Path) -> None:
    upload = packed(
        ("p/main.cwl", TOOL), ("p/other.cwl", TOOL), ("p/x.sh", "true"), modes={"p/x.sh": stat.S_IFREG | 0o755}
    )
    names = unpack([upload], tmp_path / "u", LIMITS)
    assert names == ["p/main.cwl", "p/other.cwl", "p/x.sh"]
    assert find_main(tmp_path / "u", names) == "p/main.cwl"
    assert (tmp_path / "u/p/x.sh").stat().st_mode & stat.S_IXUSR
    assert sorted(path.name for path in tmp_path.iterdir()) == ["u"]


def test_the_main_document_can_be_chosen(tmp_path: Path) -> None:
    names = unpack([file("a.cwl", TOOL), file("b.cwl", TOOL)], tmp_path / "u", LIMITS)
    assert find_main(tmp_path / "u", names, "b.cwl#tool") == "b.cwl#tool"
    with pytest.raises(BadUpload, match=r"no file 'c\.cwl'; it has a\.cwl, b\.cwl"):
        find_main(tmp_path / "u", names, "c.cwl")
    with pytest.raises(BadUpload, match="Which document is the main one"):
        find_main(tmp_path / "u", names)


def test_an_upload_without_a_document_says_so(tmp_path: Path) -> None:
    names = unpack([file("a.txt", "x"), file("b.txt", "y")], tmp_path / "u", LIMITS)
    with pytest.raises(BadUpload, match="No CWL document"):
        find_main(tmp_path / "u", names)


@pytest.mark.parametrize("name", ["../x.cwl", "/etc/x.cwl", "a/../../x.cwl", "", "a\0b"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadUpload, match="leads out"):
        unpack([file(name, TOOL)], tmp_path / "u", LIMITS)


def test_a_zip_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUpload, match="leads out"):
        unpack([packed(("main.cwl", TOOL), ("../../evil.cwl", TOOL))], tmp_path / "deep" / "u", LIMITS)
    assert not list(tmp_path.rglob("evil.cwl"))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    upload = packed(("main.cwl", TOOL), ("key", "/etc/passwd"), modes={"key": stat.S_IFLNK | 0o777})
    with pytest.raises(BadUpload, match="link or a special file"):
        unpack([upload], tmp_path / "u", LIMITS)


def test_sizes_and_numbers_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(UploadTooLarge, match="larger than 10 kB"):
        unpack([file("a.cwl", "x" * 6_000), file("b.cwl", "x" * 6_000)], tmp_path / "a", LIMITS)
    with pytest.raises(UploadTooLarge, match="unpacks to more than 20 kB"):
        unpack([packed(("a.cwl", "x" * 1_000_000))], tmp_path / "b", LIMITS)
    with pytest.raises(UploadTooLarge, match="has 6 files; at most 5"):
        unpack([packed(*((f"{n}.cwl", TOOL) for n in range(6)))], tmp_path / "c", LIMITS)


def test_a_zip_of_a_million_files_is_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = b"PK\x01\x02" + bytes(24) + (7).to_bytes(2, "little") + bytes(16)
    lines = b"".join(named + b"%07d" % number for number in range(1_000_000))
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff" * 2 + len(lines).to_bytes(4, "little") + bytes(6)
    made = []
    monkeypatch.setattr(zipfile.ZipInfo, "_decodeExtra", lambda self, *_arguments: made.append(self))
    limits = Limits(upload_bytes=100_000_000, unpacked_bytes=20_000, unpacked_files=5)
    with pytest.raises(UploadTooLarge, match="far more than the 5 files that are allowed"):
        unpack([file("upload.zip", lines + end)], tmp_path / "u", limits)
    assert not made
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_broken_zip_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadUpload, match="can't be unpacked"):
        unpack([file("a.zip", b"PK\x03\x04 and then nonsense")], tmp_path / "u", LIMITS)
    with pytest.raises(BadUpload, match="zip is empty"):
        unpack([packed()], tmp_path / "v", LIMITS)


def test_a_zip_with_a_name_that_is_no_utf_8_says_so(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("é.cwl", TOOL)
    content = buffer.getvalue().replace("é".encode(), b"\xff\xff")
    with pytest.raises(BadUpload, match="can't be unpacked"):
        unpack([file("a.zip", content)], tmp_path / "u", LIMITS)


@pytest.mark.parametrize(("method", "header"), [(zipfile.ZIP_DEFLATED, 0), (zipfile.ZIP_LZMA, 9)])
def test_a_zip_whose_content_is_damaged_says_so(tmp_path: Path, method: int, header: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.cwl", TOOL * 20)
    content = bytearray(buffer.getvalue())
    start = len("a.cwl") + 30  # of the local header
    content[start + header : start + header + 11] = b"\xff" * 11
    with pytest.raises(BadUpload, match="can't be unpacked"):
        unpack([file("a.zip", bytes(content))], tmp_path / "u", LIMITS)


def test_no_file_at_all_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadUpload, match="No file was sent"):
        unpack([], tmp_path / "u", LIMITS)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUpload, match=r"both want to be 'a\.cwl'"):
        unpack([file("a.cwl", TOOL), file("a.cwl", TOOL)], tmp_path / "u", LIMITS)


@pytest.mark.parametrize(
    ("filename", "main", "expected"),
    [
        ("bwa-mem.cwl", "bwa-mem.cwl", "bwa-mem"),
        ("my workflow (1).cwl", "my workflow (1).cwl", "my-workflow-1"),
        ("pipeline.zip", "p/main.cwl", "pipeline"),
        ("packed.cwl", "packed.cwl#main", "packed"),
        ("packed.cwl", "packed.cwl#sort", "packed-sort"),
        ("...", "...", "workflow"),
    ],
)
def test_the_proposed_name_is_a_dag_id(filename: str, main: str, expected: str) -> None:
    assert propose_dag_id(filename, main) == expected
