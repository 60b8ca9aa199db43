"""The typed form in a real browser: filled in, run, and the run has got just that job."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect
from support.airflow_server import Server
from support.browsers import CHROMIUM, frame, picture
from support.documents import EACH_FIELD

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
BROWSER = CHROMIUM
"""As scientists have it: with all that is around a page."""

CONF_TEXT = """() => import(document.querySelector('script[src$="/job.js"]').src).then((job) => job.confText())"""


@pytest.fixture
def form(page: Page, site: Server, tmp_path: Path) -> FrameLocator:
    """The form of a fresh workflow, in Airflow's frame; large files begin at 1 kB here."""
    document = tmp_path / f"count_{uuid.uuid4().hex[:8]}.cwl"
    document.write_text(EACH_FIELD)
    site.command("upload", document)
    inside = frame(page)
    address = f"{site.url}/pluginsv2/cwl/workflows/{document.stem}/run"
    inside.locator("body").evaluate("(body, address) => { location.href = address }", address)
    expect(inside.get_by_role("heading", name="Run Count what was read")).to_be_visible(timeout=30_000)
    inside.locator("#trigger-form").evaluate("(form) => { form.dataset.chunkAbove = 1000 }")
    return inside


def choose_file(page: Page, form: FrameLocator, label: str, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        form.get_by_role("button", name=f"Upload {label} from this computer").click()
    chooser.value.set_files(path)
    expect(form.get_by_text(f"Uploaded: {path.name}")).to_be_visible(timeout=30_000)


def job_of(site: Server, form: FrameLocator, run_id: str) -> Any:
    dag_id = str(form.locator("#trigger-form").get_attribute("data-name"))
    form.get_by_role("button", name="Run", exact=True).click()
    expect(form.locator("#trigger-form")).to_have_count(0, timeout=30_000)
    with site.client() as client:
        return client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}").json()["job"]


def test_a_run_gets_the_job_that_was_filled_in(
    page: Page,
    form: FrameLocator,
    site: Server,
    tmp_path: Path,
) -> None:
    reads = tmp_path / "reads.txt"
    reads.write_text("ACGT\n" * 1000)
    picture(page, site, "form-empty")
    form.get_by_role("button", name="Run", exact=True).click()
    expect(form.locator("#in-0-err")).to_contain_text("required", timeout=30_000)
    picture(page, site, "form-errors")

    form.locator("#trigger-form").evaluate("(form) => { form.dataset.chunkAbove = 1000 }")
    choose_file(page, form, "Reads", reads)
    form.get_by_text("Paste many lines").click()
    form.get_by_label("One item in each line, for Names").fill("second\nthird\nfirst\n")
    form.get_by_role("button", name="Add these lines").click()
    form.get_by_role("button", name="Move up: Names").nth(2).click()
    form.get_by_role("button", name="Move up: Names").nth(1).click()
    form.get_by_role("button", name="Add to Names").click()
    form.get_by_role("button", name="Remove: Names").last.click()
    form.get_by_label(re.compile("^Lane")).fill("7")
    form.get_by_role("radio", name="exact").check()
    form.get_by_label(re.compile("^Threshold")).fill("1e-5")
    form.get_by_label("Type of Limit").select_option("string")
    form.locator("#in-5-1").fill("12")
    picture(page, site, "form-filled")

    form.get_by_text("YAML or JSON", exact=True).click()
    expect(form.locator("#job")).to_have_value(re.compile("lane: 7"), timeout=30_000)
    picture(page, site, "form-text")
    form.locator("#job").fill(f"{form.locator('#job').input_value()}\nthreads: 2\n")
    form.get_by_text("Form", exact=True).click()
    expect(form.get_by_label(re.compile("^Threads"))).to_have_value("2", timeout=30_000)

    job = job_of(site, form, form.locator("#run_id").input_value())
    location = job.pop("reads")["location"]
    assert Path(location.removeprefix("file://")).read_text() == reads.read_text()
    assert job == {
        "names": ["first", "second", "third"],
        "sample": {"lane": 7},
        "mode": "exact",
        "threshold": 1e-5,
        "limit": "12",
        "threads": 2,
    }


def test_a_file_of_the_server_and_a_link_to_the_job(page: Page, form: FrameLocator, site: Server) -> None:
    folder = site.home / "cwl/inputs/samples"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "a.txt").write_text("a")
    (folder / "a.txt").chmod(0o600)  # other tests of this server look at the rights of all that is in its home
    form.get_by_role("button", name="Browse the server for Reads").click()
    dialog = form.get_by_role("dialog")
    dialog.get_by_role("button", name="Inputs").click()
    dialog.get_by_role("button", name="samples/").click()
    expect(dialog.get_by_role("button", name="a.txt")).to_be_visible(timeout=30_000)
    picture(page, site, "form-browse")
    dialog.get_by_role("button", name="a.txt").click()
    expect(form.get_by_label(re.compile("^Reads"))).to_have_value("samples/a.txt")
    assert '"location": "samples/a.txt"' in form.locator("body").evaluate(CONF_TEXT)

    form.get_by_role("button", name="Link to this job").click()
    expect(form.locator("#job-link-text")).to_have_value(re.compile(r"\?job="), timeout=30_000)
    page.goto(form.locator("#job-link-text").input_value())
    expect(page.get_by_label(re.compile("^Reads"))).to_have_value("samples/a.txt", timeout=30_000)
