"""Input files that are sent lie below the inputs folder, whole or not at all."""

from __future__ import annotations

import io
import uuid
from pathlib import Path

import pytest

from cwl_ui_plugin.last_use import LOCK
from cwl_ui_plugin.services.errors import BadRequest, Conflict, TooLarge
from cwl_ui_plugin.services.inputs import owners, single
from cwl_ui_plugin.services.inputs.access import shared_only


class Broken(io.BytesIO):
    """A client that goes away after a part of its file."""

    def read(self, size: int | None = -1) -> bytes:
        if part := super().read(4):
            return part
        raise ConnectionError("gone")


def test_files_of_one_folder_lie_together(folders: Path) -> None:
    folder = str(uuid.uuid4())
    first = single.save_input("reads.bam", io.BytesIO(b"abc"), user="ada", folder=folder)
    second = single.save_input("sub/reads.bam.bai", io.BytesIO(b"i"), user="ada", folder=folder)
    assert first.read_bytes() == b"abc"
    assert second == first.parent / "sub/reads.bam.bai"
    assert first.is_relative_to(folders / "inputs/uploads")
    assert single.save_input("reads.bam", io.BytesIO(b"x"), user="ada").parent != first.parent


def test_two_files_of_a_new_folder_may_come_at_once(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one has seen no owner when the first one claims the folder, and makes it."""
    folder, owner_of = str(uuid.uuid4()), owners.owner_of
    first: list[Path] = []

    def overtaken(name: str) -> str | None:
        found = owner_of(name)
        monkeypatch.setattr(owners, "owner_of", owner_of)
        first.append(single.save_input("r1.fq", io.BytesIO(b"1"), user="ada", folder=folder))
        return found

    monkeypatch.setattr(owners, "owner_of", overtaken)
    second = single.save_input("r2.fq", io.BytesIO(b"2"), user="ada", folder=folder)
    assert second.parent == first[0].parent
    with pytest.raises(Conflict, match="not yours"):
        single.save_input("r3.fq", io.BytesIO(b"3"), user="eve", folder=folder)


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a\0b", "x" * 300])
def test_a_name_that_leads_out_is_refused(folders: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        single.save_input(name, io.BytesIO(b"x"), user="ada")


@pytest.mark.parametrize("folder", ["..", "a", "../../workflows", "8f88fb7b-f607-4ccb-88a0-9ced83860e28/.."])
def test_a_folder_is_a_uuid(folders: Path, folder: str) -> None:
    with pytest.raises(BadRequest, match="UUID"):
        single.save_input("x", io.BytesIO(b"x"), user="ada", folder=folder)


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_no_file_is_overwritten(folders: Path, name: str) -> None:
    folder = str(uuid.uuid4())
    kept = single.save_input("a", io.BytesIO(b"first"), user="ada", folder=folder)
    with pytest.raises(Conflict):
        single.save_input(name, io.BytesIO(b"second"), user="ada", folder=folder)
    assert kept.read_bytes() == b"first"


def test_nothing_stays_of_what_is_too_large_or_broken_off(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "10")
    with pytest.raises(TooLarge, match="max_input_size"):
        single.save_input("x", io.BytesIO(b"x" * 11), user="ada")
    with pytest.raises(Exception, match="gone"):
        single.save_input("y", Broken(b"12345"), user="ada")
    assert [path for path in (folders / "inputs").rglob("*") if path.is_file() and path.name != LOCK] == []


def test_paths_are_visible_inside_the_allowed_folders(folders: Path) -> None:
    inside = folders / "inputs/a b.txt"
    inside.parent.mkdir()
    inside.write_text("x")
    outside = folders / "secret.txt"
    outside.write_text("x")
    link = folders / "inputs/link.txt"
    link.symlink_to(outside)
    asked = [str(inside), inside.as_uri(), "a b.txt", str(outside), str(link), "gone", "http://x/y", "../secret.txt"]
    asked += ["http://[x", "//[x"]  # no addresses at all
    seen = single.visible_inputs(asked, shared_only())
    assert [path for path in asked if seen[path]] == asked[:3]
    for no_text in ("a\0b", "\ud800"):
        with pytest.raises(BadRequest, match="null character or half"):
            single.visible_inputs([no_text], shared_only())
