"""A scientist's view, in a real browser, under both auth managers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect
from support.airflow_server import Server
from support.browsers import frame, picture
from support.documents import LOUD
from support.keyboard import press, reach, type_into
from support.receiver import receiver
from support.shared_servers import FAB, SIMPLE

pytestmark = pytest.mark.e2e
BY_ONE, BY_THE_OTHER = (pytest.mark.parametrize("site", [auth], indirect=True) for auth in (SIMPLE, FAB))
"""Of one auth manager where nothing depends on which: both have their turn."""


def upload(page: Page, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.cwl"
    path.write_text(LOUD)
    page.goto(page.url.split("/plugin/")[0] + "/plugin/cwl")
    inside = frame(page)
    inside.locator("input[type=file]").first.set_input_files(path)
    inside.get_by_role("button", name="Upload", exact=True).click()
    expect(inside.get_by_role("heading", name="Say it loud")).to_be_visible(timeout=60_000)


def open_workflow(page: Page, site: Server, dag_id: str) -> FrameLocator:
    page.goto(f"{site.url}/plugin/cwl")
    inside = frame(page)
    inside.locator(f"table a[href$='/workflows/{dag_id}']").first.click()
    return inside


def write_job(page: Page, job: str) -> None:
    inside = frame(page)
    inside.get_by_text("YAML or JSON", exact=True).click()
    inside.locator("#job").fill(job)


def start_run(page: Page, job: str) -> None:
    frame(page).get_by_role("link", name="Run", exact=True).first.click()
    write_job(page, job)
    frame(page).get_by_role("button", name=re.compile("^(Run|Start)")).click()


def run_tab(page: Page) -> FrameLocator:
    """The tab of the plugin on Airflow's page of the DagRun."""
    page.wait_for_url(re.compile(r"/dags/.+/runs/.+"), timeout=60_000)
    page.get_by_role("link", name="CWL run").click()
    return frame(page)


@pytest.mark.again("with the other auth manager", variant="simple")
def test_upload_run_and_fetch_an_output(page: Page, site: Server, tmp_path: Path) -> None:
    picture(page, site, "workflows-empty")
    upload(page, tmp_path, "loud")
    picture(page, site, "workflow")

    frame(page).get_by_role("link", name="Run", exact=True).first.click()
    picture(page, site, "trigger")
    write_job(page, "text: 7\n")
    frame(page).get_by_role("button", name=re.compile("^(Run|Start)")).click()
    expect(frame(page).locator("#job-problems")).to_contain_text("text", timeout=30_000)
    expect(frame(page).locator("#job")).to_have_value(re.compile("text: 7"))
    picture(page, site, "trigger-errors")

    frame(page).locator("#job").fill("text: hello\n")
    frame(page).get_by_role("button", name=re.compile("^(Run|Start)")).click()
    tab = run_tab(page)
    expect(tab.locator("[data-state=success]").first).to_be_visible(timeout=90_000)
    expect(tab.get_by_text("shouted.html").first).to_be_visible(timeout=90_000)
    picture(page, site, "run")
    with page.expect_download() as download:
        tab.get_by_role("link", name="Download shouted.html").click()
    assert Path(download.value.path()).read_text() == "<B>HELLO</B>\n"


@pytest.mark.again("with the other auth manager", variant="simple")
def test_stop_a_run(page: Page, site: Server, tmp_path: Path) -> None:
    upload(page, tmp_path, "long")
    start_run(page, "text: hello\nseconds: 600\n")
    tab = run_tab(page)
    expect(tab.locator("[data-state=running]").first).to_be_visible(timeout=60_000)
    picture(page, site, "running")
    tab.get_by_role("button", name="Stop run").first.click()
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_be_visible()
    picture(page, site, "stop-dialog")
    dialog.get_by_role("button", name="Stop run").click()
    expect(tab.locator("[data-state=stopped]").first).to_be_visible(timeout=60_000)
    expect(tab.get_by_role("button", name="Stop run").first).to_be_disabled(timeout=60_000)
    picture(page, site, "stopped")


