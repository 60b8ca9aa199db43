"""The report of a run: all that was done, in one file that runs nothing and asks nobody for anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.failed_run import Failed
from support.stored import as_file, push, set_run

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.inputs.access import shared_only
from cwl_ui_plugin.services.provenance import hashing, noting
from cwl_ui_plugin.services.run_documents import files, pictures
from cwl_ui_plugin.services.run_documents.document import document_of
from cwl_ui_plugin.services.triggering import triggers

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='300' height='90'><script>alert(1)</script></svg>"
HOSTILE = "<script>alert(1)</script>"


def report(dag_id: str, run_id: str) -> str:
    return document_of(dag_id, run_id, access=shared_only(), user="ada")


@pytest.fixture
def delivered(workflow: str, run_id: str, folders: Path) -> Path:
    """A run that has delivered pictures, and a file with a hostile name."""
    folder = folders / "outputs" / workflow / run_id
    folder.mkdir(parents=True)
    contents = {"a.png": PNG, "b.svg": SVG, "c.jpg": b"no picture", f"{HOSTILE.replace('/', '_')}.txt": b"x"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    value = {"plots": [as_file(folder / name, checksum="sha1$" + "0" * 40, size=1) for name in contents]}
    push(workflow, run_id, names.GATHERER, "return_value", value)
    set_run(workflow, run_id, "success")
    return folder


def test_it_tells_what_was_done_on_what_and_with_what_outcome(failed: Failed) -> None:
    text = report(failed.dag_id, failed.run_id)
    for told in (failed.run_id, "failed", "ada", "sort", "count", "last", "Common Workflow Language\nv1.2", "cwltool "):
        assert told in text
    assert "reads.txt" in text
    assert "not known" in text, "the checksum of an input is not known before it was read"


def test_checksums_of_inputs_are_those_of_the_files(failed: Failed) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    now = datetime.now(timezone.utc)
    with create_session() as session:
        of_run = update(DagRun).where(DagRun.run_id == failed.run_id)
        session.execute(of_run.values(start_date=now + timedelta(seconds=60), end_date=now + timedelta(seconds=90)))
    assert noting.note_some() >= 1
    assert hashing.hash_some() >= 1
    checksum = hashlib.sha1((failed.folders / "inputs/reads.txt").read_bytes()).hexdigest()
    assert f"sha1${checksum}" in report(failed.dag_id, failed.run_id)


def test_pictures_are_in_it_and_names_are_text(workflow: str, run_id: str, delivered: Path) -> None:
    text = report(workflow, run_id)
    assert text.count("<img ") == 2
    assert 'src="data:image/png;base64,' in text
    assert 'src="data:image/svg+xml;base64,' in text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "c.jpg (plots): not shown here" in text


def test_pictures_are_bounded(workflow: str, run_id: str, delivered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_TOTAL", len(PNG))
    assert [bool(one.data) for one in pictures.pictures_of(workflow, run_id)] == [True, False, False]
    monkeypatch.setattr(pictures, "MAX_PICTURES", 1)
    assert len(pictures.pictures_of(workflow, run_id)) == 1


def test_files_are_bounded(workflow: str, run_id: str, delivered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ROWS", 1)
    assert "And 3 more files." in report(workflow, run_id)


def test_a_secret_is_in_no_report(add: Callable[..., Any], airflow: Any) -> None:
    add("secret-report", inputs=(Parameter("word", "string", is_secret=True), Parameter("text", "string")))
    job = {"word": "sesame", "text": "open"}
    triggers.trigger("secret-report", conf={"job": job}, run_id="r", user="ada", via=triggers.REST)
    text = report("secret-report", "r")
    assert "sesame" not in text
    assert "(secret)" in text
    assert ">open<" in text


def test_a_run_that_is_not_there_has_none(workflow: str) -> None:
    with pytest.raises(NotFound):
        report(workflow, "no-run")


def test_a_browser_asks_nobody_and_prints_what_is_folded(failed: Failed, chromium: Browser) -> None:
    told = {names.STATISTICS_KEY: {"command": ["sort", "reads of somebody.txt"]}}
    push(failed.dag_id, failed.run_id, "sort", names.RETURN_KEY, told)
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.set_content(report(failed.dag_id, failed.run_id))
    command = page.get_by_text("sort 'reads of somebody.txt'")
    assert not command.is_visible()
    page.emulate_media(media="print")
    assert command.is_visible()
    assert (asked, errors) == ([], [])
