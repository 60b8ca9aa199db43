"""Files that are sent in parts: whole at the end, the sender's own, and bounded."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound, TooLarge
from cwl_ui_plugin.services.inputs import resumable

FOLDER = str(uuid.uuid4())


def parts_left(folders: Path) -> list[Path]:
    return list((folders / "inputs/uploads/.parts").iterdir())


def test_an_upload_goes_on_where_it_was(folders: Path) -> None:
    upload = resumable.start("sub/big.bam", 6, user="ada", folder=FOLDER)
    assert resumable.add(upload.id, 0, b"abc", user="ada").path is None
    assert resumable.get(upload.id, user="ada").received == 3
    with pytest.raises(Conflict, match="3 bytes"):
        resumable.add(upload.id, 0, b"abc", user="ada")
    done = resumable.add(upload.id, 3, b"def", user="ada")
    assert done.path == (folders / "inputs/uploads" / FOLDER / "sub/big.bam").resolve()
    assert done.path.read_bytes() == b"abcdef"
    assert parts_left(folders) == []
    with pytest.raises(NotFound):
        resumable.get(upload.id, user="ada")


def test_an_upload_that_is_cancelled_leaves_nothing(folders: Path) -> None:
    upload = resumable.start("x", 3, user="ada", folder=FOLDER)
    resumable.add(upload.id, 0, b"a", user="ada")
    resumable.cancel(upload.id, user="ada")
    assert parts_left(folders) == []
    for call in (resumable.get, resumable.cancel):
        with pytest.raises(NotFound):
            call(upload.id, user="ada")
    again = resumable.start("x", 1, user="ada", folder=FOLDER)
    assert resumable.add(again.id, 0, b"b", user="ada").path is not None


def test_an_upload_is_not_cancelled_while_a_part_arrives(folders: Path) -> None:
    upload = resumable.start("x", 3, user="ada")
    arriving = resumable._locked(folders / "inputs/uploads/.parts" / upload.id / "data")
    with arriving, pytest.raises(Conflict, match="arriving"):
        resumable.cancel(upload.id, user="ada")
    assert resumable.get(upload.id, user="ada").size == 3


def test_an_upload_is_its_users(folders: Path) -> None:
    upload = resumable.start("x", 3, user="ada")
    for call in (
        lambda: resumable.cancel(upload.id, user="eve"),
        lambda: resumable.get(upload.id, user="eve"),
        lambda: resumable.add(upload.id, 0, b"abc", user="eve"),
        lambda: resumable.get("../../..", user="ada"),
    ):
        with pytest.raises(NotFound):
            call()


def test_no_file_is_overwritten_and_no_more_is_taken_than_was_said(folders: Path) -> None:
    first, second = (resumable.start("x", 1, user="ada", folder=FOLDER) for _ in range(2))
    with pytest.raises(BadRequest, match="more than"):
        resumable.add(first.id, 0, b"ab", user="ada")
    kept = resumable.add(first.id, 0, b"a", user="ada").path
    with pytest.raises(Conflict):
        resumable.add(second.id, 0, b"b", user="ada")
    with pytest.raises(Conflict):
        resumable.start("x", 1, user="ada", folder=FOLDER)
    assert kept is not None
    assert kept.read_bytes() == b"a"


@pytest.mark.parametrize("name", ["", "../x", "/x", "a\0b"])
def test_a_name_that_leads_out_is_refused(folders: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        resumable.start(name, 1, user="ada")


def test_uploads_are_bounded_and_forgotten_ones_removed(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "10")
    monkeypatch.setattr(resumable, "MAX_WAITING", 1)
    with pytest.raises(TooLarge, match="max_input_size"):
        resumable.start("x", 11, user="ada")
    old = resumable.start("x", 3, user="ada")
    with pytest.raises(TooLarge, match="not ended"):
        resumable.start("y", 3, user="ada")
    resumable.start("y", 3, user="bob")
    os.utime(folders / "inputs/uploads/.parts" / old.id / "data", (0, 0))
    resumable.start("y", 3, user="ada")
    assert len(parts_left(folders)) == 2
