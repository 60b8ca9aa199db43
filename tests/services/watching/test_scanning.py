"""What lies in a watched folder is others' doing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cwl_ui_plugin.services.watching import scanning
from cwl_ui_plugin.services.watching.scanning import scan


def paths(folder: Path, depth: int = 0) -> list[str]:
    return [file.path for file in scan(folder, depth).files]


def test_files_with_their_sizes_and_times(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    os.utime(tmp_path / "a.txt", ns=(5, 7))
    (file,) = scan(tmp_path, 0).files
    assert (file.path, file.size, file.modified_ns) == ("a.txt", 3, 7)


def test_folders_are_looked_into_as_deep_as_patterns_name_them(tmp_path: Path) -> None:
    (tmp_path / "x/y").mkdir(parents=True)
    for name in ("0", "x/1", "x/y/2"):
        (tmp_path / name).touch()
    assert [paths(tmp_path, depth) for depth in range(3)] == [["0"], ["0", "x/1"], ["0", "x/1", "x/y/2"]]


@pytest.mark.parametrize("name", [".hidden", "a.part", "a.PART", "a.filepart", "a.tmp", "a.txt~", ".a.txt.Xy12"])
def test_names_of_unfinished_files_are_ignored(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    found = scan(tmp_path, 0)
    assert (found.files, found.refused, found.ignored) == ([], {}, 1)


def test_links_that_lead_out_pipes_and_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "own").write_text("x")
    (folder / "inner").symlink_to("own")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("..")
    (folder / "nothing").symlink_to("not-there")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    Path(os.fsdecode(bytes(folder) + b"/\xff.txt")).touch()
    found = scan(folder, 1)
    assert sorted(file.path for file in found.files) == ["inner", "own"]
    assert {name: why.split(":")[0] for name, why in found.refused.items()} == {
        "out": "It is a link to what lies outside of the folder",
        "up": "It is a link to what lies outside of the folder",
        "nothing": "It is a link to a file that is not there.",
        "loop": found.refused["loop"].split(":")[0],
        "pipe": "It is no file.",
        "\\xff.txt": "Its name is not UTF-8",
    }


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    monkeypatch.setattr(os, "access", lambda *_arguments: False)  # as root may read all
    found = scan(tmp_path, 0)
    assert (found.files, found.refused) == ([], {"a": "The server may not read it: change its rights."})


def test_a_folder_that_is_not_there_or_is_none_is_a_problem_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not there" in scan(tmp_path / "gone", 0).problem
    assert "can't be read: Not a directory" in scan(tmp_path / "file", 0).problem


def test_of_too_many_names_nothing_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_ENTRIES", 3)
    for number in range(3):
        (tmp_path / str(number)).touch()
    assert scan(tmp_path, 0).problem == ""
    (tmp_path / "3").touch()
    assert "more than 3 names" in scan(tmp_path, 0).problem


def test_ten_thousand_files_are_no_trouble(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / f"{number}.gz").touch()
    assert len(scan(tmp_path, 0).files) == 10_000
