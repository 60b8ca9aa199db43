"""One real server for each auth manager, shared by all attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow_server import standalone
from cast import Site, prepare

USERS = ("the-viewer:viewer", "the-user:user", "another-user:user", "the-op:op")


@pytest.fixture(scope="session", params=["simple", "fab"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with users of every role; pytest runs all tests with the one before it starts the other."""
    options = [part for user in USERS for part in ("--add-user", user)]
    with standalone(tmp_path_factory.mktemp("security") / "home", request.param, *options) as running:
        yield prepare(running)


@pytest.fixture(scope="session")
def flask_app(airflow_home: object) -> object:
    """The Flask app of the pages in this process, to ask it for its routes."""
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.providers.fab.www.app import create_app

    init_auth_manager()
    return create_app(enable_plugins=True)
