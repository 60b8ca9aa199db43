"""Files that are sent in parts: whole at the end, the sender's own, and bounded."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from cwl_ui_plugin.runs import input_parts
from cwl_ui_plugin.runs.errors import BadRequest, Conflict, NotFound, TooLarge

FOLDER = str(uuid.uuid4())


def parts_left(folders: Path) -> list[Path]:
    return list((folders / "inputs/uploads/.parts").iterdir())


def test_an_upload_goes_on_where_it_was(folders: Path) -> None:
    upload = input_parts.start("sub/big.bam", 6, user="ada", folder=FOLDER)
    assert input_parts.add(upload.id, 0, b"abc", user="ada").path is None
    assert input_parts.get(upload.id, user="ada").received == 3
    with pytest.raises(Conflict, match="3 bytes"):
        input_parts.add(upload.id, 0, b"abc", user="ada")
    done = input_parts.add(upload.id, 3, b"def", user="ada")
    assert done.path == (folders / "inputs/uploads" / FOLDER / "sub/big.bam").resolve()
    assert done.path.read_bytes() == b"abcdef"
    assert parts_left(folders) == []
    with pytest.raises(NotFound):
        input_parts.get(upload.id, user="ada")


def test_an_upload_is_its_users(folders: Path) -> None:
    upload = input_parts.start("x", 3, user="ada")
    for call in (
        lambda: input_parts.get(upload.id, user="eve"),
        lambda: input_parts.add(upload.id, 0, b"abc", user="eve"),
        lambda: input_parts.get("../../..", user="ada"),
    ):
        with pytest.raises(NotFound):
            call()


def test_no_file_is_overwritten_and_no_more_is_taken_than_was_said(folders: Path) -> None:
    first, second = (input_parts.start("x", 1, user="ada", folder=FOLDER) for _ in range(2))
    with pytest.raises(BadRequest, match="more than"):
        input_parts.add(first.id, 0, b"ab", user="ada")
    kept = input_parts.add(first.id, 0, b"a", user="ada").path
    with pytest.raises(Conflict):
        input_parts.add(second.id, 0, b"b", user="ada")
    with pytest.raises(Conflict):
        input_parts.start("x", 1, user="ada", folder=FOLDER)
    assert kept is not None
    assert kept.read_bytes() == b"a"


@pytest.mark.parametrize("name", ["", "../x", "/x", "a\0b"])
def test_a_name_that_leads_out_is_refused(folders: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        input_parts.start(name, 1, user="ada")


def test_uploads_are_bounded_and_forgotten_ones_removed(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "10")
    monkeypatch.setattr(input_parts, "MOST_WAITING", 1)
    with pytest.raises(TooLarge, match="max_input_size"):
        input_parts.start("x", 11, user="ada")
    old = input_parts.start("x", 3, user="ada")
    with pytest.raises(TooLarge, match="not ended"):
        input_parts.start("y", 3, user="ada")
    input_parts.start("y", 3, user="bob")
    os.utime(folders / "inputs/uploads/.parts" / old.id / "data", (0, 0))
    input_parts.start("y", 3, user="ada")
    assert len(parts_left(folders)) == 2
