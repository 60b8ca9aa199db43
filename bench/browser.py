"""A page of a browser whose user is logged in, and how long it takes until it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import common
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"


def admin_token() -> str:
    """Return what logs an administrator in to an app of this process."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return str(get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="admin", role="admin")))


@contextmanager
def logged_in(address: str, token: str) -> Iterator[Page]:
    """Yield a page with nothing in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context()
        context.add_cookies([{"name": "_token", "value": token, "url": address}])
        yield context.new_page()
        browser.close()


def usable(page: Page, url: str, selector: str, repeat: int) -> float:
    """Return the seconds until a page shows what it is for; the first time, which fills caches, is left out."""

    def show() -> None:
        page.goto(url, wait_until="domcontentloaded")
        page.locator(selector).first.wait_for(timeout=60_000)

    show()
    return common.median([common.timed(show) for _ in range(repeat)])
