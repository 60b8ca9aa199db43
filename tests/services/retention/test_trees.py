"""Folders are measured as du does, and removed, whatever is in them; what is elsewhere is never touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.swapping import elsewhere, swap_when_opened

from cwl_ui_plugin.services.retention import trees
from cwl_ui_plugin.services.retention.trees import Measurer, Size


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a file of two names, a link to a large file elsewhere, a pipe, and folders."""
    place = tmp_path / "tree"
    (place / "a/b").mkdir(parents=True)
    (place / "one").write_bytes(b"x" * 10_000)
    (place / "a/two").hardlink_to(place / "one")
    (tmp_path / "large").write_bytes(b"x" * 1_000_000)
    (place / "link").symlink_to(tmp_path / "large")
    (place / "a/folder").symlink_to(tmp_path)
    os.mkfifo(place / "a/b/pipe")
    (place / "a/b/three").write_bytes(b"y" * 5000)
    return place


def test_it_is_what_du_says(tree: Path) -> None:
    size = Measurer(60).measure([tree])
    folders = sum(path.lstat().st_blocks * 512 for path in (tree, tree / "a", tree / "a/b"))
    du = int(subprocess.run(["du", "-s", "--block-size=1", tree], capture_output=True, check=True).stdout.split()[0])
    assert size.bytes == du - folders
    assert size.is_whole
    assert size.unread == 0


def test_a_file_with_two_names_counts_once_also_in_two_places(tree: Path) -> None:
    both = Measurer(60).measure([tree / "one", tree / "a/two", tree / "one"])
    assert both == Size((tree / "one").stat().st_blocks * 512, 1)
    assert Measurer(60).measure([tree / "gone", tree / "one" / "x"]) == Size(unread=1)


def test_what_vanishes_meanwhile_takes_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = Measurer(60).measure([tree]), os.stat
    opened = os.open

    def open_later(path: Any, *arguments: Any, **more: Any) -> int:
        if path == "b":
            (tree / "a/b/three").unlink(missing_ok=True)
            (tree / "a/b/pipe").unlink(missing_ok=True)
            (tree / "a/b").rmdir()
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", open_later)
    after = Measurer(60).measure([tree])
    assert after.files == before.files - 2
    assert after.unread == 0
    assert real(tree)


def test_what_can_not_be_read_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: Any, *arguments: Any, **more: Any) -> int:
        if path == "b":
            raise PermissionError(13, "no", path)
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)
    size = Measurer(60).measure([tree])
    assert size.unread == 1
    assert size.bytes > 0


def test_measuring_ends_when_its_time_is_over(tree: Path) -> None:
    size = Measurer(0).measure([tree])
    assert not size.is_whole


def test_all_is_removed_and_nothing_elsewhere(tree: Path, tmp_path: Path) -> None:
    (tree / "a/b").chmod(0)
    assert trees.remove(tree)
    assert not tree.exists()
    assert (tmp_path / "large").stat().st_size == 1_000_000
    assert trees.remove(tree)


def test_a_closed_folder_is_opened_by_another_user_than_root(tree: Path) -> None:
    (tree / "a/b").chmod(0)
    for path in (tree, *tree.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    tree.parent.chmod(0o777)
    for folder in tree.parents:
        if folder.owner() == "root" and folder != Path("/") and not folder.stat().st_mode & 1:
            folder.chmod(folder.stat().st_mode | 0o11)
    child = os.fork()
    if not child:
        os.setgid(65534)
        os.setuid(65534)
        os._exit(0 if trees.remove(tree) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not tree.exists()


def test_a_folder_that_becomes_a_link_is_not_followed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = elsewhere(tmp_path / "other", "three", "secret")
    swapped = swap_when_opened(monkeypatch, tree / "a/b", other)
    trees.remove(tree)
    assert swapped
    assert sorted(path.name for path in other.iterdir()) == ["secret", "three"]


def test_what_can_not_be_removed_stays_and_the_rest_goes(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = os.unlink

    def refuse(path: Any, **more: Any) -> None:
        if path == "three":
            raise OSError(5, "Input/output error", path)
        unlink(path, **more)

    monkeypatch.setattr(os, "unlink", refuse)
    assert not trees.remove(tree)
    assert [path.name for path in tree.rglob("*") if path.is_file()] == ["three"]
