"""The plugin's folders are made for their user alone; what somebody made for others keeps its rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwl_ui_plugin import config

NAMES = ("workflows", "inputs", "outputs", "tmp")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders that are not there yet, and a process that lets everybody read and write what it makes."""
    for name in NAMES:
        monkeypatch.setattr(config, f"{name}_folder", lambda name=name: tmp_path / "srv" / "cwl" / name)
    before = os.umask(0)
    yield tmp_path / "srv" / "cwl"
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_what_is_made_is_for_this_user_alone(site: Path) -> None:
    config.make_folders()
    assert {mode(path) for path in (site.parent, site, *(site / name for name in NAMES))} == {0o700}


def test_what_is_there_keeps_its_rights(site: Path) -> None:
    site.mkdir(parents=True)
    (site / "outputs").mkdir()
    (site / "outputs").chmod(0o2770)
    config.make_folders()
    assert mode(site / "outputs") == 0o2770
    assert mode(site) == 0o777
    assert mode(site / "inputs") == 0o700


def test_the_control_folder_opens_nothing_above_it(site: Path) -> None:
    config.control_folder()
    assert (mode(site), mode(site / "tmp"), mode(site / "tmp" / ".control")) == (0o700, 0o700, 0o700)


def test_a_folder_that_can_not_be_made_is_left_to_whoever_needs_it(site: Path) -> None:
    site.parent.mkdir()
    site.write_text("a file")
    config.make_folders()
