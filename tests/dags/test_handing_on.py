"""What tasks hand on: an XCom, or a file of the run that the XCom names and that is believed for what it is."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cwl_ui_plugin
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.value_files import LongList, whole
from cwl_ui_plugin.dags import handing_on
from cwl_ui_plugin.dags.errors import LostValueError
from cwl_ui_plugin.dags.folders import kept_values
from cwl_ui_plugin.dags.names import STATISTICS_KEY
from cwl_ui_plugin.dags.operators.steps import StepOperator
from cwl_ui_plugin.dags.staging.interface import SHARED

PACKAGE = Path(cwl_ui_plugin.__file__).parent
RUN, OTHER = ("dag", "scheduled__2026/x"), ("dag", "other")
FILES = [{"class": "File", "location": f"file:///made/{number}.txt", "size": 2**70} for number in range(500)]
VALUES = {"#main/files": [FILES, "success"], STATISTICS_KEY: {"command": ["x"], "seconds": 1.0}}


@pytest.fixture(autouse=True)
def tmp_folder(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is small here."""
    monkeypatch.setattr(handing_on, "LARGE", 1000)
    monkeypatch.setattr(handing_on, "LOADED", 1000)


def handed_on(values: object, run: handing_on.Run = RUN) -> dict[str, Any]:
    """Return an XCom as it comes from Airflow."""
    found: dict[str, Any] = json.loads(json.dumps(handing_on.as_xcom(run, values, SHARED)))
    return found


def kept(tmp_folder: Path) -> list[Path]:
    return [path for path in (tmp_folder / ".values").rglob("*") if path.is_file()]


def test_a_value_that_is_not_large_is_an_xcom(tmp_folder: Path) -> None:
    xcom = handed_on(VALUES)
    assert xcom["#main/files"][0][7]["location"] == "file:///made/7.txt"
    assert handing_on.values_of(RUN, xcom) == {"#main/files": [FILES, "success"]}
    assert not kept(tmp_folder)


def test_a_large_one_is_a_file_of_the_run(tmp_folder: Path, small: None) -> None:
    xcom = handed_on(VALUES)
    assert set(xcom) == {handing_on.KEPT, STATISTICS_KEY}
    assert xcom[STATISTICS_KEY] == VALUES[STATISTICS_KEY], "pages ask the database for that alone"
    values = handing_on.values_of(RUN, xcom)
    assert isinstance(values["#main/files"][0], LongList)
    assert handing_on.in_memory(values) == {"#main/files": [FILES, "success"]}
    (path,) = kept(tmp_folder)
    assert path.name == xcom[handing_on.KEPT]["sha256"]
    assert dict(kept_values.runs_with_values()) == {RUN: path.parent}
    assert handed_on(VALUES) == xcom
    assert kept(tmp_folder) == [path]


def test_one_that_is_not_very_large_is_read_as_a_whole(tmp_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing_on, "LARGE", 1000)
    assert handing_on.values_of(RUN, handed_on(VALUES)) == {"#main/files": [FILES, "success"]}


def test_what_was_written_to_since_is_lost(tmp_folder: Path, small: None) -> None:
    xcom = handed_on(VALUES)
    read = handing_on.values_of(RUN, xcom)
    (path,) = kept(tmp_folder)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"made", b"etc!"))
    values = handing_on.values_of(RUN, xcom)
    for found in (values, read):
        with pytest.raises(StepError, match=r"can't be read any more.*Clear that task"):
            handing_on.in_memory(found)
    for wrong in (b"", content[:-1], content + b" "):
        path.write_bytes(wrong)
        with pytest.raises(LostValueError):
            handing_on.values_of(RUN, xcom)
        assert handing_on.shown_values(RUN, xcom) is None
    path.unlink()
    with pytest.raises(LostValueError):
        handing_on.values_of(RUN, xcom)


