"""The middleware bounds bodies, stated and streamed, and gives the background loop the life of the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request


class Background:
    def __init__(self) -> None:
        self.running = threading.Event()
        self.events: list[str] = []

    def start(self) -> None:
        self.events.append("start")

    def stop(self) -> None:
        self.events.append("stop")


@pytest.fixture
def read() -> list[int]:
    """How many bytes the app read of each body."""
    return []


@pytest.fixture
def client(airflow_home: Path, monkeypatch: pytest.MonkeyPatch, read: list[int]) -> Any:
    from fastapi.testclient import TestClient

    from cwl_ui_plugin.api.middleware import CwlMiddleware

    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "1000")
    app = FastAPI()

    @app.post("/{path:path}")
    async def take(path: str, request: Request) -> dict[str, int]:
        read.append(len(await request.body()))
        return {"size": read[-1]}

    app.add_middleware(CwlMiddleware)
    return TestClient(app)


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


def test_a_stated_length_is_refused_unread(client: Any, read: list[int]) -> None:
    answer = client.post("/cwl/api/v1/inputs", content=b"x" * 1001)
    assert answer.status_code == 413
    assert "1.0 kB" in answer.json()["detail"]
    assert read == []


def test_a_streamed_body_is_counted(client: Any, read: list[int]) -> None:
    assert client.post("/cwl/api/v1/inputs", content=chunks(10)).json() == {"size": 1000}
    answer = client.post("/cwl/api/v1/inputs", content=chunks(11))
    assert answer.status_code == 413
    assert read == [1000]


@pytest.mark.parametrize("path", ["/api/v2/dags", "/pluginsv2/other/page", "/cwlx/api/v1/inputs", "/pluginsv2/cwlx"])
def test_other_paths_are_not_touched(client: Any, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    from cwl_ui_plugin.api import middleware

    monkeypatch.setattr(middleware.config, "max_call_size", lambda: 10)
    monkeypatch.setattr(middleware, "FORM_BYTES", 0)
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UPLOAD_SIZE", "10")
    assert client.post(path, content=b"x" * 2000).status_code == 200


@pytest.mark.parametrize(
    "path", ["/pluginsv2/cwl/upload", "/cwl/api/v1/workflows", "/cwl/api/v1/keys", "/api/experimental/dags/x/dag_runs"]
)
def test_each_of_our_paths_has_a_bound(client: Any, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    from cwl_ui_plugin.api import middleware

    monkeypatch.setattr(middleware.config, "max_call_size", lambda: 10)
    monkeypatch.setattr(middleware, "FORM_BYTES", 0)
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UPLOAD_SIZE", "10")
    assert client.post(path, content=b"x" * 10).status_code == 200
    assert client.post(path, content=b"x" * 11).status_code == 413


@pytest.mark.parametrize(
    "path", ["/pluginsv2/cwl/x", "/cwl/api/v1/workflows/x/runs", "/api/experimental/dags/x/dag_runs"]
)
def test_a_job_of_the_largest_size_fits_into_every_call_that_carries_one(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    from cwl_ui_plugin.api.middleware import body_limit

    scope = {"path": path, "root_path": ""}
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UPLOAD_SIZE", "1000")
    assert (body_limit(scope) or 0) >= 16 * 1024 * 1024
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", str(50 * 1024 * 1024))
    assert (body_limit(scope) or 0) >= 200 * 1024 * 1024
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", "10")  # parts of uploads are 16 MiB nevertheless
    assert (body_limit(scope) or 0) >= 16 * 1024 * 1024


@pytest.mark.parametrize("end", ["runs", "secondary-files", "runs/y/stop"])
def test_a_call_about_a_workflow_is_no_upload(airflow_home: Path, end: str) -> None:
    """What comes as JSON is read whole, so it may not be as large as an upload."""
    from cwl_ui_plugin.api.middleware import body_limit

    assert body_limit({"path": f"/cwl/api/v1/workflows/x/{end}", "root_path": ""}) == 16 * 1024 * 1024
    for upload in ("workflows", "crates"):
        assert (body_limit({"path": f"/cwl/api/v1/{upload}", "root_path": ""}) or 0) > 32 * 1024 * 1024


def test_a_prefix_of_the_whole_site_changes_nothing(airflow_home: Path) -> None:
    from cwl_ui_plugin.api.middleware import body_limit

    scope = {"path": "/airflow/cwl/api/v1/inputs", "root_path": "/airflow"}
    assert body_limit(scope) == body_limit({"path": "/cwl/api/v1/inputs", "root_path": ""})
    stripped = {"path": "/cwl/api/v1/inputs", "root_path": "/c"}
    assert body_limit(stripped) == body_limit(scope)


def test_the_background_lives_as_long_as_the_server(airflow_home: Path) -> None:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from cwl_ui_plugin.api.middleware import CwlMiddleware

    background = Background()
    app = FastAPI()
    app.add_middleware(CwlMiddleware, background=background)
    with TestClient(app):
        assert background.events == ["start"]
    assert background.events == ["start", "stop"]


def test_a_server_that_does_not_start_starts_no_background(airflow_home: Path) -> None:
    from contextlib import asynccontextmanager

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from cwl_ui_plugin.api.middleware import CwlMiddleware

    @asynccontextmanager
    async def broken(_app: FastAPI) -> Any:
        raise RuntimeError("no")
        yield

    background = Background()
    app = FastAPI(lifespan=broken)
    app.add_middleware(CwlMiddleware, background=background)
    with pytest.raises(RuntimeError), TestClient(app):
        pass
    assert background.events == []


PATHS = ("/cwl/api/v1/workflows", "/pluginsv2/cwl/run", "/api/experimental/dags/x/dag_runs", "/cwl")


@pytest.fixture
def echo(airflow_home: Path) -> Any:
    """A client of an app that lets everything be kept."""
    from fastapi import Response
    from fastapi.testclient import TestClient

    from cwl_ui_plugin.api.middleware import CwlMiddleware

    app = FastAPI()

    @app.get("/{path:path}")
    async def take(path: str) -> Response:
        return Response(path, status_code=404 if "missing" in path else 200, headers={"Cache-Control": "max-age=60"})

    app.add_middleware(CwlMiddleware)
    return TestClient(app)


@pytest.mark.parametrize("path", [*PATHS, "/pluginsv2/cwl/missing"])
def test_nothing_is_kept_of_an_answer(echo: Any, path: str) -> None:
    assert echo.get(path).headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("path", ["/pluginsv2/cwl/static/x.js", "/cwl/api/v1/docs/x.js", "/api/v2/dags", "/cwlx"])
def test_static_files_and_answers_of_others_are_left_alone(echo: Any, path: str) -> None:
    assert echo.get(path).headers.get_list("cache-control") == ["max-age=60"]


@pytest.mark.parametrize(
    ("host", "base_url", "allowed", "is_served"),
    [
        ("airflow.example.org", "", "", True),  # nobody has said what it is called
        ("evil.example", "", "", True),
        ("airflow.example.org", "https://airflow.example.org/base", "", True),
        ("AIRFLOW.example.org.:8443", "https://airflow.example.org", "", True),
        ("evil.example", "https://airflow.example.org", "", False),
        ("airflow.example.org.evil.example", "https://airflow.example.org", "", False),
        ("evil.example:443@airflow.example.org", "https://airflow.example.org", "", False),
        ("evil.example#airflow.example.org", "https://airflow.example.org", "", False),
        ("[::1", "https://airflow.example.org", "", False),
        ("localhost:8080", "https://airflow.example.org", "", True),
        ("127.0.0.1:8080", "https://airflow.example.org", "", True),
        ("[::1]:8080", "https://airflow.example.org", "", True),
        ("airflow-api-server:8080", "https://airflow.example.org", "", True),
        ("inner.example.net", "https://airflow.example.org", "other.example, *.example.net", True),
        ("example.net", "https://airflow.example.org", "*.example.net", False),
        ("evil.example", "", "other.example", False),
        ("evil.example", "https://airflow.example.org", "*", True),
    ],
)
def test_a_host_that_is_not_this_server_is_told_so(
    echo: Any, monkeypatch: pytest.MonkeyPatch, host: str, base_url: str, allowed: str, is_served: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    monkeypatch.setenv("AIRFLOW__CWL__ALLOWED_HOSTS", allowed)
    for path in PATHS:
        answer = echo.get(path, headers={"Host": host})
        assert answer.status_code == (200 if is_served else 421)
        assert is_served or "[cwl] allowed_hosts" in answer.json()["detail"]
    assert echo.get("/api/v2/monitor/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("works", [True, False])
def test_the_api_for_tasks_is_built_before_the_server_listens(airflow_home: Path, works: bool) -> None:
    from fastapi.testclient import TestClient

    from cwl_ui_plugin.api.middleware import CwlMiddleware

    background = Background()
    app = FastAPI()

    @app.get("/execution/health")
    async def build() -> dict[str, str]:
        background.events.append("built")
        if not works:
            raise RuntimeError("no")
        return {}

    app.add_middleware(CwlMiddleware, background=background)
    with TestClient(app):
        assert background.events == ["built", "start"]
