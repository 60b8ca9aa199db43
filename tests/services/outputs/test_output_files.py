"""Outputs are what the output object names, and nothing else on the disk."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from support.stored import as_file

from cwl_ui_plugin import opened
from cwl_ui_plugin.services.errors import NotFound, TooLarge
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.triggering import triggers


@pytest.fixture
def results(workflow: str, run_id: str, folders: Path, airflow: Any) -> Path:
    """The output folder of a run with a file, its index, a folder, and files that are no outputs."""
    folder = folders / "outputs" / workflow / run_id
    (folder / "plots/deep").mkdir(parents=True)
    (folder / "a b.txt").write_text("abc")
    (folder / "a b.txt.idx").write_text("i")
    (folder / "plots/deep/p.svg").write_text("<svg/>")
    (folder / "no-output.txt").write_text("secret")
    (folders / "outside.txt").write_text("secret")
    (folder / "plots/link.txt").symlink_to(folders / "outside.txt")
    value = {
        "lines": as_file(folder / "a b.txt", checksum="sha1$1", secondaryFiles=[as_file(folder / "a b.txt.idx")]),
        "plots": [{"class": "Directory", "location": (folder / "plots").as_uri()}],
        "outside": as_file(folders / "outside.txt"),
        "count": 3,
        "record": {"web": {"class": "File", "location": "http://example.org/x"}, "nothing": None},
    }
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    return folder


def test_the_tree_has_what_the_output_object_names(workflow: str, run_id: str, results: Path) -> None:
    tree = {file.path: file for file in output_files.output_tree(workflow, run_id).items}
    assert set(tree) == {"a b.txt", "a b.txt.idx", "plots/deep/p.svg"}
    assert (tree["a b.txt"].size, tree["a b.txt"].output, tree["a b.txt"].checksum) == (3, "lines", "sha1$1")
    assert tree["plots/deep/p.svg"].output == "plots"


def test_the_tree_comes_in_parts(workflow: str, run_id: str, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = output_files.output_tree(workflow, run_id)
    assert whole.total == 3
    parts = [output_files.output_tree(workflow, run_id, offset=offset, limit=2) for offset in (0, 2, 4)]
    assert [part.total for part in parts] == [3, 3, 3]
    assert tuple(file for part in parts for file in part.items) == whole.items
    monkeypatch.setattr(output_files, "MAX_FILES", 1)
    assert len(output_files.output_tree(workflow, run_id, limit=10).items) == 1
    monkeypatch.setattr(output_files, "MAX_COUNTED", 2)
    with pytest.raises(TooLarge, match="more than 2"):
        output_files.output_tree(workflow, run_id)


def test_a_zip_has_each_file_once_and_keeps_no_names_of_those_in_folders(
    workflow: str, run_id: str, folders: Path, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders / "outputs" / workflow / run_id
    for name in ("a/b/c/1", "a/b/2", "a/3", "a b/4", "5"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    named = ["a/3", "a/b", "a/b/c", "a/b/c/1", "a", "a", "a b", "5", "5", "a/b/2"]
    items = [
        {"class": "Directory" if (folder / name).is_dir() else "File", "location": (folder / name).as_uri()}
        for name in named
    ]
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"all": items})
    names = [name for name, _open in output_files.archive_entries(workflow, run_id)]
    assert sorted(names) == ["5", "a b/4", "a/3", "a/b/2", "a/b/c/1"]

    many = 10_000
    monkeypatch.setattr(opened.Place, "files", lambda _place, name="": (f"{name}/{count}" for count in range(many)))
    entries = output_files.archive_entries(workflow, run_id)
    next(entries)
    tracemalloc.start()
    count = sum(1 for _entry in entries)
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count >= many
    assert most < many * 10, "bytes"


def test_a_folder_is_opened_once_for_all_its_files(
    workflow: str, run_id: str, folders: Path, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders / "outputs" / workflow / run_id
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.txt" for number in range(200)]
    for path in paths:
        path.touch()
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"all": [as_file(path) for path in paths]})
    count, os_open = 0, os.open

    def counting(*arguments: Any, **options: Any) -> int:
        nonlocal count
        count += 1
        return os_open(*arguments, **options)

    monkeypatch.setattr(opened.os, "open", counting)
    page = output_files.output_tree(workflow, run_id, offset=50, limit=100)
    assert ([file.path for file in page.items], page.total) == ([path.name for path in paths[50:150]], 200)
    assert len(list(output_files.files_of(workflow, run_id))) == 200
    assert len(list(output_files.archive_entries(workflow, run_id))) == 200
    assert count < 100


def test_an_output_file_is_found(workflow: str, run_id: str, results: Path) -> None:
    for path, content in {"plots/deep/p.svg": b"<svg/>", "a b.txt": b"abc"}.items():
        with output_files.open_output(workflow, run_id, path) as file:
            assert file.read() == content


@pytest.mark.parametrize(
    "path",
    [
        "no-output.txt",
        "../../../outside.txt",
        "plots/link.txt",
        "plots/../no-output.txt",
        "plots",
        "",
        ".",
        "/etc/passwd",
        "gone",
        "a b.txt/x",
        "x\0y",
        "x" * 5000,
    ],
)
def test_nothing_else_is(workflow: str, run_id: str, results: Path, path: str) -> None:
    with pytest.raises(NotFound):
        output_files.open_output(workflow, run_id, path)


def test_an_absolute_path_out_of_the_folder_is_not_found(
    workflow: str, run_id: str, results: Path, folders: Path
) -> None:
    with pytest.raises(NotFound):
        output_files.open_output(workflow, run_id, str(folders / "outside.txt"))


def test_a_run_without_outputs_yet(workflow: str, run_id: str) -> None:
    assert output_files.output_object(workflow, run_id) is None
    assert output_files.output_tree(workflow, run_id).items == ()


def test_outputs_in_a_folder_that_the_job_chose(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow: Any
) -> None:
    chosen = tmp_path / "results"
    chosen.mkdir()
    (chosen / "mine.txt").write_text("mine")
    (chosen / "of-another-run.txt").write_text("theirs")
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUT_ROOTS", str(chosen))
    conf = {"job": {"text": "x", "output_folder": str(chosen)}}
    run = triggers.trigger(workflow, conf=conf, user="ada", via=triggers.REST)
    airflow.push(workflow, run.run_id, "CWLJobGatherer", "return_value", {"out": as_file(chosen / "mine.txt")})

    assert [file.path for file in output_files.output_tree(workflow, run.run_id).items] == ["mine.txt"]
    with pytest.raises(NotFound):
        output_files.open_output(workflow, run.run_id, "of-another-run.txt")


def test_outputs_of_no_run_are_not_found(workflow: str) -> None:
    with pytest.raises(NotFound):
        output_files.output_object(workflow, "never")


@pytest.mark.parametrize("given", ["shared/of-old", "{}/shared/of-old"])
def test_outputs_of_a_run_from_before_grants_stay_where_they_were(
    workflow: str, run_id: str, folders: Path, airflow: Any, given: str
) -> None:
    """Relative folders were below outputs_folder then, and absolute ones could be in it."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    folder = folders / "outputs/shared/of-old"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("abc")
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"a": as_file(folder / "a.txt")})
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == workflow, DagRun.run_id == run_id))
        run.conf = {"job": {"output_folder": given.format(folders / "outputs")}}
    assert [file.path for file in output_files.output_tree(workflow, run_id).items] == ["a.txt"]
    with output_files.open_output(workflow, run_id, "a.txt") as file:
        assert file.read() == b"abc"


@pytest.mark.parametrize("given", ["../elsewhere", "/etc", "a\0b", 7])
def test_a_run_without_a_grant_leads_nowhere_else(folders: Path, given: Any) -> None:
    place = output_files.output_place("wf", "r1", {"job": {"output_folder": given}})
    assert place.path == folders / "outputs/wf/r1"


def test_a_run_with_a_grant_has_its_own_place(folders: Path) -> None:
    conf = {"job": {"output_folder": "x"}, "cwl_grant": "a.b.c"}
    assert output_files.output_place("wf", "r1", conf).path == folders / "outputs/wf/x"
