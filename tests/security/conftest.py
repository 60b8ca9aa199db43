"""The shared servers, with users of every role and two workflows to attack."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from support.cast import Site, prepare
from support.shared_servers import FAB, SIMPLE, shared_site

_prepared: dict[str, Site] = {}


@pytest.fixture(scope="module", params=[SIMPLE, FAB])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Each of the shared servers in turn, with everybody logged in."""
    server = shared_site(request.param, tmp_path_factory)
    if server.url not in _prepared:
        _prepared[server.url] = prepare(server)
    return _prepared[server.url]


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    return chromium
