"""The inputs of a run as files: looked at and opened only as far as whoever asks may use them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.swapping import SECRET, elsewhere, swap_when_opened

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.inputs import single
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.outputs.value_tree import Node
from cwl_ui_plugin.services.provenance import run_inputs
from cwl_ui_plugin.views.shown_values import shown_value

DAG_ID = "given"


def write(path: Path, text: str = "content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def file(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": str(path), **more}


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The job of the run that is looked at."""
    given: dict[str, object] = {}
    monkeypatch.setattr(run_inputs, "job_of", lambda _dag_id, _run_id: given)
    return given


def nodes(access: InputAccess, *place: str) -> dict[str, Node]:
    return {node.name: node for node in run_inputs.input_nodes(DAG_ID, "run", access, place).items}


def content(access: InputAccess, *place: str, path: str = "") -> str:
    name, opened = run_inputs.open_input(DAG_ID, "run", access, place, path)
    assert name
    with opened:
        return opened.read().decode()


def test_files_are_files_and_values_are_values(folders: Path, job: dict[str, object]) -> None:
    write(folders / "inputs/a.fastq", "reads")
    index = write(folders / "inputs/a.fai", "index")
    job |= {
        "reads": [file("a.fastq", secondaryFiles=[file(index)]), file("gone.fastq")],
        "options": {"depth": 3, "names": ["x"]},
        "web": file("https://example.org/x.bam"),
        "written": {"class": "File", "basename": "hello.txt", "contents": "hello"},
    }
    found = nodes(shared_only())
    assert {name: node.kind for name, node in found.items()} == {
        "reads": "list",
        "options": "value",
        "x.bam": "remote",
        "hello.txt": "value",
    }
    there, gone = found["reads"].children or ()
    assert (there.name, there.kind, there.size, there.place) == ("a.fastq", "file", 5, ("reads", "0"))
    assert [node.place for node in there.children or ()] == [("reads", "0", "secondaryFiles", "0")]
    assert (gone.name, gone.kind) == ("gone.fastq", "missing")
    assert content(shared_only(), "reads", "0") == "reads"
    assert content(shared_only(), "reads", "0", "secondaryFiles", "0") == "index"
    for place in (("reads",), ("reads", "1"), ("options",), ("web",), ("written",), ("reads", "7"), ("no",), ()):
        with pytest.raises(NotFound):
            run_inputs.open_input(DAG_ID, "run", shared_only(), place)


def test_what_the_viewer_may_not_use_is_only_named(folders: Path, job: dict[str, object]) -> None:
    sent = single.save_input("mine.txt", io.BytesIO(b"mine"), user="ada")
    made = write(folders / "outputs/other/run/made.txt")
    outside = write(folders / "outside.txt")
    job |= {"sent": file(sent), "made": file(made), "outside": file(outside), "absent": file(folders / "nothing.txt")}
    nobody, ada = shared_only(), InputAccess("ada", lambda dag_id: dag_id == "other")
    assert {node.kind for node in nodes(nobody).values()} == {"closed"}
    assert all(node.size is None for node in nodes(nobody).values())
    assert [node.kind for node in nodes(ada).values()] == ["file", "file", "closed", "closed"]
    assert content(ada, "sent") == "mine"
    for place in job:
        with pytest.raises(NotFound):
            run_inputs.open_input(DAG_ID, "run", nobody, [place])


def test_a_directory_is_opened_and_leads_nowhere_else(folders: Path, job: dict[str, object]) -> None:
    write(folders / "inputs/genome/deep/chr1.fa", "ACGT")
    (folders / "inputs/genome/way-out").symlink_to(write(folders / "outside/secret.txt").parent)
    os.mkfifo(folders / "inputs/genome/pipe")
    job["genome"] = {"class": "Directory", "location": "genome"}
    assert nodes(shared_only())["genome"].kind == "folder"
    listed = run_inputs.folder_nodes(DAG_ID, "run", shared_only(), ["genome"]).items
    assert {node.name: node.kind for node in listed} == {
        "deep": "folder",
        "pipe": "elsewhere",
        "way-out": "elsewhere",
    }
    (inner,) = run_inputs.folder_nodes(DAG_ID, "run", shared_only(), ["genome"], "deep").items
    assert (inner.path, inner.place) == ("deep/chr1.fa", ("genome",))
    assert content(shared_only(), "genome", path="deep/chr1.fa") == "ACGT"
    for path in ("way-out/secret.txt", "../a", "..", "/etc/passwd", "pipe", "deep", "gone", "deep/chr1.fa/x", "x\0"):
        with pytest.raises(NotFound):
            run_inputs.open_input(DAG_ID, "run", shared_only(), ["genome"], path)
        with pytest.raises(NotFound):
            if path != "deep":
                run_inputs.folder_nodes(DAG_ID, "run", shared_only(), ["genome"], path)
            else:
                raise NotFound("a folder that may be looked into")


def test_uploads_in_a_folder_for_everybody_stay_their_owners(folders: Path, job: dict[str, object]) -> None:
    sent = single.save_input("mine.txt", io.BytesIO(b"mine"), user="ada")
    job["all"] = {"class": "Directory", "location": str(folders / "inputs")}
    path = sent.relative_to(folders / "inputs").as_posix()
    with pytest.raises(NotFound):
        run_inputs.open_input(DAG_ID, "run", shared_only(), ["all"], path)
    with pytest.raises(NotFound):
        run_inputs.folder_nodes(DAG_ID, "run", shared_only(), ["all"], path.rpartition("/")[0])


@pytest.mark.parametrize("victim", ["genome/deep/a.txt", "genome/deep", "genome"])
def test_a_file_that_becomes_a_link_at_the_last_moment_shows_nothing(
    folders: Path, job: dict[str, object], monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    write(folders / "inputs/genome/deep/a.txt")
    job["genome"] = {"class": "Directory", "location": "genome"}
    foreign = elsewhere(folders / "foreign", "a.txt", "deep/a.txt")
    place = folders / "inputs" / victim
    swap_when_opened(monkeypatch, place, foreign / "a.txt" if place.suffix else foreign)
    with suppress(NotFound):
        assert SECRET not in content(shared_only(), "genome", path="deep/a.txt")


def test_lists_in_lists_are_given_bit_by_bit_however_deep(folders: Path, job: dict[str, object]) -> None:
    write(folders / "inputs/a")
    deep: object = file("a")
    plain: object = 1
    for _level in range(900):
        deep, plain = [deep], [plain]
    job |= {"deep": deep, "plain": plain}
    node = nodes(shared_only())["deep"]
    levels = 1
    while node.children:
        (node,) = node.children
        levels += 1
    assert levels < 20
    assert run_inputs.input_nodes(DAG_ID, "run", shared_only(), node.place).total == 1
    assert shown_value(plain).items


def test_secrets_are_not_among_the_inputs(add: Callable[..., Any], folders: Path) -> None:
    from cwl_ui_plugin.services.triggering import triggers

    inputs = (Parameter(id="password", type="string", is_secret=True), Parameter(id="text", type="string"))
    add("with-secret", inputs=inputs)
    conf = {"job": {"password": "hidden", "text": "shown"}}
    run = triggers.trigger("with-secret", conf=conf, user="ada", via=triggers.REST)
    found = run_inputs.input_nodes("with-secret", run.run_id, shared_only()).items
    assert [(node.name, node.value) for node in found] == [("text", "shown")]
    with pytest.raises(NotFound):
        run_inputs.input_nodes("with-secret", run.run_id, shared_only(), ["password"])
