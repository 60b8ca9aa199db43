"""Outputs and logs whose files become links to others' files at the last moment: no route sends those."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.stored import push
from support.swapping import SECRET, elsewhere, swap_when_opened

from cwl_ui_plugin.dags.folders.run_folder import TaskTry


@pytest.fixture
def delivered(workflow: str, run_id: str, folders: Path) -> Path:
    """The output folder of a run whose output is a folder of a folder with a page."""
    path = folders / "outputs" / workflow / run_id
    (path / "plots/deep").mkdir(parents=True)
    (path / "plots/deep/page.html").write_text("mine")
    value = {"said": {"class": "Directory", "location": (path / "plots").as_uri(), "basename": "plots"}}
    push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    return path


def content(answer: Any) -> str:
    """What an answer holds, also what is in a zip."""
    if answer.headers.get("content-type") != "application/zip":
        return str(answer.text)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return " ".join(f"{name} {archive.read(name).decode()}" for name in archive.namelist())


VICTIMS = {
    "plots/deep/page.html": "page.html",
    "plots/deep": ".",
    "plots": ".",
    ".": ".",
    "..": ".",
}


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize(
    "route", ["files/plots/deep/page.html", "files/plots/deep/page.html?inline=true", "zip", "zip?path=plots", "files"]
)
def test_an_output_that_becomes_a_link_is_not_sent(
    client: Callable[..., Any],
    workflow: str,
    run_id: str,
    delivered: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    victim: str,
) -> None:
    viewer = client("viewer")
    address = f"/cwl/api/v1/workflows/{workflow}/runs/{run_id}/{route}"
    before = viewer.get(address)
    assert before.status_code == 200
    assert "mine" in content(before) or "page.html" in content(before)
    inner = ("plots/deep/page.html", "deep/page.html", "page.html")
    names = [*inner, *(f"{run_id}/{name}" for name in inner)]
    foreign = elsewhere(tmp_path / "foreign", *names, "passwd-of-everybody")
    swapped = swap_when_opened(monkeypatch, (delivered / victim).resolve(), foreign / VICTIMS[victim])
    answer = viewer.get(address)
    assert swapped or route == "files"
    assert SECRET not in content(answer)
    assert "passwd-of-everybody" not in content(answer)
    assert answer.status_code in (200, 404)


def test_a_link_in_the_folder_is_never_followed_even_to_a_file_in_it(
    client: Callable[..., Any], workflow: str, run_id: str, delivered: Path
) -> None:
    (delivered / "plots/link.html").symlink_to(delivered / "plots/deep/page.html")
    base = f"/cwl/api/v1/workflows/{workflow}/runs/{run_id}"
    assert client("viewer").get(f"{base}/files/plots/link.html").status_code == 404
    assert content(client("viewer").get(f"{base}/zip")) == "plots/deep/page.html mine"


def test_ranges_and_heads_of_an_open_file(
    client: Callable[..., Any], workflow: str, run_id: str, delivered: Path
) -> None:
    address = f"/cwl/api/v1/workflows/{workflow}/runs/{run_id}/files/plots/deep/page.html"
    viewer = client("viewer")
    assert viewer.get(address, headers={"Range": "bytes=1-2"}).text == "in"
    assert viewer.get(address, headers={"Range": "bytes=9-"}).status_code == 416
    assert viewer.head(address).headers["content-length"] == "4"


@pytest.mark.parametrize("victim", ["stdout.log", ".", "..", "../..", "../../.."])
def test_a_log_that_becomes_a_link_is_not_sent(
    client: Callable[..., Any],
    workflow: str,
    run_id: str,
    tmp_path: Path,
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    victim: str,
) -> None:
    log = TaskTry(workflow, run_id, "say", -1, 0).folder / "stdout.log"
    log.parent.mkdir(parents=True)
    log.write_text("mine")
    address = f"/cwl/api/v1/workflows/{workflow}/runs/{quote(run_id)}/logs/say/-1/0/stdout"
    assert client("viewer").get(address).text == "mine"
    foreign = elsewhere(tmp_path / "foreign", "stdout.log", "0/stdout.log", "-1/0/stdout.log", "say/-1/0/stdout.log")
    place = (log.parent / victim).resolve()
    swapped = swap_when_opened(monkeypatch, place, foreign / "stdout.log" if victim == "stdout.log" else foreign)
    answer = client("viewer").get(address)
    assert swapped
    assert (answer.status_code, SECRET in answer.text) == (404, False)


@pytest.mark.parametrize("chosen", ["scratch", "{}/scratch"])
def test_a_run_that_chose_its_folder_for_intermediate_files_has_logs(
    client: Callable[..., Any], workflow: str, folders: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    from cwl_ui_plugin.dags.folders.placement import folders_of
    from cwl_ui_plugin.dags.folders.run_folder import place_run_tmp
    from cwl_ui_plugin.services.triggering import triggers

    (folders / "scratch").mkdir()
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUT_ROOTS", str(folders / "scratch"))
    run_id, job = f"run-{uuid.uuid4()}", {"text": "x", "tmp_folder": chosen.format(folders)}
    triggers.trigger(workflow, conf={"job": job}, run_id=run_id, user="ada", via=triggers.REST)
    place_run_tmp(workflow, run_id, folders_of(workflow, run_id, job).tmp)
    folder = TaskTry(workflow, run_id, "say", -1, 0).folder
    folder.mkdir(parents=True)
    (folder / "stdout.log").write_text("mine")
    address = f"/cwl/api/v1/workflows/{workflow}/runs/{run_id}/logs/say/-1/0/stdout"
    assert client("viewer").get(address).text == "mine"


def test_a_link_that_the_job_did_not_ask_for_leads_to_no_logs(
    client: Callable[..., Any], workflow: str, run_id: str, folders: Path
) -> None:
    folder = TaskTry(workflow, run_id, "say", -1, 0).folder
    usual = folder.parents[2]
    usual.parent.mkdir(parents=True, exist_ok=True)
    elsewhere(folders / "outputs/other/run", "say/-1/0/stdout.log")
    usual.symlink_to(folders / "outputs/other/run")
    answer = client("viewer").get(f"/cwl/api/v1/workflows/{workflow}/runs/{run_id}/logs/say/-1/0/stdout")
    assert (answer.status_code, SECRET in answer.text) == (404, False)
