"""What the commands for crates and reports ask the server for, and what they write and print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli.client import Client
from cwl_ui_plugin.cli.main import main

MADE = {"dag_id": "sort", "form": "/pluginsv2/cwl/workflows/sort/run?job=x", "left_out": ["index"]}


class Server:
    url = "http://server"

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def download(self, path: str, target: Path) -> None:
        self.asked.append(path)
        target.write_text("content")

    def post(self, path: str, *, form: dict[str, Any], timeout: float) -> dict[str, Any]:
        name, file = form["file"]
        self.asked.append((path, {**form, "file": (name, file.read())}, timeout > 60))
        return MADE


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    found = Server()
    monkeypatch.setattr(Client, "of", lambda _arguments: found)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.mark.parametrize(
    ("words", "path", "name"),
    [
        (["crate", "d", "r/1"], "/workflows/d/runs/r%2F1/crate", "r_1.crate.zip"),
        (["crate", "d", "r", "--no-data"], "/workflows/d/runs/r/crate?data=false", "r.crate.zip"),
        (["crate", "d", "r", "--no-data", "--logs"], "/workflows/d/runs/r/crate?data=false&logs=true", "r.crate.zip"),
        (["report", "d", "r"], "/workflows/d/runs/r/report", "r.report.html"),
        (["report", "d", "r", "-o", "x.html"], "/workflows/d/runs/r/report", "x.html"),
    ],
)
def test_a_run_is_saved(server: Server, words: list[str], path: str, name: str, capsys: Any) -> None:
    assert main(words) == 0
    assert (server.asked, Path(name).read_text(), capsys.readouterr().out) == ([path], "content", f"{name}\n")


def test_a_crate_is_sent_and_what_it_lacks_is_said(server: Server, capsys: Any) -> None:
    Path("x.crate.zip").write_bytes(b"zip")
    assert main(["crate-import", "x.crate.zip", "--dag-id", "sort", "--replace"]) == 0
    form = {"dag_id": "sort", "replace": "true", "file": ("x.crate.zip", b"zip")}
    assert server.asked == [("/crates", form, True)]
    out = capsys.readouterr().out
    assert out.startswith("sort\thttp://server/pluginsv2/cwl/workflows/sort/run?job=x\n")
    assert "the input index" in out


def test_a_crate_that_is_not_there_is_said(server: Server, capsys: Any) -> None:
    assert main(["crate-import", "no.zip"]) != 0
    assert "no file" in capsys.readouterr().err
