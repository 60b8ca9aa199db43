"""The folder in which processes leave each other word: made for its user alone, and nothing else is taken for it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cwl_ui_plugin import config


@pytest.fixture
def tmp_folder(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that [cwl] tmp_folder names; not made yet."""
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def test_it_is_made_for_its_user_alone(tmp_folder: Path) -> None:
    before = os.umask(0)
    try:
        folder = config.control_folder()
    finally:
        os.umask(before)
    assert folder == tmp_folder / ".control"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert config.control_folder() == folder


def test_a_folder_that_an_administrator_made_for_a_group_is_kept(tmp_folder: Path) -> None:
    (tmp_folder / ".control").mkdir(parents=True)
    (tmp_folder / ".control").chmod(0o2770)
    assert stat.S_IMODE(config.control_folder().stat().st_mode) == 0o2770


@pytest.mark.parametrize("what", ["link", "file", "writable by all", "of another user", "below a file"])
def test_anything_else_is_refused(tmp_folder: Path, tmp_path: Path, what: str) -> None:
    place = tmp_folder / ".control"
    if what == "below a file":
        tmp_folder.write_text("")
    else:
        tmp_folder.mkdir()
    if what == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    elif what == "file":
        place.write_text("")
    elif what == "writable by all":
        place.mkdir()
        place.chmod(0o777)
    elif what == "of another user":
        if os.geteuid():
            pytest.skip("only root can give a folder to another user")
        place.mkdir(mode=0o700)
        os.chown(place, 4711, 4711)
    with pytest.raises(config.ConfigError, match=r"\.control"):
        config.control_folder()