def test_elements_of_a_list_that_was_written_to_since_fail_their_task(tmp_folder: Path, small: None) -> None:
    read = handing_on.values_of(RUN, handed_on(VALUES))
    name = "#main/files"
    scattered: Any = SimpleNamespace(
        pulled=lambda _context: read,
        step=SimpleNamespace(sources=(name,), by_element=(name,), scatter=(name,)),
        _check_approved=lambda _context: None,
    )
    found = StepOperator.source_values(scattered, {}, range(2))
    assert found[name][0] == [*FILES[:2], *[None] * 498]
    (path,) = kept(tmp_folder)
    path.write_bytes(path.read_bytes().replace(b"made/0", b"etc!/0"))
    read = {name: [read[name][0].mapped(lambda item: item), "success"]}
    with pytest.raises(StepError, match=r"can't be read any more.*Clear that task"):
        StepOperator.source_values(scattered, {}, range(2))


def test_an_xcom_reads_nothing_that_is_not_of_its_run(tmp_folder: Path, small: None, tmp_path: Path) -> None:
    xcom = handed_on(VALUES, OTHER)
    with pytest.raises(LostValueError):
        handing_on.values_of(RUN, xcom)
    (path,) = kept(tmp_folder)
    own = kept_values.place_of(*RUN).path
    own.mkdir(parents=True)
    (own / path.name).symlink_to(path)
    with pytest.raises(LostValueError):
        handing_on.values_of(RUN, xcom)
    (own / path.name).unlink()
    own.rmdir()
    own.symlink_to(path.parent)
    with pytest.raises(LostValueError):
        handing_on.values_of(RUN, xcom)
    with pytest.raises(OSError, match=r"."):
        handed_on(VALUES)
    assert RUN not in dict(kept_values.runs_with_values()), "nor is anything removed through a link"
    path_like = {handing_on.KEPT: {**xcom[handing_on.KEPT], "sha256": f"../{path.parent.name}/{path.name}"}}
    assert handing_on.values_of(RUN, path_like) == path_like, "it is a value as any other"


def test_nothing_is_left_of_a_value_that_could_not_be_kept(
    tmp_folder: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_HANDED_ON_SIZE", "20000")
    with pytest.raises(StepError, match=r"name 500 files, .* 0.0 MB which \[cwl\] max_handed_on_size"):
        handed_on(VALUES)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("AIRFLOW__CWL__MAX_HANDED_ON_SIZE", "1000000")
    monkeypatch.setattr(kept_values.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        handed_on(VALUES)
    assert not kept(tmp_folder)


def test_a_bound_below_what_is_large_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_HANDED_ON_SIZE", "100")
    with pytest.raises(StepError, match="max_handed_on_size"):
        handed_on(VALUES)


def test_a_file_is_on_the_disk_before_anybody_is_told(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_sync, real_replace = kept_values.os.fsync, kept_values.os.replace
    monkeypatch.setattr(kept_values.os, "fsync", lambda found: (done.append("sync"), real_sync(found)))
    monkeypatch.setattr(
        kept_values.os, "replace", lambda *names, **more: (done.append("replace"), real_replace(*names, **more))
    )
    handed_on(VALUES)
    assert done == ["sync", "replace", "sync"], "the file, then its name, then the folder"


def test_no_output_is_taken_for_a_file(small: None) -> None:
    known = handed_on(VALUES)[handing_on.KEPT]
    values = {"#main/x": [{handing_on.KEPT: known}, "success"]}
    assert handing_on.values_of(RUN, handed_on(values)) == values


def test_what_tasks_hand_on_is_read_in_one_place() -> None:
    """Whoever unpacks an XCom by himself would take the name of a file for the values."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
            if "unpacked" in names:
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"dags/handing_on.py"}


def test_a_value_in_memory_is_the_same_object() -> None:
    assert handing_on.in_memory(VALUES) is VALUES
    assert whole({"a": [1]}) == {"a": [1]}
