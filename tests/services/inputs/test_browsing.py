"""Looking for input files: inside the allowed folders only, and never at what others sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.inputs import browsing
from cwl_ui_plugin.services.inputs.access import shared_only


@pytest.fixture
def tree(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("inputs/samples/deep", "inputs/uploads/other", "genomes", "outputs/theirs", "secret"):
        (folders / name).mkdir(parents=True)
    (folders / "inputs/samples/b.txt").write_text("x" * 2000)
    (folders / "inputs/uploads/other/theirs.txt").write_text("x")
    (folders / "genomes/hg38.fa").write_text("x")
    (folders / "secret/key").write_text("x")
    (folders / "inputs/out").symlink_to(folders / "secret")
    (folders / "inputs/samples/key").symlink_to(folders / "secret/key")
    (folders / "inputs/samples/uploads").symlink_to(folders / "inputs/uploads")
    (folders / "inputs/genomes").symlink_to(folders / "genomes")
    monkeypatch.setenv("AIRFLOW__CWL__INPUT_ROOTS", str(folders / "genomes"))
    return folders


def names(path: str) -> list[str]:
    return [entry.name for entry in browsing.browse(shared_only(), path).entries]


def test_the_allowed_folders_come_first(tree: Path) -> None:
    assert names("") == ["Inputs", str(tree / "genomes")]


def test_a_folder_shows_what_a_job_may_name(tree: Path) -> None:
    assert names(str(tree / "inputs")) == ["genomes", "samples"]
    found = browsing.browse(shared_only(), "samples")
    assert [(entry.path, entry.kind, entry.size_text) for entry in found.entries] == [
        ("samples/deep", "folder", ""),
        ("samples/b.txt", "file", "2.0 kB"),
    ]
    assert [entry.path for entry in found.trail] == [str(tree / "inputs"), "samples"]
    assert [entry.path for entry in browsing.browse(shared_only(), str(tree / "genomes")).entries] == [
        str(tree / "genomes/hg38.fa")
    ]


@pytest.mark.parametrize(
    "path",
    ["..", "../secret", "/etc", "out", "uploads", "samples/uploads/other", "../outputs", "gone", "a\0b", "x" * 999],
)
def test_no_other_folder_is_shown(tree: Path, path: str) -> None:
    with pytest.raises(NotFound):
        browsing.browse(shared_only(), path)


@pytest.mark.parametrize(
    ("match", "shown"),
    [
        ("*_R1.fastq.gz", ["s2_R1.fastq.gz", "s10_R1.fastq.gz"]),
        ("*.FQ s2*", ["a.fq", "s2_R1.fastq.gz", "s2_R2.fastq.gz"]),
        ("_r2.", ["s2_R2.fastq.gz"]),
        ("[a]*", ["a.fq"]),
        ("*[*", ["[odd].txt"]),
        ("(a+)+$", []),
        ("", ["[odd].txt", "a.fq", "s2_R1.fastq.gz", "s2_R2.fastq.gz", "s10_R1.fastq.gz"]),
    ],
)
def test_files_are_found_by_patterns_of_their_names(folders: Path, match: str, shown: list[str]) -> None:
    (folders / "inputs/run/inner").mkdir(parents=True)
    for name in ("s10_R1.fastq.gz", "s2_R1.fastq.gz", "s2_R2.fastq.gz", "a.fq", "[odd].txt"):
        (folders / "inputs/run" / name).touch()
    found = browsing.browse(shared_only(), "run", match)
    assert [entry.name for entry in found.entries] == ["inner", *shown]
    assert found.hidden == 5 - len(shown)


@pytest.mark.parametrize("match", ["*a" * 9, "x " * 41, "x" * 501])
def test_patterns_have_a_bound(tree: Path, match: str) -> None:
    with pytest.raises(BadRequest, match="patterns"):
        browsing.browse(shared_only(), "samples", match)


def test_names_that_take_long_to_match_do_not(folders: Path) -> None:
    (folders / "inputs").mkdir()
    (folders / "inputs" / ("a" * 250)).touch()
    assert browsing.browse(shared_only(), str(folders / "inputs"), "*a" * 8 + "b").hidden == 1


def test_a_long_folder_is_cut(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "MAX_ENTRIES", 1)
    found = browsing.browse(shared_only(), "samples")
    assert (len(found.entries), found.truncated) == (1, True)


def test_of_a_folder_of_millions_only_the_first_are_looked_at(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "MAX_SCANNED", 2)
    looked_at: list[Path] = []
    entry = browsing._entry
    monkeypatch.setattr(browsing, "_entry", lambda path, roots: looked_at.append(path) or entry(path, roots))
    assert browsing.browse(shared_only(), "samples").truncated
    assert len(looked_at) == 2
    assert not browsing.browse(shared_only(), str(tree / "genomes")).truncated
