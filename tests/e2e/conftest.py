"""Talking to the shared server, and a server that is impatient."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from airflow_server import Server, standalone


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as open_client:
        yield open_client


@pytest.fixture(scope="module")
def impatient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that notices within seconds that a task is dead; it runs containers where podman runs.

    It ends with its module: an idle server slows those of other tests.
    """
    variables = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__CWL__RETRY_DELAY": "1",
    }
    try:
        variables |= request.getfixturevalue("podman").variables | {"AIRFLOW__CWL__CONTAINER_ENGINE": "podman"}
    except pytest.skip.Exception as reason:
        print(f"Without containers: {reason}")
    with standalone(tmp_path_factory.mktemp("impatient") / "home", "simple", **variables) as running:
        yield running
