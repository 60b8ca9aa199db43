"""What pages show of files that become links to others' files at the last moment: nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.swapping import SECRET, elsewhere, swap_when_opened

from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion


def content(answer: Any) -> str:
    """What an answer holds, also what is in a zip."""
    if answer.mimetype != "application/zip":
        return str(answer.text)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return " ".join(archive.read(name).decode() for name in archive.namelist())


@pytest.mark.parametrize("victim", ["plots/deep/a.txt", "plots/deep", "plots", "."])
@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("run/preview", {"path": "plots/deep/a.txt"}),
        ("run/outputs", {"path": "plots/deep"}),
        ("run/outputs", {}),
        ("run", {}),
    ],
)
def test_outputs(
    browser: Callable[..., Any],
    workflow: str,
    run_id: str,
    folders: Path,
    airflow: Any,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    query: dict[str, str],
    victim: str,
) -> None:
    folder = folders / "outputs" / workflow / run_id
    (folder / "plots/deep").mkdir(parents=True)
    (folder / "plots/deep/a.txt").write_text("the text of mine")
    value = {"said": {"class": "Directory", "location": (folder / "plots").as_uri(), "basename": "plots"}}
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    airflow.set_run(workflow, run_id, "success")
    address = f"/cwl/{page}?{urlencode({'dag_id': workflow, 'run_id': run_id, **query})}"
    before = browser("viewer").get(address)
    assert before.status_code == 200
    assert "the text of mine" in before.text or "a.txt" in before.text or "plots" in before.text
    foreign = elsewhere(folders / "foreign", "secret.txt", "a.txt", "deep/a.txt", "plots/deep/a.txt")
    place = (folder / victim).resolve()
    swap_when_opened(monkeypatch, place, foreign / "a.txt" if place.suffix else foreign)
    answer = browser("viewer").get(address)
    assert SECRET not in answer.text
    assert "secret.txt" not in answer.text
    assert answer.status_code in (200, 404)


@pytest.mark.parametrize("victim", ["stdout.log", ".", "..", "../..", "../../.."])
@pytest.mark.parametrize("page", ["run/step", "run/log"])
def test_logs(
    browser: Callable[..., Any],
    workflow: str,
    run_id: str,
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    victim: str,
) -> None:
    log = TaskTry(workflow, run_id, "sort", -1, 0).folder / "stdout.log"
    log.parent.mkdir(parents=True)
    log.write_text("the text of mine")
    query = {"dag_id": workflow, "run_id": run_id, "task_id": "sort", "stream": "stdout"}
    address = f"/cwl/{page}?{urlencode(query)}"
    assert "the text of mine" in browser("viewer").get(address).text
    foreign = elsewhere(folders / "foreign", "stdout.log", "0/stdout.log", "-1/0/stdout.log", "sort/-1/0/stdout.log")
    place = (log.parent / victim).resolve()
    swapped = swap_when_opened(monkeypatch, place, foreign / "stdout.log" if victim == "stdout.log" else foreign)
    answer = browser("viewer").get(address)
    assert swapped
    assert (answer.status_code, SECRET in answer.text) == (200, False)


@pytest.mark.parametrize("victim", ["main.cwl", "."])
@pytest.mark.parametrize("page", ["source?path=main.cwl", "download", "versions?old={old}&new={new}"])
def test_sources(
    browser: Callable[..., Any],
    workflow: str,
    store: WorkflowStore,
    add: Callable[..., StoredVersion],
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    victim: str,
) -> None:
    old = store.current(workflow)
    new = add(workflow, "two of mine")
    address = f"/cwl/workflows/{workflow}/{page.format(old=old.digest, new=new.digest)}"
    assert "mine" in content(browser("viewer").get(address))
    foreign = elsewhere(folders / "foreign", "main.cwl")
    place = (new.source / victim).resolve()
    swapped = swap_when_opened(monkeypatch, place, foreign / "main.cwl" if victim == "main.cwl" else foreign)
    answer = browser("viewer").get(address)
    assert swapped
    assert answer.status_code in (200, 404)
    assert SECRET not in content(answer)
