"""One real Airflow for the whole test process."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from airflow_server import Server, standalone


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with SimpleAuthManager that the tests of this folder share."""
    with standalone(tmp_path_factory.mktemp("simple") / "home", "simple") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as open_client:
        yield open_client
