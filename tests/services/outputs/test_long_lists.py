"""Outputs of which a list is too long to be in memory: pages, answers, zips and crates tell the same of them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
from support.stored import as_file

from cwl_ui_plugin.api.answering import answered
from cwl_ui_plugin.cwl import value_files
from cwl_ui_plugin.cwl.value_files import LongList
from cwl_ui_plugin.dags import handing_on
from cwl_ui_plugin.dags.folders import kept_values
from cwl_ui_plugin.dags.staging.interface import SHARED
from cwl_ui_plugin.reports import facts
from cwl_ui_plugin.reports.due import LEFT_OUT, Known, due_reports
from cwl_ui_plugin.services.batches import outputs as batch_outputs
from cwl_ui_plugin.services.crates.crates import crate_of
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.inputs.access import shared_only
from cwl_ui_plugin.services.monitoring import comparison, queries
from cwl_ui_plugin.services.outputs import output_files, output_tree, zip_stream
from cwl_ui_plugin.services.wes import logs

COUNT = 250


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is small here."""
    monkeypatch.setattr(handing_on, "LARGE", 1000)
    monkeypatch.setattr(handing_on, "LOADED", 1000)


@pytest.fixture
def value(workflow: str, run_id: str, folders: Path, airflow: Any) -> dict[str, Any]:
    folder = folders / "outputs" / workflow / run_id
    folder.mkdir(parents=True)
    for number in range(COUNT):
        (folder / f"{number}.txt").write_text(f"content {number}")
    (folder / "no-output.txt").write_text("secret")
    made = {
        "files": [
            as_file(folder / f"{number}.txt", basename=f"{number}.txt", checksum=f"sha1${number}", size=4)
            for number in range(COUNT)
        ],
        "numbers": {"all": list(range(COUNT))},
        "one": as_file(folder / "3.txt", basename="3.txt"),
    }
    xcom = handing_on.as_xcom((workflow, run_id), made, SHARED)
    assert handing_on.KEPT in xcom
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", json.loads(json.dumps(xcom)))
    return made


@pytest.fixture
def never_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_value: object) -> NoReturn:
        pytest.fail("all of it is in memory")

    monkeypatch.setattr(value_files, "whole", fail)
    monkeypatch.setattr(LongList, "__iter__", fail)


def body_of(answer: Any) -> Any:
    """Return what an answer that comes bit by bit has in all."""
    import asyncio

    async def read() -> bytes:
        return b"".join([part async for part in answer.body_iterator])

    return json.loads(asyncio.run(read()))


@pytest.mark.usefixtures("never_whole")
def test_files_are_listed_opened_and_zipped(workflow: str, run_id: str, value: dict[str, Any]) -> None:
    page = output_files.output_tree(workflow, run_id, offset=240, limit=5)
    assert ([file.path for file in page.items], page.total) == ([f"{n}.txt" for n in range(240, 245)], COUNT)
    assert (page.items[0].output, page.items[0].checksum) == ("files", "sha1$240")
    with output_files.open_output(workflow, run_id, "249.txt") as file:
        assert file.read() == b"content 249"
    with pytest.raises(NotFound):
        output_files.open_output(workflow, run_id, "no-output.txt")
    content = b"".join(zip_stream.zip_stream(output_files.archive_entries(workflow, run_id)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == sorted(f"{number}.txt" for number in range(COUNT))


@pytest.mark.usefixtures("never_whole")
def test_the_page_of_a_run_opens_it_bit_by_bit(workflow: str, run_id: str, value: dict[str, Any]) -> None:
    known = queries.get_run(workflow, run_id).outputs
    files, numbers, one = output_tree.output_nodes(workflow, run_id, known=known).items
    assert (files.kind, files.total, files.children, one.kind) == ("list", COUNT, None, "file")
    assert numbers.children is not None
    assert (numbers.kind, numbers.children[0].kind, numbers.children[0].total) == ("record", "list", COUNT)
    page = output_tree.output_nodes(workflow, run_id, ["files"], 200)
    assert [node.name for node in page.items] == [f"{number}.txt" for number in range(200, COUNT)]
    page = output_tree.output_nodes(workflow, run_id, ["numbers", "all"], 248)
    assert [node.value for node in page.items] == [248, 249]
    assert output_tree.has_pictures(known) is False


@pytest.mark.usefixtures("never_whole")
def test_answers_have_all_of_it(workflow: str, run_id: str, value: dict[str, Any]) -> None:
    assert body_of(answered(output_files.output_object(workflow, run_id))) == value
    log = body_of(answered(logs.run_log(workflow, run_id, "http://here")))
    assert log["outputs"]["numbers"] == value["numbers"]
    assert log["outputs"]["files"][249]["location"].endswith("/outputs/249.txt")


def test_what_is_not_long_is_answered_as_it_was() -> None:
    answer = {"outputs": {"a": [1]}}
    assert answered(answer) is answer


@pytest.mark.usefixtures("never_whole")
def test_a_cell_has_the_beginning(workflow: str, run_id: str, value: dict[str, Any]) -> None:
    outputs = output_files.output_object(workflow, run_id) or {}
    cell = str(batch_outputs.shown(outputs["files"]))
    assert cell.startswith('["/')
    assert len(cell) <= batch_outputs.MAX_CELL + 1


def test_two_runs_are_compared(workflow: str, run_id: str, value: dict[str, Any]) -> None:
    outputs = queries.get_run(workflow, run_id).outputs or {}
    pairs = {pair.name: pair for pair in comparison._pairs(outputs, outputs)}
    assert all(pair.is_same for pair in pairs.values())
    other = {**outputs, "files": outputs["files"].mapped(lambda item: {**item, "location": "file:///else"})}  # type: ignore[attr-defined]
    assert [pair.is_same for pair in comparison._pairs(outputs, other)] == [True, True, True]
    other["files"] = outputs["files"].mapped(lambda item: {**item, "checksum": "sha1$x"})  # type: ignore[attr-defined]
    found = comparison._pairs(outputs, other)
    assert [pair.is_same for pair in found] == [False, True, True]
    assert str(found[0].one).endswith("…")


def test_a_crate_tells_of_it(workflow: str, run_id: str, value: dict[str, Any]) -> None:
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=True)
    names = {name for name, _open in crate.entries if name.startswith("outputs/")}
    assert names == {f"outputs/{number}.txt" for number in range(COUNT)}


def test_what_is_lost_is_not_there_and_breaks_no_page(
    workflow: str, run_id: str, value: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    kept_values.forget(kept_values.place_of(workflow, run_id).path)
    assert queries.get_run(workflow, run_id).outputs is None
    assert output_files.output_object(workflow, run_id) is None
    assert "can't be read any more" in caplog.text


def test_a_report_says_that_it_is_left_out(workflow: str, run_id: str, value: dict[str, Any], airflow: Any) -> None:
    from airflow.utils.session import create_session

    airflow.set_run(workflow, run_id, "success")
    with create_session() as session:
        row = facts.run_row(session, workflow, run_id)
        assert row is not None
        (found,) = facts.facts_of([row], session)
        run = facts.with_outcome(found, session)
    assert run is not None
    (told,) = [report.payload for report in due_reports(run, Known())[0] if report.route == "results"]
    assert (told["results"], told["left_out"]) == ({}, LEFT_OUT)  # type: ignore[typeddict-item]
