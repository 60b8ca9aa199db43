"""A scientist's view, in a real browser, under both auth managers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow_server import Server
from keyboard import press, reach, type_into
from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright
from receiver import receiver

pytestmark = pytest.mark.e2e
expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong

SCREENSHOTS = Path(os.environ["CWL_SCREENSHOTS"]) if "CWL_SCREENSHOTS" in os.environ else None
LOGIN_MS = 120_000
REDIRECTS = (302, 303)
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
label: Say it loud
doc: Writes a text and shouts it.
inputs:
  text: {type: string, label: What to say}
  seconds: {type: int, default: 0}
outputs: {shouted: {type: File, outputSource: shout/out}}
steps:
  write:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments: [{shellQuote: false, valueFrom: "sleep $(inputs.seconds); echo '<b>$(inputs.text)</b>'"}]
      inputs: {text: string, seconds: int}
      outputs: {out: {type: stdout}}
      stdout: text.html
    in: {text: text, seconds: seconds}
    out: [out]
  shout:
    run:
      class: CommandLineTool
      baseCommand: [tr, a-z, A-Z]
      inputs: {file: File}
      stdin: $(inputs.file.path)
      outputs: {out: {type: stdout}}
      stdout: shouted.html
    in: {file: write/out}
    out: [out]
"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser for one test: Playwright ends one that hangs, while closing a hanging context has no time limit."""
    if not CHROMIUM.exists() and os.environ.get("CI") != "true":
        pytest.skip(f"there is no {CHROMIUM}; see tests/system-packages.sh")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, site: Server) -> Iterator[Page]:
    """A page of a user who has logged in; it fails the test when a script of ours fails."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    errors: list[str] = []
    watch(opened, lambda url: foreign(url, site.url, errors))
    log_in(opened, site, site.user, site.password)
    expect(frame(opened).get_by_role("heading", name="CWL workflows")).to_be_visible(timeout=30_000)
    # From here on only: the login page of FabAuthManager has a script error of its own.
    opened.on("pageerror", lambda error: errors.append(f"{opened.url}: {error.stack}"))
    yield opened
    assert errors == []


def log_in(page: Page, site: Server, user: str, password: str) -> None:
    """Ask for the list of workflows, and log in where that leads."""
    page.goto(f"{site.url}/plugin/cwl")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    with page.expect_response(lambda answer: answer.request.method == "POST", timeout=LOGIN_MS) as answer:
        page.locator("button[type=submit], input[type=submit]").first.click()
    assert answer.value.ok or answer.value.status in REDIRECTS, f"{user} was not logged in: {answer.value.status}"
    page.wait_for_url(re.compile(r"/plugin/cwl"), wait_until="commit", timeout=LOGIN_MS)


def watch(page: Page, see: Callable[[str], None]) -> None:
    """Call ``see`` with the address of each request that the browser makes: none that it keeps back for a policy."""
    page.on("requestfinished", lambda request: see(request.url))
    page.on("requestfailed", lambda request: see(request.url) if "csp" not in str(request.failure).lower() else None)


def foreign(url: str, site: str, errors: list[str]) -> None:
    if not url.startswith((site, "data:", "blob:")):
        errors.append(f"a request to another host: {url}")


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def picture(page: Page, site: Server, name: str) -> None:
    """Keep screenshots in light and dark where a folder for them is named."""
    if SCREENSHOTS is None:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_timeout(400)
        page.screenshot(path=SCREENSHOTS / f"{site.auth}-{name}-{scheme}.png")
    page.emulate_media(color_scheme="light")


def overflowing(page: Page) -> list[str]:
    """Return what makes the page wider than its window: nothing."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [
        `${document.documentElement.scrollWidth} instead of ${innerWidth}`,
        ...[...document.querySelectorAll("body *")].filter((item) => item.getBoundingClientRect().right > innerWidth)
        .map((item) => item.outerHTML.slice(0, 120))].slice(0, 20)"""
    )


def upload(page: Page, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.cwl"
    path.write_text(WORKFLOW)
    page.goto(page.url.split("/plugin/")[0] + "/plugin/cwl")
    inside = frame(page)
    inside.locator("input[type=file]").first.set_input_files(path)
    inside.get_by_role("button", name="Upload").click()
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
    expect(tab.locator("[data-state=failed]").first).to_be_visible(timeout=60_000)
    expect(tab.get_by_role("button", name="Stop run").first).to_be_disabled(timeout=60_000)
    picture(page, site, "stopped")


def test_a_broken_document_is_explained_where_it_is_broken(page: Page, site: Server, tmp_path: Path) -> None:
    path = tmp_path / "broken.cwl"
    path.write_text(
        "cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\nsteps: {a: {run: gone.cwl, in: {}, out: []}}\n"
    )
    inside = frame(page)
    inside.locator("input[type=file]").first.set_input_files(path)
    inside.get_by_role("button", name="Upload").click()
    expect(inside.locator("body")).to_contain_text("gone.cwl", timeout=60_000)
    expect(inside.locator("body")).to_contain_text("broken.cwl:5")
    picture(page, site, "upload-errors")


def test_the_settings_show_what_is_set(page: Page, site: Server) -> None:
    page.goto(f"{site.url}/pluginsv2/cwl/settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.locator("body")).to_contain_text("process_report")
    picture(page, site, "settings")


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


def test_an_earlier_version_is_run_and_the_workflow_deleted_and_restored(
    page: Page, site: Server, tmp_path: Path
) -> None:
    upload(page, tmp_path, "twice")
    start_run(page, "text: one\n")
    expect(run_tab(page).locator("[data-state=success]").first).to_be_visible(timeout=90_000)

    inside = open_workflow(page, site, "twice")
    inside.get_by_role("link", name="Upload new version").click()
    (tmp_path / "twice.cwl").write_text(WORKFLOW.replace("a-z, A-Z", "a-z, x"))
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
    inside.get_by_role("button", name="Delete", exact=True).click()
    inside.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(inside.get_by_role("status").first).to_contain_text("twice was deleted", timeout=30_000)
    inside.get_by_role("button", name="Restore twice").first.click()
    expect(inside.get_by_role("link", name="Versions (2)")).to_be_visible(timeout=30_000)


def test_the_whole_way_by_keyboard_alone(page: Page, site: Server, tmp_path: Path) -> None:
    (tmp_path / "keys.cwl").write_text(WORKFLOW)
    page.goto(f"{site.url}/plugin/cwl")
    inside = frame(page)
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
    expect(inside.locator("[data-state=failed]").first).to_be_visible(timeout=60_000)

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
    type_into(page, inside.get_by_label("Run or workflow"), "keys")
    press(page, inside.get_by_role("button", name="Show", exact=True))
    page.wait_for_url(re.compile(r"/cwl/runs\?text=keys"))  # the list before looks the same, and goes
    compared = inside.get_by_role("checkbox", name=re.compile("^Compare .+ of keys$"))
    expect(compared).to_have_count(2)
    press(page, compared.nth(0), "Space")
    press(page, compared.nth(1), "Space")
    reach(page, inside.get_by_role("button", name="Compare"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(inside.get_by_role("heading", level=1)).to_contain_text("Compar")

    press(page, inside.get_by_role("link", name="Workflows", exact=True))
    press(page, inside.get_by_role("button", name="Delete keys"))
    press(page, inside.get_by_role("dialog").get_by_role("button", name="Delete"))
    press(page, inside.get_by_role("button", name="Restore keys").first)
    expect(inside.get_by_role("heading", name="Say it loud")).to_be_visible(timeout=30_000)
