"""The shared servers, with users of every role and two workflows to attack."""

from __future__ import annotations

import pytest
from cast import Site, prepare
from shared_servers import FAB, SIMPLE, shared_servers

_prepared: dict[str, Site] = {}


@pytest.fixture(scope="module", params=[SIMPLE, FAB])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Each of the shared servers in turn, with everybody logged in."""
    server = shared_servers.get(request.param, tmp_path_factory)
    if server.url not in _prepared:
        _prepared[server.url] = prepare(server)
    return _prepared[server.url]


@pytest.fixture(scope="session")
def flask_app(airflow_home: object) -> object:
    """The Flask app of the pages in this process, to ask it for its routes."""
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.providers.fab.www.app import create_app

    init_auth_manager()
    return create_app(enable_plugins=True)
