"""Files that wake others: what is looked at often, and what seldom."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.dags import wake_files

NAME = "somebody"


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config, "tmp_folder", lambda: tmp_path / "tmp")
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp" / ".control"


def test_a_touch_is_seen(control: Path) -> None:
    assert wake_files.touched_at(NAME) == 0
    wake_files.touch(NAME)
    seen = wake_files.touched_at(NAME)
    assert seen > 0
    os.utime(control / NAME, ns=(seen + 1000, seen + 1000))
    assert wake_files.touched_at(NAME) == seen + 1000


def test_many_looks_look_the_folder_up_once(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = []

    def look_up() -> Path:
        lookups.append(1)
        return control

    monkeypatch.setattr(config, "control_folder", look_up)
    for _ in range(100):
        wake_files.touched_at(NAME)
    assert len(lookups) == 1


def test_a_folder_that_has_moved_is_found_after_some_seconds(
    control: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(wake_files.time, "monotonic", lambda: now[0])
    wake_files.touch(NAME)
    assert wake_files.touched_at(NAME) > 0
    (tmp_path / "moved").mkdir()
    monkeypatch.setattr(config, "tmp_folder", lambda: tmp_path / "moved")
    now[0] += wake_files.FOLDER_SECONDS
    assert wake_files.touched_at(NAME) == 0
    wake_files.touch(NAME)
    assert wake_files.touched_at(NAME) > 0


def test_a_folder_that_nobody_may_trust_wakes_nobody(control: Path) -> None:
    control.mkdir()
    control.chmod(0o777)
    wake_files.touch(NAME)
    assert wake_files.touched_at(NAME) == 0
    assert not (control / NAME).exists()
