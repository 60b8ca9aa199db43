"""A real Chromium, and what tests look for in it."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page, Playwright
    from support.airflow_server import Server

SCREENSHOTS = Path(os.environ["CWL_SCREENSHOTS"]) if "CWL_SCREENSHOTS" in os.environ else None
LOGIN_MS = 120_000
ACTION_MS = 120_000
"""How long an action waits for what it needs: a busy machine is slow, not wrong."""
REDIRECTS = (302, 303)
HANGING_SECONDS = 60
CHROMIUM = Path("/usr/bin/chromium")
HEADLESS_SHELL = Path("/usr/bin/chromium-headless-shell")
"""Chromium without what is around a page (windows, menus, a viewer of PDFs): 40 % of its CPU time."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
BARRIERS = ("serious", "critical")
COLOURS: dict[str, object] = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""Rules of axe that the other scheme can break: all others find the same in both."""
DROP = """(zone, files) => {
  const data = new DataTransfer();
  for (const [name, content] of files) data.items.add(new File([content], name, { lastModified: 1 }));
  zone.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }));
  zone.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
"""Drops files on an element, which are given as [name, content]."""
_HEAR = """new MutationObserver((changes) => {
  const shown = changes.flatMap(({ target, addedNodes }) => (target.id === "toasts" ? [...addedNodes] : []));
  const said = JSON.parse(sessionStorage.getItem("said") ?? "[]");
  said.push(...shown.map((box) => box.querySelector("strong").textContent));
  sessionStorage.setItem("said", JSON.stringify(said));
}).observe(document, { childList: true, subtree: true });"""


class Chromium:
    """The browser of tests that follow each other: to start one for each takes longer than most of them."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._program: Path | None = None
        self._opened: Browser | None = None

    def get(self, program: Path) -> Browser:
        """Return the browser of a program; it is started anew where it has ended."""
        from playwright.sync_api import expect, sync_playwright

        if program != self._program:
            self.close()
        if self._playwright is None:
            expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong
            self._playwright, self._program = sync_playwright().start(), program
        if self._opened is None or not self._opened.is_connected():
            self._opened = self._playwright.chromium.launch(executable_path=program, args=FLAGS)
        return self._opened

    def close(self) -> None:
        """End it, and Playwright, whose event loop is that of all that runs meanwhile."""
        if self._playwright is not None:
            self._playwright.stop()
        self._playwright = self._opened = None

    def tidy(self) -> None:
        """Close what a test has left open; end the browser where a page hangs: Playwright would wait for ever."""
        if self._opened is None:
            return
        hanging = threading.Timer(HANGING_SECONDS, _end_browsers)
        hanging.start()
        try:
            for context in self._opened.contexts:
                context.close()
        finally:
            hanging.cancel()


def _end_browsers() -> None:
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name().startswith("chrom"):
                child.kill()


_logins: dict[tuple[str, str], Any] = {}
"""The cookies of those who have logged in, by the server's address and the user."""


_chromium = Chromium()


@pytest.fixture
def chromium(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser with nothing open, and nothing kept from another test: the module's ``BROWSER``, or without windows."""
    program = getattr(request.module, "BROWSER", HEADLESS_SHELL)
    if not program.exists() and os.environ.get("CI") != "true":
        pytest.skip(f"there is no {program}; see tests/system-packages.sh")
    yield _chromium.get(program)
    _chromium.tidy()


def has_browser(item: pytest.Item) -> bool:
    """Whether a test asks for one."""
    return "chromium" in getattr(item, "fixturenames", ())


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End it before a module that begins without one."""
    if nextitem is None or (nextitem.path != item.path and not has_browser(nextitem)):
        _chromium.close()


def pytest_sessionfinish() -> None:
    """End it also where the tests break off."""
    _chromium.close()


def log_in(page: Page, site: Server, user: str, password: str) -> None:
    """Ask for the list of workflows, and log in where that leads: once for each user of a server, it takes long."""
    page.context.add_cookies(_logins.get((site.url, user), []))
    page.goto(f"{site.url}/plugin/cwl")
    name = page.locator("input[name=username]")
    name.or_(page.locator("iframe")).first.wait_for(timeout=LOGIN_MS)
    if not name.is_visible():
        return
    name.fill(user)
    page.locator("input[name=password]").fill(password)
    with page.expect_response(lambda answer: answer.request.method == "POST", timeout=LOGIN_MS) as answer:
        page.locator("button[type=submit], input[type=submit]").first.click()
    assert answer.value.ok or answer.value.status in REDIRECTS, f"{user} was not logged in: {answer.value.status}"
    page.wait_for_url(re.compile(r"/plugin/cwl"), wait_until="commit", timeout=LOGIN_MS)
    _logins[site.url, user] = page.context.cookies()


def watch(page: Page, see: Callable[[str], None]) -> None:
    """Call ``see`` with the address of each request that the browser makes: none that it keeps back for a policy."""
    page.on("requestfinished", lambda request: see(request.url))
    page.on("requestfailed", lambda request: see(request.url) if "csp" not in str(request.failure).lower() else None)


def foreign(url: str, site: str, errors: list[str]) -> None:
    if not url.startswith((site, "data:", "blob:")):
        errors.append(f"a request to another host: {url}")


def hear_toasts(page: Page) -> None:
    """Keep from now on what the pages of this tab say in toasts, which go before a busy machine has seen them."""
    page.add_init_script(_HEAR)
    page.reload()


def toasts(page: Page, count: int) -> list[str]:
    """Return what has been said, once that are so many."""
    page.wait_for_function("count => JSON.parse(sessionStorage.getItem('said') ?? '[]').length >= count", arg=count)
    return json.loads(page.evaluate("sessionStorage.getItem('said')"))  # type: ignore[no-any-return]


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def keep(page: Page, name: str, *, full_page: bool = False) -> None:
    """Keep screenshots in light and dark where a folder for them is named."""
    if SCREENSHOTS is None:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=full_page, animations="disabled")
    page.emulate_media(color_scheme="light")


def picture(page: Page, site: Server, name: str) -> None:
    """Keep screenshots of a page of a whole Airflow."""
    keep(page, f"{site.auth}-{name}")


def overflowing(page: Page) -> list[str]:
    """Return what makes the page wider than its window: nothing."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [
        `${document.documentElement.scrollWidth} instead of ${innerWidth}`,
        ...[...document.querySelectorAll("body *")].filter((item) => item.getBoundingClientRect().right > innerWidth)
        .map((item) => item.outerHTML.slice(0, 120))].slice(0, 20)"""
    )


def barriers(page: Page) -> list[str]:
    """Return what axe finds in light and in dark: the rule, and the elements that break it."""
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for scheme, rules in (("light", {}), ("dark", COLOURS)):
        # Without motion: a colour on its way from one scheme to the other is no colour that anybody reads.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.evaluate("() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))")
        options = {"resultTypes": ["violations"], **rules}
        for violation in Axe().run(page, options=options).response["violations"]:
            if violation["impact"] in BARRIERS:
                nodes = [f"{node['html'][:150]} ({node['failureSummary']})" for node in violation["nodes"]]
                found.append(f"{scheme}: {violation['id']}: {nodes}")
    return found
