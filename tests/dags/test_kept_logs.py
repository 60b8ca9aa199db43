"""What commands have printed is kept when a run's intermediate files are removed, for a while and not without end."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.swapping import swap_when_opened

from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry

TASK = TaskTry("kept", "run", "step", 3, 2)


@pytest.fixture
def printed(folders: Path) -> Path:
    """The folder of a try with logs and other files."""
    TASK.folder.mkdir(parents=True)
    (TASK.folder / "out_1").mkdir()
    (TASK.folder / "out_1/stdout.log").write_text("an output")
    (TASK.folder / "stdout.log").write_text("0123456789")
    (TASK.folder / "stderr.log").touch()
    (TASK.folder / "usage.txt").write_text("1 2 3\n")
    (TASK.folder / "secrets.json").write_text("secret")
    return TASK.folder


def kept() -> dict[str, str]:
    folder = run_folder.kept_logs("kept", "run")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_only_logs_are_kept_and_none_that_is_empty(printed: Path) -> None:
    run_folder.keep_logs("kept", "run")
    run_folder.remove_run_tmp("kept", "run")
    assert kept() == {"step/3/2/stdout.log": "0123456789", "step/3/2/usage.txt": "1 2 3\n"}


def test_a_link_is_not_kept_and_of_a_long_log_the_end(
    printed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (printed / "stderr.log").unlink()
    (printed / "stderr.log").symlink_to(tmp_path / "secret.txt")
    monkeypatch.setattr(run_folder, "MAX_KEPT_LOG", 6)
    run_folder.keep_logs("kept", "run")
    assert kept()["step/3/2/stdout.log"] == "(the first 4 bytes were not kept)\n456789"
    assert "step/3/2/stderr.log" not in kept()


def test_logs_of_another_run_are_neither_kept_nor_taken_away(printed: Path) -> None:
    other = TaskTry("other", "run", "step", 0, 1).folder
    other.mkdir(parents=True)
    (other / "stdout.log").write_text("secret")
    (printed.parent / "7").symlink_to(other)
    (printed.parents[1] / "5").symlink_to(other.parent)
    run_folder.keep_logs("kept", "run")
    assert "secret" not in kept().values()
    assert (other / "stdout.log").read_text() == "secret"


def test_a_log_that_becomes_a_link_is_not_copied(
    printed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "MAX_KEPT_LOG", 6)
    (tmp_path / "secret.txt").write_text("secret of another")
    swapped = swap_when_opened(monkeypatch, printed / "stdout.log", tmp_path / "secret.txt")
    run_folder.keep_logs("kept", "run")
    assert swapped
    assert set(kept()) == {"step/3/2/usage.txt"}


@pytest.mark.parametrize("what", ["run", "dag"])
def test_a_tool_can_not_have_the_server_remove_what_it_likes(printed: Path, tmp_path: Path, what: str) -> None:
    """The API server may be another user, who may remove more."""
    precious = tmp_path / "precious/run/step/3/2/stdout.log"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    place = run_folder.run_tmp("kept", "run")
    if what == "run":
        place.rename(place.with_name("moved"))
        place.symlink_to(tmp_path / "precious/run")
    else:
        place.parent.rename(tmp_path / "moved")
        place.parent.symlink_to(tmp_path / "precious")
    run_folder.keep_logs("kept", "run")
    run_folder.remove_run_tmp("kept", "run")
    assert precious.read_text() == "precious"
    assert kept() == {}


@pytest.mark.parametrize("what", [".logs", ".logs/kept", ".logs/kept/run"])
def test_logs_are_not_kept_behind_a_link(printed: Path, folders: Path, what: str) -> None:
    elsewhere = folders / "precious"
    precious = elsewhere / Path("kept/run/old.txt").relative_to(Path(what).relative_to(".logs"))
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    link = folders / "tmp" / what
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    run_folder.keep_logs("kept", "run")
    assert [path for path in elsewhere.rglob("*") if path.is_file()] == [precious]
