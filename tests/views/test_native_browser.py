"""What makes the pages feel like those around them, in a real browser: times, colours between two pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from support.browsers import frame
from support.served import serving
from support.stored import start_run
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
UTC = "2026-01-31 23:30:05"
SHOWN = """document.querySelector('main')
.insertAdjacentHTML('beforeend', '<time id=t datetime="2026-01-31T23:30:05Z"></time>')"""
LOOKED_AT = """async (pictures) => {
  const found = [];
  for (const picture of pictures) {
    const image = new Image();
    image.src = `data:image/png;base64,${picture}`;
    await image.decode();
    const { width, height } = image;
    const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    context.drawImage(image, 0, 0);
    const greens = context.getImageData(0, 0, width, height).data.filter((_, at) => at % 4 === 1).sort();
    found.push(greens[greens.length / 2]); // most of a page of ours is background
  }
  return found;
}"""
"""How bright most of each picture is."""
STAYS = "() => addEventListener('pageswap', (event) => parent.stayed?.push(Boolean(event.viewTransition)))"
HOST = (
    "<!doctype html><html lang=en class=dark style='color-scheme: dark; background: #161d2d'><title>Airflow</title>"
    "<link rel=icon href=data:,><body style='margin: 0'>"
    "<iframe title=CWL style='border: 0; width: 100%; height: 100vh' "
)


@pytest.fixture
def framed(flask_app: Any) -> Iterator[str]:
    """The address of a dark page around a page of ours: ``{framed}?/runs``."""

    def host(environ: dict[str, Any], start: Any) -> Any:
        body = f'{HOST}src="/pluginsv2/cwl{environ["QUERY_STRING"]}"></iframe>'
        return Response(body, mimetype="text/html")(environ, start)

    with serving(DispatcherMiddleware(host, {"/pluginsv2": flask_app})) as found:
        yield f"{found}/host"


@pytest.fixture
def host_page(open_page: OpenPage, framed: str) -> Page:
    """The dark page, for a user who is logged in; it shows the runs."""
    page = open_page("/cwl/runs").context.new_page()  # for the cookie of a user, which is for all ports of the host
    page.goto(f"{framed}?/runs")
    expect(frame(page).get_by_role("heading", name="CWL runs")).to_be_visible()
    return page


def choose(page: Page, zone: str) -> None:
    """Choose a zone as Airflow's dialog does."""
    page.evaluate("(zone) => localStorage.setItem('timezone', JSON.stringify(zone))", zone)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("Asia/Tokyo", "2026-02-01 08:30:05"), ("America/New_York", "2026-01-31 18:30:05"), ("no/zone", UTC)],
)
def test_times_are_in_the_zone_that_is_chosen_in_airflow(
    open_page: OpenPage, workflow: str, run_id: str, zone: str, shown: str
) -> None:
    start_run(workflow, run_id)
    page = open_page("/cwl/settings", timezone_id="UTC")
    choose(page, zone)
    page.goto(page.url.replace("/settings", f"/run?{urlencode({'dag_id': workflow, 'run_id': run_id})}"))
    time = page.locator("time").first
    expect(time).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"))
    expect(time).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"))
    page.evaluate(SHOWN)
    page.evaluate("dispatchEvent(new StorageEvent('storage', { key: 'timezone' }))")
    expect(page.locator("#t")).to_have_text(shown)


def test_times_follow_while_a_page_is_open(host_page: Page) -> None:
    choose(host_page, "UTC")
    inside = host_page.frames[1]
    inside.evaluate(SHOWN)
    choose(host_page, "Asia/Tokyo")
    expect(frame(host_page).locator("#t")).to_have_text("2026-02-01 08:30:05")


def test_without_scripts_a_time_says_that_it_is_utc(open_page: OpenPage, workflow: str, run_id: str) -> None:
    page = open_page("/cwl/workflows", java_script_enabled=False)
    expect(page.locator("time").first).to_have_text(f"{page.locator('time').first.get_attribute('title')}")
    assert page.locator("time").first.inner_text().endswith(" UTC")


def test_nothing_white_flashes_between_two_dark_pages(host_page: Page) -> None:
    session = host_page.context.new_cdp_session(host_page)
    pictures: list[str] = []

    def see(event: dict[str, Any]) -> None:
        pictures.append(event["data"])
        session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    session.on("Page.screencastFrame", see)
    session.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
    host_page.evaluate("() => { window.stayed = [] }")
    host_page.frames[1].evaluate(STAYS)
    host_page.context.add_init_script(f"({STAYS})()")
    host_page.route("**/*.css", lambda route: (host_page.wait_for_timeout(200), route.continue_())[-1])
    for name in ("Settings", "Workflows", "Runs", "Settings"):
        frame(host_page).get_by_role("link", name=name, exact=True).click()
        expect(frame(host_page).get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
    session.send("Page.stopScreencast")
    commons = host_page.evaluate(LOOKED_AT, pictures)
    assert commons and max(commons) < 100
    assert host_page.evaluate("stayed") == [True] * 4  # what was there is shown until the next page is


def test_keys_of_airflow_work_in_the_frame(host_page: Page) -> None:
    host_page.evaluate("addEventListener('keydown', ({ key, ctrlKey }) => (window.keys ??= []).push([key, ctrlKey]))")
    frame(host_page).get_by_role("searchbox").first.focus()
    host_page.keyboard.press("?")  # typed into the field
    host_page.keyboard.press("Control+k")
    host_page.wait_for_function("() => window.keys")
    assert host_page.evaluate("window.keys") == [["k", True]]
