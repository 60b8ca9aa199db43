"""A file that is replaced is whole at every moment, and a failure leaves nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cwl_ui_plugin import atomic


def test_the_file_is_replaced_and_nothing_is_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("first", "second, ü"):
        atomic.write_text(path, text)
    assert path.read_text(encoding="utf-8") == "second, ü"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_reader_has_the_old_file_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic.write_text(path, "old")
    seen: list[str] = []
    replace = Path.replace

    def look_and_replace(self: Path, target: Path) -> Path:
        seen.extend((path.read_text(encoding="utf-8"), self.read_text(encoding="utf-8")))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look_and_replace)
    atomic.write_text(path, "new")
    assert seen == ["old", "new"]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    atomic.write_text(path, "old")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        atomic.write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_secret_is_never_readable_for_others_and_no_link_is_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "secret", tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    path.symlink_to(victim)
    atomic.write_text(path, "secret", mode=atomic.OWNER_ONLY)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert (path.is_symlink(), victim.read_text(encoding="utf-8")) == (False, "mine")


def test_a_long_name_has_room_beside_it(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    atomic.write_bytes(path, b"x", lasting=True)
    assert path.read_bytes() == b"x"
