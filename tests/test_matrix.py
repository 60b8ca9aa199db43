"""The table of tested versions has what has run, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("matrix_tool", ROOT / "tools" / "matrix.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    page = tmp_path / "page.md"
    page.write_text("Before\n\n<!-- matrix -->\n<!-- end:matrix -->\n\nAfter\n", encoding="utf-8")
    monkeypatch.setattr(module, "PAGE", page)
    return module


def result(matrix: ModuleType, name: str, *, airflow: str = "3.2.0", passed: bool = True) -> object:
    cell = next(cell for cell in matrix.cells() if cell.name == name)
    versions = (airflow, *["1.0"] * (len(matrix.SHOWN) - 1))
    return matrix.Result(cell, versions, "9 passed (make unit)", "passed", passed)


def recorded(matrix: ModuleType) -> dict[str, str]:
    return {row[0]: row[1] for row in matrix.rows_of(matrix.PAGE.read_text(encoding="utf-8"))}


def test_every_python_has_the_lowest_and_the_newest_versions(matrix: ModuleType) -> None:
    names = [cell.name for cell in matrix.cells()]
    assert names[:2] == ["3.10-lowest", "3.10-newest"]
    assert names[-2:] == ["3.13-newest", "3.13-prerelease"]


def test_what_has_passed_is_written_and_what_passed_before_stays(matrix: ModuleType) -> None:
    matrix.record([result(matrix, "3.13-newest", airflow="3.3.1")])
    matrix.record([result(matrix, "3.10-lowest"), result(matrix, "3.13-newest", airflow="3.3.2")])
    assert list(recorded(matrix).items()) == [("3.10-lowest", "3.2.0"), ("3.13-newest", "3.3.2")]
    assert matrix.PAGE.read_text(encoding="utf-8").startswith("Before\n\n<!-- matrix -->\n| Cell")


def test_what_has_failed_is_taken_out(matrix: ModuleType) -> None:
    matrix.record([result(matrix, "3.13-newest"), result(matrix, "3.10-lowest")])
    matrix.record([result(matrix, "3.13-newest", passed=False)])
    assert list(recorded(matrix)) == ["3.10-lowest"]


def test_a_cell_that_is_not_there_is_refused(matrix: ModuleType) -> None:
    with pytest.raises(SystemExit, match="No such cell"):
        matrix.chosen(["2.7-lowest"])


def test_without_a_python_the_cell_is_left_out_with_the_reason(
    matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\necho 'No interpreter found for Python 3.10' >&2\nexit 2\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(matrix.shutil, "which", lambda *_args, **_options: str(program))
    with pytest.raises(matrix.LeftOutError, match="No interpreter found"):
        matrix.install(matrix.cells()[0])


@pytest.mark.parametrize(("name", "is_next"), [("3.13-newest", False), ("3.13-prerelease", True)])
def test_only_the_cell_of_the_next_airflow_takes_what_setup_cfg_does_not_allow_yet(
    matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_next: bool
) -> None:
    called: list[tuple[str, ...]] = []

    def uv(*arguments: str) -> None:
        called.append(arguments)
        (tmp_path / f"{name}.txt").write_text("apache-airflow==3.4.0b2\n", encoding="utf-8")

    monkeypatch.setattr(matrix, "uv", uv)
    monkeypatch.setattr(matrix, "FOLDER", tmp_path)
    matrix.install(next(cell for cell in matrix.cells() if cell.name == name))
    _venv, *others = called
    assert len(others) == 2
    for arguments in others:
        assert ("--prerelease-package=apache-airflow=allow" in arguments) is is_next
        assert (str(tmp_path / "overrides.txt") in arguments) is is_next


def test_without_a_next_airflow_its_cell_is_left_out(
    matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = matrix.cells()[-1]
    monkeypatch.setattr(matrix, "FOLDER", tmp_path)
    monkeypatch.setattr(
        matrix, "uv", lambda *_arguments: (tmp_path / f"{cell.name}.txt").write_text("apache-airflow==3.3.2\n")
    )
    with pytest.raises(matrix.LeftOutError, match="no version of Airflow is published"):
        matrix.install(cell)
