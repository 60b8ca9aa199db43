"""Talking to the shared server, and a server that is impatient."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from support.airflow_server import Server, standalone
from support.browsers import ACTION_MS, foreign, frame, log_in, watch
from support.shared_servers import SIMPLE, shared_servers


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as open_client:
        yield open_client


@pytest.fixture(scope="module")
def impatient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server that notices within seconds that a task is dead; it runs containers where podman runs."""
    variables = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__CWL__RETRY_DELAY": "1",
    }
    try:
        variables |= request.getfixturevalue("podman").variables | {"AIRFLOW__CWL__CONTAINER_ENGINE": "podman"}
    except pytest.skip.Exception as reason:
        print(f"Without containers: {reason}")
    home = tmp_path_factory.mktemp("impatient") / "home"
    return shared_servers.get("impatient", partial(standalone, home, SIMPLE, **variables))


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    return chromium


@pytest.fixture
def page(browser: Browser, site: Server) -> Iterator[Page]:
    """A page of a user who has logged in; it fails the test when a script of ours fails."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(ACTION_MS)
    errors: list[str] = []
    watch(opened, lambda url: foreign(url, site.url, errors))
    log_in(opened, site, site.user, site.password)
    expect(frame(opened).get_by_role("heading", name="CWL workflows")).to_be_visible(timeout=30_000)
    # From here on only: the login page of FabAuthManager has a script error of its own.
    opened.on("pageerror", lambda error: errors.append(f"{opened.url}: {error.stack}"))
    yield opened
    assert errors == []