@BY_ONE
def test_a_broken_document_is_explained_where_it_is_broken(page: Page, site: Server, tmp_path: Path) -> None:
    path = tmp_path / "broken.cwl"
    path.write_text(
        "cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\nsteps: {a: {run: gone.cwl, in: {}, out: []}}\n"
    )
    inside = frame(page)
    inside.locator("input[type=file]").first.set_input_files(path)
    inside.get_by_role("button", name="Upload", exact=True).click()
    expect(inside.locator("body")).to_contain_text("gone.cwl", timeout=60_000)
    expect(inside.locator("body")).to_contain_text("broken.cwl:5")
    picture(page, site, "upload-errors")


@BY_THE_OTHER
def test_the_settings_show_what_is_set(page: Page, site: Server) -> None:
    page.goto(f"{site.url}/pluginsv2/cwl/settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.locator("body")).to_contain_text("process_report")
    picture(page, site, "settings")


@BY_THE_OTHER
def test_a_receiver_is_named_and_a_test_report_sent_and_removed_again(page: Page, site: Server) -> None:
    page.goto(f"{site.url}/plugin/cwl")
    inside = frame(page)
    inside.get_by_role("link", name="Settings").click()
    with receiver() as portal:
        inside.get_by_role("textbox", name="Host").fill("127.0.0.1")
        inside.get_by_role("spinbutton", name="Port").fill(str(portal.port))
        inside.get_by_role("button", name="Save").first.click()
        expect(inside.locator(".alert.success")).to_be_visible(timeout=30_000)
        try:
            inside.get_by_role("button", name="Send test report").click()
            expect(inside.locator("#test-result")).to_contain_text("The receiver answered 200.", timeout=30_000)
            assert [payload["state"] for _route, payload in portal.reports] == ["test"]
        finally:
            inside.get_by_role("button", name="Remove connection").click()
            expect(inside.get_by_text("No reports are sent.")).to_be_visible(timeout=30_000)


@BY_THE_OTHER
def test_an_earlier_version_is_run_and_the_workflow_deleted_and_restored(
    page: Page, site: Server, tmp_path: Path
) -> None:
    upload(page, tmp_path, "twice")
    start_run(page, "text: one\n")
    expect(run_tab(page).locator("[data-state=success]").first).to_be_visible(timeout=90_000)

    inside = open_workflow(page, site, "twice")
    inside.locator("header details.menu summary").click()  # the page of the workflow has it
    inside.get_by_role("link", name="Upload new version").click()
    (tmp_path / "twice.cwl").write_text(LOUD.replace("a-z, A-Z", "a-z, x"))
    inside.locator("input[type=file]").first.set_input_files(tmp_path / "twice.cwl")
    inside.get_by_role("button", name="Upload", exact=True).click()
    inside.get_by_role("link", name="Versions (2)").click(timeout=60_000)
    inside.get_by_role("button", name="Compare").click()
    expect(inside.locator(".diff .added")).to_contain_text("a-z, x")

    inside.locator("tbody tr").nth(1).get_by_role("link").click()
    inside.get_by_role("link", name="Run this version").click()
    write_job(page, "text: hello\n")
    inside.get_by_role("button", name="Run", exact=True).click()
    tab = run_tab(page)
    expect(tab.get_by_text("shouted.html").first).to_be_visible(timeout=90_000)
    with page.expect_download() as download:
        tab.get_by_role("link", name="Download shouted.html").click()
    assert Path(download.value.path()).read_text() == "<B>HELLO</B>\n"

    inside = open_workflow(page, site, "twice")
    inside.locator("header details.menu summary").click()  # the page of the workflow has it
    inside.get_by_role("button", name="Delete", exact=True).click()
    inside.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(inside.get_by_role("status").first).to_contain_text("twice was deleted", timeout=30_000)
    inside.get_by_role("button", name="Restore twice").first.click()
    expect(inside.get_by_role("link", name="Versions (2)")).to_be_visible(timeout=30_000)


@BY_ONE
def test_the_whole_way_by_keyboard_alone(page: Page, site: Server, tmp_path: Path) -> None:
    (tmp_path / "keys.cwl").write_text(LOUD)
    page.goto(f"{site.url}/plugin/cwl")
    inside = frame(page)
    press(page, inside.get_by_role("button", name="Upload a workflow"))
    with page.expect_file_chooser() as chooser:
        press(page, inside.locator("input[type=file]").first)
    chooser.value.set_files(tmp_path / "keys.cwl")
    press(page, inside.get_by_role("button", name="Upload", exact=True))

    expect(inside.get_by_role("heading", name="Say it loud")).to_be_visible(timeout=60_000)
    reach(page, inside.locator("#graph [data-node][tabindex='0']"))
    page.keyboard.press("ArrowRight")
    expect(inside.locator("#graph [data-node=write]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(inside.get_by_role("region", name="Details of the chosen node")).to_contain_text("write")
    page.keyboard.press("Escape")
    press(page, inside.get_by_role("link", name="Run", exact=True).first)

    type_into(page, inside.get_by_label(re.compile("^What to say")), "hello")
    type_into(page, inside.get_by_label(re.compile("^seconds")), "600")
    press(page, inside.get_by_role("button", name="Run", exact=True))
    page.wait_for_url(re.compile(r"/dags/keys/runs/.+"), timeout=60_000)
    press(page, page.get_by_role("link", name="CWL run"))
    expect(inside.locator("[data-state=running]").first).to_be_visible(timeout=60_000)

    press(page, inside.get_by_role("button", name="Stop run").first)
    expect(inside.get_by_role("button", name="Cancel")).to_be_focused()
    press(page, inside.get_by_role("dialog").get_by_role("button", name="Stop run"))
    expect(inside.locator("[data-state=stopped]").first).to_be_visible(timeout=60_000)

    stopped = page.url
    press(page, inside.get_by_role("link", name="Edit and run again"))
    expect(inside.get_by_role("heading", name="Run Say it loud")).to_be_visible()
    type_into(page, inside.get_by_label(re.compile("^seconds")), "0")
    press(page, inside.get_by_role("button", name="Run", exact=True))
    page.wait_for_url(lambda url: "/dags/keys/runs/" in url and url != stopped, timeout=60_000)
    press(page, page.get_by_role("link", name="CWL run"))
    expect(inside.get_by_text("shouted.html").first).to_be_visible(timeout=90_000)
    press(page, inside.get_by_role("link", name=re.compile("^Preview")).first)
    expect(inside.get_by_role("dialog")).to_contain_text("shouted.html")
    page.keyboard.press("Escape")
    expect(inside.get_by_role("dialog")).to_be_hidden()
    with page.expect_download() as download:
        press(page, inside.get_by_role("link", name="Download shouted.html"))
    assert Path(download.value.path()).read_text() == "<B>HELLO</B>\n"

    page.goto(f"{site.url}/plugin/cwl")
    press(page, inside.get_by_role("link", name="Runs", exact=True))
    type_into(page, inside.get_by_label("Title, tag, note, id or workflow"), "keys")
    press(page, inside.get_by_role("button", name="Show", exact=True))
    page.wait_for_url(re.compile(r"/cwl/runs\?text=keys"))  # the list before looks the same, and goes
    compared = inside.get_by_role("checkbox", name=re.compile("^Choose .+ of keys$"))
    expect(compared).to_have_count(2)
    press(page, compared.nth(0), "Space")
    press(page, compared.nth(1), "Space")
    reach(page, inside.get_by_role("button", name="Compare"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(inside.get_by_role("heading", level=1)).to_contain_text("Compar")

    press(page, inside.get_by_role("link", name="Workflows", exact=True))
    press(page, inside.locator("summary", has_text="for keys"))
    press(page, inside.get_by_role("button", name="Delete keys"))
    press(page, inside.get_by_role("dialog").get_by_role("button", name="Delete"))
    press(page, inside.get_by_role("button", name="Restore keys").first)
    expect(inside.get_by_role("heading", name="Say it loud")).to_be_visible(timeout=30_000)
