"""Retention by REST and by the command: what grows, what would go, and removing it."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli.main import main
from cwl_ui_plugin.services.inputs import single

API = "/cwl/api/v1"


@pytest.fixture
def upload(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__CWL__REUSE_FOLDER", str(folders / "reuse"))
    path = single.save_input("reads.txt", io.BytesIO(b"x" * 50_000), user="ada")
    os.utime(path.parent, (0, 0))
    return path


def test_what_would_go_is_told_then_removed(client: Callable[..., Any], upload: Path) -> None:
    op = client("op")
    kinds = {kind["kind"]: kind for kind in op.get(f"{API}/retention").json()["kinds"]}
    assert kinds["uploads"]["options"][0]["days"] == 30
    assert kinds["uploads"]["options"][0]["zero_keeps"] is True
    assert kinds["logs"]["options"][0]["zero_keeps"] is False
    found = {kind["kind"]: kind for kind in op.get(f"{API}/retention/removable").json()["kinds"]}
    assert found["uploads"]["items"] == 1
    assert found["uploads"]["bytes"] >= 50_000
    assert upload.exists()
    gone = {kind["kind"]: kind for kind in op.post(f"{API}/retention/clean").json()["kinds"]}
    assert gone["uploads"]["names"] == [upload.parent.name]
    assert not upload.exists()


def test_sizes_are_there_when_they_were_measured(
    client: Callable[..., Any], upload: Path, eventually: Callable[..., Any]
) -> None:
    op = client("op")
    assert op.post(f"{API}/retention/measure").status_code == 200
    assert eventually(lambda: op.get(f"{API}/retention").json()["measured_at"])


def test_runs_of_workflows_are_named_to_those_who_may_see_them(
    client: Callable[..., Any], make_workflow: Callable[[], str], upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.auth import permissions
    from cwl_ui_plugin.dags.folders import run_folder

    dag_id = make_workflow()
    logs = run_folder.kept_logs(dag_id, "secret-run")
    logs.mkdir(parents=True)
    os.utime(logs, (0, 0))
    op = client("op")
    assert "secret-run" in op.get(f"{API}/retention/removable").text
    monkeypatch.setattr(permissions, "may_read", lambda _user, _dag_id: False)
    answer = op.get(f"{API}/retention/removable")
    assert "secret-run" not in answer.text
    assert {kind["kind"]: kind["items"] for kind in answer.json()["kinds"]}["logs"] == 1


class Server(HTTPServer):
    """Answers the command as the API does."""

    def __init__(self, problem: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[str, str]] = []
        self.kinds = [
            _kind("uploads", "Uploaded inputs", 3, 5_000_000, True, ["one", "two"]),
            _kind("outputs", "Outputs of runs", 0, 0, False, [], problem),
        ]


def _kind(
    kind: str, title: str, items: int, size: int, is_all: bool, names: list[str], problem: str = ""
) -> dict[str, Any]:
    return {
        "kind": kind,
        "title": title,
        "items": items,
        "bytes": size,
        "files": items,
        "is_all": is_all,
        "names": names,
        "problem": problem,
    }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.calls.append((self.command, self.path))  # type: ignore[attr-defined]
        answer = json.dumps({"kinds": self.server.kinds}).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    started = []

    def start(problem: str = "") -> Server:
        server = Server(problem)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def run(server: Server, *words: str) -> int:
    return main(["clean", "--url", f"http://127.0.0.1:{server.server_port}", "--token", "x", *words])


def test_the_command_tells_what_would_go(serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]) -> None:
    server = serve()
    assert run(server, "--dry-run", "--names") == 0
    assert server.calls == [("GET", f"{API}/retention/removable")]
    assert capsys.readouterr().out.splitlines() == [
        "Would remove 3 of 'Uploaded inputs', 5.0 MB",
        "  one",
        "  two",
        "Would remove 0 of 'Outputs of runs', 0 B or more",
    ]


def test_the_command_has_it_removed(serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]) -> None:
    server = serve()
    assert run(server) == 0
    assert server.calls == [("POST", f"{API}/retention/clean")]
    assert capsys.readouterr().out.splitlines()[0] == "Removed 3 of 'Uploaded inputs', 5.0 MB"


def test_the_command_ends_with_1_where_something_went_wrong(
    serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(serve("[cwl] keep_outputs_days must be a number, not 'soon'.")) == 1
    assert "Outputs of runs: [cwl] keep_outputs_days must be a number" in capsys.readouterr().err
