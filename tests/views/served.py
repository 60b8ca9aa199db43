"""The plugin's pages served to a real browser, without the rest of Airflow."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Route
from test_browser import browser as chromium  # noqa: F401 - a fixture
from werkzeug.serving import make_server

SCREENSHOTS = Path(os.environ["CWL_SCREENSHOTS"]) if "CWL_SCREENSHOTS" in os.environ else None


def picture(page: Page, name: str, width: int = 1200) -> None:
    """Keep screenshots for the docs in light and dark where a folder for them is named."""
    if SCREENSHOTS is None:
        return
    size = page.viewport_size
    page.set_viewport_size({"width": width, "height": 800})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.screenshot(path=SCREENSHOTS / f"workflows-{name}-{scheme}.png", full_page=True, animations="disabled")
    page.emulate_media(color_scheme="light")
    if size:
        page.set_viewport_size(size)


def barriers(page: Page) -> list[str]:
    """Return what axe finds in light and in dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.evaluate("() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))")
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found += [f"{scheme}: {violation['id']}: {node['html'][:150]}" for node in violation["nodes"]]
    return found


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def while_held(page: Page, script: str, act: Callable[[], None]) -> None:
    """Load the page anew, and ``act`` on it before that script has come; then let it come."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(f"**/static/{script}*", keep)
    page.goto(page.url, wait_until="commit")
    act()
    assert len(held) == 1, f"{script} was not asked for"
    held[0].continue_()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a WSGI app; yield its address."""
    server = make_server("localhost", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def address(flask_app: Any) -> Iterator[str]:
    """The address of the pages."""
    with serving(flask_app) as found:
        yield found


@pytest.fixture
def open_page(
    chromium: Browser,  # noqa: F811
    address: str,
    folders: Any,
) -> Iterator[Callable[..., Page]]:
    """Open a page as a user of a role: ``open_page(path, role="admin", **context)``.

    At the end of the test: nothing on the console but what is ``expected``, nothing asked of another host.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    contexts = []
    complaints: list[str] = []

    def opened(path: str, role: str = "admin", expected: str | None = None, **options: Any) -> Page:
        def heard(message: ConsoleMessage) -> None:
            if message.type == "error" and not (expected and expected in message.text):
                complaints.append(message.text)

        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=f"the-{role}", role=role))
        context = chromium.new_context(**options)
        contexts.append(context)
        context.add_cookies([{"name": "_token", "value": token, "url": address}])
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda sent: None if sent.url.startswith((address, "data:")) else complaints.append(sent.url)
        )
        page.goto(address + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
