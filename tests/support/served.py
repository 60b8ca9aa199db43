"""The plugin's pages served to a real browser, without the rest of Airflow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, Route
from support.browsers import SCREENSHOTS, keep
from werkzeug.serving import make_server

NARROW = {"width": 400, "height": 800}


def picture(page: Page, name: str, width: int = 1200) -> None:
    """Keep screenshots for the docs in light and dark where a folder for them is named."""
    if SCREENSHOTS is None:
        return
    size = page.viewport_size
    page.set_viewport_size({"width": width, "height": 800})
    keep(page, f"workflows-{name}", full_page=True)
    if size:
        page.set_viewport_size(size)


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def while_held(page: Page, script: str, act: Callable[[], None]) -> None:
    """Load the page anew, and ``act`` on it before that script has come; then let it come."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(f"**/{script}", keep)
    page.goto(page.url, wait_until="commit")
    act()
    assert len(held) == 1, f"{script} was not asked for"
    held[0].continue_()


def script_of(page: Page, name: str) -> str:
    """Return the address of a module of the page, for ``import`` in a script of a test."""
    address = page.locator(f'head link[rel=modulepreload][href$="/{name}"]').get_attribute("href")
    assert address
    return address


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a WSGI app; yield its address."""
    server = make_server("localhost", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.port}"
    server.shutdown()
    thread.join()


@contextmanager
def serving_with_api(app: Any) -> Iterator[str]:
    """Serve the pages and the plugin's REST API on one address, as Airflow's API server does; yield the address."""
    import uvicorn
    from a2wsgi import WSGIMiddleware
    from fastapi import FastAPI

    from cwl_ui_plugin.api import rest
    from cwl_ui_plugin.api.middleware import CwlMiddleware

    api = FastAPI()
    api.mount("/cwl", rest.app())
    api.add_middleware(CwlMiddleware)
    pages = WSGIMiddleware(app)

    async def both(scope: Any, receive: Any, send: Any) -> None:
        is_call = scope["type"] != "http" or scope["path"].startswith("/cwl/api/")
        await (api if is_call else pages)(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(both, host="localhost", port=0, log_level="warning", lifespan="off"))
    listener = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://localhost:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
