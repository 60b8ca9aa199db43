"""The files of a run in a real browser: inputs and outputs as things, previews, tables that sort, pictures."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers, overflowing
from support.served import NARROW
from support.stored import sized_file as as_file

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.triggering import triggers

pytestmark = pytest.mark.e2e
HOSTILE = '"><img src=x onerror="alert(1)">\u202e'
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAFElEQVR4nGNgYGD4jxeNSo9KDwZpAMLZ/wH2q2A5AAAAAElFTkSuQmCC"
)
TSV = "gene\tcount\nb10\t9\na2\t100\na10\t20\n" + f"{HOSTILE}\t\n"
FASTQ = "".join(f"@read{number}\nACGTACGTAC\n+\nIIII5555##\n" for number in range(3))
LOG = "".join(f"line {number}\n" for number in range(60_000)) + "ERROR: out of luck\n"
DAG_ID = "files-as-things"


@pytest.fixture
def run_of_files(folders: Path, add: Callable[..., Any], airflow: Any) -> str:
    """The id of a run that was given files and has made some."""
    inputs = folders / "inputs"
    (inputs / "genome").mkdir(parents=True)
    (inputs / "genome/chr1.fa").write_text(">chr1 test\nACGT\n")
    (inputs / "s1_R1.fastq.gz").write_bytes(gzip.compress(FASTQ.encode()))
    (folders / "secret.txt").write_text("secret")
    add(DAG_ID, inputs=tuple(Parameter(id=name, type=["null", "Any"]) for name in ("reads", "genome", "options")))
    options = {"depth": 3, "text": HOSTILE, "adapters": [f"ACGT{number}" for number in range(100)]}
    job = {
        "reads": [{"class": "File", "location": "s1_R1.fastq.gz"}],
        "genome": {"class": "Directory", "location": "genome"},
        "options": options,
    }
    run = triggers.trigger(DAG_ID, conf={"job": job}, user="ada", via=triggers.REST)
    outputs = folders / "outputs" / DAG_ID / run.run_id
    (outputs / "plots").mkdir(parents=True)
    (outputs / "counts.tsv").write_text(TSV)
    (outputs / "run.log").write_text(LOG)
    for number in range(3):
        (outputs / f"plots/p{number}.png").write_bytes(PNG)
    (outputs / "broken.json").write_text('{"a": ')
    plots = [as_file(outputs / f"plots/p{number}.png") for number in range(3)]
    made = {"counts": as_file(outputs / "counts.tsv", checksum="sha1$x"), "log": as_file(outputs / "run.log")}
    value = {**made, "plots": plots, "broken": as_file(outputs / "broken.json")}
    airflow.push(DAG_ID, run.run_id, "CWLJobGatherer", "return_value", value)
    airflow.set_run(DAG_ID, run.run_id, "success")
    return run.run_id


@pytest.fixture
def show(open_page: Callable[..., Page], run_of_files: str) -> Callable[..., Page]:
    """Open a page about the run: ``show("run")``."""

    def opened(path: str, role: str = "admin", options: dict[str, Any] | None = None, **query: Any) -> Page:
        asked = urlencode({"dag_id": DAG_ID, "run_id": run_of_files, **query})
        return open_page(f"/cwl/{path}?{asked}", role, **(options or {}))

    return opened


def test_inputs_are_files_to_look_at_and_values_to_read(show: Callable[..., Page], run_of_files: str) -> None:
    page = show("run", options={"viewport": NARROW})
    inputs = page.locator("#run-inputs")
    expect(inputs).to_contain_text("s1_R1.fastq.gz")
    expect(inputs).not_to_contain_text("file://")
    inputs.get_by_role("link", name="Preview s1_R1.fastq.gz").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="read2")).to_contain_text("10")
    expect(dialog).to_contain_text("█")
    dialog.get_by_role("button", name="Close").click()
    inputs.get_by_text("genome/", exact=True).click()
    expect(inputs.get_by_role("link", name="Preview chr1.fa")).to_be_visible()
    assert page.locator("main img").count() == 0
    assert overflowing(page) == []
    assert barriers(page) == []


def test_a_table_sorts_by_mouse_and_keyboard(show: Callable[..., Page]) -> None:
    page = show("run")
    page.get_by_role("link", name="Preview counts.tsv").click()
    dialog = page.get_by_role("dialog")
    gene = dialog.get_by_role("columnheader", name="gene")
    gene.get_by_role("button").click()
    expect(gene).to_have_attribute("aria-sort", "ascending")
    genes = dialog.locator("tbody td:first-child")
    expect(genes).to_have_text([HOSTILE, "a2", "a10", "b10"])
    count = dialog.get_by_role("columnheader", name="count")
    count.get_by_role("button").press("Enter")
    expect(dialog.locator("tbody td:last-child")).to_have_text(["9", "20", "100", ""])
    count.get_by_role("button").press("Space")
    expect(dialog.locator("tbody td:last-child")).to_have_text(["100", "20", "9", ""])
    expect(count).to_have_attribute("aria-sort", "descending")
    assert gene.get_attribute("aria-sort") is None
    assert barriers(page) == []


def test_words_are_found_in_a_long_log(show: Callable[..., Page]) -> None:
    page = show("run")
    page.get_by_role("link", name="Preview run.log").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("pre").first).to_contain_text("line 0")
    expect(dialog.locator("pre").first).not_to_contain_text("out of luck")
    dialog.get_by_role("searchbox").fill("error")
    dialog.get_by_role("searchbox").press("Enter")
    expect(dialog.locator(".found")).to_contain_text("1 line with “error”. All of the file was searched.")
    expect(dialog.locator('.found [data-line="60001"]')).to_have_text("ERROR: out of luck")


def test_words_are_found_in_all_that_a_step_has_printed(
    show: Callable[..., Page], run_of_files: str, airflow: Any
) -> None:
    airflow.set_task(DAG_ID, run_of_files, "sort", state="failed")
    log = TaskTry(DAG_ID, run_of_files, "sort", -1, 0).folder / "stderr.log"
    log.parent.mkdir(parents=True)
    log.write_text("FIRST: the reason\n" + LOG)
    page = show("run/step", task_id="sort")
    form = page.get_by_role("searchbox")
    form.fill("the reason")
    form.press("Enter")
    expect(page.locator('.found [data-line="1"]')).to_have_text("FIRST: the reason")
    expect(page.locator(".found")).to_contain_text("All of the file was searched.")
    assert barriers(page) == []


def test_what_is_wrong_with_a_file_is_said(show: Callable[..., Page]) -> None:
    page = show("run")
    page.get_by_role("link", name="Preview broken.json").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("This is no valid JSON: line 1, column 7")


def test_pictures_are_seen_one_after_the_other_by_keys(show: Callable[..., Page]) -> None:
    page = show("run", options={"viewport": NARROW, "color_scheme": "dark", "expected": "404"})
    page.get_by_role("link", name="All pictures").click()
    first = page.get_by_role("link", name="p0.png")
    first.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 of 3")
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("img", name="plots/p1.png")).to_be_visible()
    dialog.get_by_role("button", name="Next").click()
    expect(dialog).to_contain_text("3 of 3")
    page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("3 of 3")
    assert barriers(page) == []
    assert overflowing(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="p2.png")).to_be_focused()


def test_a_file_leads_to_the_runs_that_made_and_used_it(
    show: Callable[..., Page], run_of_files: str, folders: Path
) -> None:
    from cwl_ui_plugin.services.inputs.access import InputAccess
    from cwl_ui_plugin.services.provenance import noting

    made = folders / "outputs" / DAG_ID / run_of_files / "counts.tsv"
    job = {"reads": [as_file(made)]}
    access = InputAccess("ada", lambda _dag_id: True)
    user = triggers.trigger(DAG_ID, conf={"job": job}, user="ada", via=triggers.REST, files=access)
    page = show("run")
    page.get_by_role("link", name="Where used counts.tsv").click()
    expect(page.get_by_role("heading", name="counts.tsv")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("noted some seconds after")
    end_run(user.run_id)
    while noting.work():
        pass
    page.reload()
    expect(page.get_by_role("link", name=user.run_id)).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text=run_of_files)).to_contain_text("(this run)")
    assert barriers(page) == []
    page.set_viewport_size(NARROW)
    assert overflowing(page) == []
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_role("dialog").get_by_role("columnheader", name="gene")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name=user.run_id).click()
    page.locator("#run-inputs").get_by_role("link", name="Where used counts.tsv").click()
    expect(page.get_by_role("link", name=run_of_files)).to_be_visible()


def end_run(run_id: str) -> None:
    """Let a run end a moment after its files were made."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    later = datetime.now(timezone.utc) + timedelta(seconds=5)
    with create_session() as session:
        session.execute(
            update(DagRun).where(DagRun.run_id == run_id).values(start_date=later, end_date=later, _state="success")
        )
